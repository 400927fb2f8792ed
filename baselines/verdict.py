"""The words of the judgement: statuses, what each does to a test, and a verdict."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Worst first: of several findings the first in this order is the verdict's."""

    INVALID = "invalid"
    IMPOSSIBLE = "impossible"
    BELOW_BAND = "below_band"
    REGRESSED = "regressed"
    SUSPECT = "suspect"
    INCOMPARABLE = "incomparable"
    AMBIGUOUS = "ambiguous"
    NOT_MEASURED = "not_measured"
    NO_BASELINE = "no_baseline"
    SHIFTED = "shifted"
    IMPROVED = "improved"
    WARN = "warn"
    PASS = "pass"  # noqa: S105 - no password


class Outcome(StrEnum):
    """What a status does to its pytest item."""

    PASSES = "passes"
    SKIPS = "skips"
    FAILS = "fails"


_PLAIN = {
    Status.INVALID: Outcome.SKIPS,
    Status.IMPOSSIBLE: Outcome.FAILS,
    Status.BELOW_BAND: Outcome.FAILS,
    Status.REGRESSED: Outcome.FAILS,
    Status.INCOMPARABLE: Outcome.SKIPS,
}
_STRICT = (
    Status.INVALID,
    Status.IMPOSSIBLE,
    Status.BELOW_BAND,
    Status.REGRESSED,
    Status.SUSPECT,
    Status.INCOMPARABLE,
    Status.AMBIGUOUS,
    Status.NOT_MEASURED,
    Status.NO_BASELINE,
)

#: What fails a plain run: somebody has to look.
FAILING = tuple(status for status, outcome in _PLAIN.items() if outcome is Outcome.FAILS)

#: What says that a case was judged and is as it should be. What is neither this nor
#: failing leaves open how the case stands.
SETTLED = (Status.PASS, Status.IMPROVED, Status.WARN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's result, in words and with both numbers."""

    status: Status
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The status of one case, with every finding in words and both numbers.

    `damaged`: its stored baseline cannot be read, which always fails. `for_all`: all
    cases moved together and nothing explains it, which fails here for all of them.
    `sees_device` and `sees_wall` are the least changes, as shares, that nine nights in
    ten would claim (yardstick.py); None where nothing was judged.
    """

    case: str
    status: Status
    reasons: tuple[str, ...]
    baseline_digest: str | None = None
    damaged: bool = False
    for_all: bool = False
    sees_device: float | None = None
    sees_wall: float | None = None

    @property
    def fails(self) -> bool:
        """Whether it fails a plain run."""
        return self.outcome(strict=False) is Outcome.FAILS

    def outcome(self, *, strict: bool) -> Outcome:
        if self.damaged or self.for_all:
            return Outcome.FAILS
        if strict:
            return Outcome.FAILS if self.status in _STRICT else Outcome.PASSES
        return _PLAIN.get(self.status, Outcome.PASSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """All cases moved together: `change` is the middle of their changes, as a share;
    `fails` where nothing of the soft key explains it. One finding for the whole run."""

    change: float
    cases: tuple[str, ...]
    fails: bool
    text: str


def not_measured(case_id: str, reason: str) -> Verdict:
    return Verdict(case=case_id, status=Status.NOT_MEASURED, reasons=(reason,))
