"""The cases that options ask for, without a file of them.

Each option replaces one dimension of a lane's cases by its own values.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from analytic import ASKED_FOR, Case, Phase, SpecError
from analytic.errors import unknown
from analytic.precision import PRECISIONS
from analytic.small_file import shown
from perf_tests.case_file import LARGEST
from perf_tests.engines.registry import engine_named

PRECISION, ENGINE = "--perf-precision", "--perf-engine"
BATCH, CONTEXT, PROMPT = "--perf-batch", "--perf-context", "--perf-prompt"
OPTIONS = (PRECISION, ENGINE, BATCH, CONTEXT, PROMPT)

# All that asks for other cases than those of cases.toml, or for another model's.
OTHER_CASES = ("--perf-model", "--perf-cases", "--perf-checkpoint", *OPTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the options ask for; an empty tuple leaves a dimension as the table has
    it. `by` is the options as they were given."""

    by: str
    precisions: tuple[str, ...]
    engines: tuple[str, ...]
    batches: tuple[int, ...]
    contexts: tuple[int, ...]
    prompts: tuple[int, ...]

    def measures(self, phase: Phase) -> bool:
        """Lengths of one kind alone ask for the phases that they are lengths of."""
        decodes = phase is Phase.DECODE
        asked, other = (self.contexts, self.prompts) if decodes else (self.prompts, self.contexts)
        return bool(asked) or not other

    def lengths(self, phase: Phase) -> tuple[int, ...]:
        return self.contexts if phase is Phase.DECODE else self.prompts


def read_options(given: Callable[[str], str | None], *, base: Path) -> Asked | None:
    """What the OPTIONS ask for, each given as text with commas; None where none is.
    Files of engines are looked for from `base` on.

    Raises SpecError that names the option, the value and what would be right.
    """
    texts = {option: text for option in OPTIONS if (text := given(option)) is not None}
    if not texts:
        return None
    values = {option: _values(option, text) for option, text in texts.items()}
    sizes = {o: tuple(_size(o, value) for value in values.get(o, ())) for o in (BATCH, CONTEXT, PROMPT)}
    return Asked(
        by=" ".join(f"{option}={text}" for option, text in texts.items()),
        precisions=tuple(_precision(value) for value in values.get(PRECISION, ())),
        engines=tuple(_engine(value, base) for value in values.get(ENGINE, ())),
        batches=sizes[BATCH],
        contexts=sizes[CONTEXT],
        prompts=sizes[PROMPT],
    )


def replaced(cases: Iterable[Case], asked: Asked) -> tuple[Case, ...]:
    """The cases with the dimensions that are asked for replaced, each once."""
    found: dict[str, Case] = {}
    for case in cases:
        if not asked.measures(case.phase):
            continue
        for batch, length, precision, engine in product(
            asked.batches or (case.batch,),
            asked.lengths(case.phase) or (case.length,),
            asked.precisions or (case.precision,),
            asked.engines or (case.engine,),
        ):
            changed = replace(
                case,
                batch=batch,
                length=length,
                precision=precision,
                engine=engine,
                why=f"{ASKED_FOR}{asked.by}",
            )
            found.setdefault(changed.id, changed)
    return tuple(found.values())


def _values(option: str, text: str) -> Sequence[str]:
    values = [value.strip() for value in text.split(",")]
    if not all(values):
        raise SpecError(f"{option}={text}: a value, or several with commas between them, is needed")
    return tuple(dict.fromkeys(values))


def _precision(value: str) -> str:
    if value not in PRECISIONS:
        raise SpecError(f"{PRECISION}: {unknown('precision', value, PRECISIONS)}")
    return value


def _engine(value: str, base: Path) -> str:
    try:
        return engine_named(value, base=base).name
    except SpecError as error:
        raise SpecError(f"{ENGINE}: {error}") from error


def _size(option: str, value: str) -> int:
    # int() takes underscores, signs and other scripts' digits too.
    size = int(value) if re.fullmatch("[0-9]{1,10}", value) else 0
    if not 1 <= size <= LARGEST:
        raise SpecError(f"{option}: {shown(value)} is no whole number from 1 to {LARGEST:,}")
    return size
