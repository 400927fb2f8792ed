"""A case: one thing to measure, named so that people can read it."""

import re
from dataclasses import dataclass
from enum import StrEnum

from analytic.errors import SpecError, unknown
from analytic.precision import PRECISIONS


class Phase(StrEnum):
    PREFILL = "prefill"
    DECODE = "decode"
    GENERATE = "generate"


# Which engines there are is the harness's to say: a record of a user's own engine
# is read where that engine is not to be had.
_ENGINE = "[a-z0-9]+"

# Python reads no integer of thousands of digits.
_SIZE = "[0-9]{1,19}"

_ID = re.compile(
    rf"(?P<phase>[a-z]+)-b(?P<batch>{_SIZE})-(?P<kind>[pc])(?P<length>{_SIZE})(-n(?P<output>{_SIZE}))?"
    rf"-(?P<precision>{'|'.join(sorted(PRECISIONS, key=len, reverse=True))})-(?P<engine>{_ENGINE})"
)


def require_engine_name(name: str) -> None:
    """Raises SpecError for a name that no engine can have in an id."""
    if not re.fullmatch(_ENGINE, name):
        raise SpecError(f"engine {name!r} is no name: lower-case letters and digits are needed, as in eager")
    if any(precision.endswith(f"-{name}") for precision in PRECISIONS):
        raise SpecError(f"engine {name!r} would be read as part of a precision; choose another name")


#: How the `why` of a case begins that options ask for; the options follow.
ASKED_FOR = "asked for by "


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The smallest slowdown that a case promises to catch, as a share of device time,
    and of the wall where anything is promised of that. Raises SpecError for what is
    no share."""

    device: float = 0.01
    wall: float | None = None

    def __post_init__(self) -> None:
        for name, share in (("device", self.device), ("wall", self.wall)):
            if share is not None and not 0 < share < 1:
                raise SpecError(
                    f"promise: {name} is {share}; a share between 0 and 1 is needed (0.01 is 1 %)"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """model x phase x batch x length x precision x engine.

    `length` is the prompt length for prefill and generate, and the number of
    cached tokens before the step for decode. `output_len` is the number of new
    tokens of generate(), None for the single passes. `promise` and `why` are no
    part of the id. Raises SpecError at construction for what cannot be run.
    """

    model: str
    phase: Phase
    batch: int
    length: int
    output_len: int | None = None
    precision: str
    engine: str = "eager"
    promise: Promise = Promise()
    why: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.phase, Phase):
            raise unknown("phase", str(self.phase), tuple(Phase))
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        require_engine_name(self.engine)
        if self.batch < 1 or self.length < 1:
            raise SpecError(f"batch {self.batch} and length {self.length} must be at least 1")
        if (self.phase is Phase.GENERATE) != (self.output_len is not None):
            raise SpecError(f"output_len {self.output_len} does not go with phase {self.phase}")
        if self.output_len is not None and self.output_len < 2:
            raise SpecError(f"output_len {self.output_len}: generate() needs at least 2 tokens")

    @property
    def id(self) -> str:
        """Such as decode-b1-c512-nf4-eager: the pytest id and the file name."""
        kind = "c" if self.phase is Phase.DECODE else "p"
        output = f"-n{self.output_len}" if self.output_len is not None else ""
        return f"{self.phase}-b{self.batch}-{kind}{self.length}{output}-{self.precision}-{self.engine}"

    @property
    def new_tokens(self) -> int:
        """Tokens that the case produces logits or output for, over the batch."""
        per_sequence = {Phase.PREFILL: self.length, Phase.DECODE: 1}
        return self.batch * per_sequence.get(self.phase, self.output_len or 0)

    @classmethod
    def parse(cls, case_id: str, *, model: str, why: str = "") -> "Case":
        """The case that an id names. Raises SpecError for an id of another form."""
        match = _ID.fullmatch(case_id)
        if match is None or match["phase"] not in tuple(Phase):
            raise SpecError(f"case id {case_id!r} is not of the form decode-b1-c512-nf4-eager")
        case = cls(
            model=model,
            phase=Phase(match["phase"]),
            batch=int(match["batch"]),
            length=int(match["length"]),
            output_len=int(match["output"]) if match["output"] else None,
            precision=match["precision"],
            engine=match["engine"],
            why=why,
        )
        if case.id != case_id:
            raise SpecError(f"case id {case_id!r} should read {case.id!r}")
        return case
