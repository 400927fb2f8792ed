"""One change and what it would do, with the reason."""

from dataclasses import dataclass

from analytic import text
from analytic.case import Case
from analytic.estimate import Interval
from analytic.whatif.present import Present
from analytic.whatif.run import Run

# A predicted gain up to this ratio is within what the model cannot tell.
NO_GAIN = 1.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One change to a case.

    `lower_s` is the bound of its pass, `device` and `wall` the estimates, in
    seconds; a pass yields `tokens`. `gain` is the ratio of throughputs, `pace`
    that of one sequence alone. `basis` says what the gain rests on: "estimate",
    or "bound" where no kernel's time is known. All are None where the change
    cannot be made or foretold, as `reason` says. `case` is the changed case,
    None where it is the engine that changes.
    """

    name: str
    case: Case | None
    lower_s: float | None
    device: Interval | None
    wall: Interval | None
    tokens: float | None
    gain: float | None
    pace: float | None
    basis: str | None
    reason: str

    @property
    def gains(self) -> bool:
        return self.gain is not None and self.gain > NO_GAIN

    @property
    def wall_s(self) -> float | None:
        return None if self.wall is None else self.wall.typical_s


def foretold(now: Present, name: str, case: Case | None, run: Run, reason: str) -> Option:
    gain = now.gain(run)
    batch = now.case.batch if case is None else case.batch
    return Option(
        name=name,
        case=case,
        lower_s=run.lower_s,
        device=now.device(run),
        wall=now.wall(run),
        tokens=run.tokens,
        gain=gain,
        pace=gain * now.case.batch / batch,
        basis="estimate" if now.estimated else "bound",
        reason=reason,
    )


def impossible(name: str, case: Case | None, reason: str) -> Option:
    return Option(
        name=name,
        case=case,
        lower_s=None,
        device=None,
        wall=None,
        tokens=None,
        gain=None,
        pace=None,
        basis=None,
        reason=reason,
    )


def floored(now: Present, run: Run) -> str:
    """What is to be added where a run waits for its launches; else empty."""
    floor_s = now.waits_s(run)
    if floor_s is None:
        return ""
    becomes = "stays" if now.launch_bound else "becomes"
    counted = f" ({run.launches:,.0f} × {text.seconds(now.gap.typical_s)})" if now.estimated else ""
    return f"; the host's {text.seconds(floor_s)} of launching{counted} {becomes} the floor"
