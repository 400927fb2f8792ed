"""From the datasheet's bound down to the wall clock, case by case: where a step's time goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from analytic import Phase, text
from baselines.derived import CPU, Derived
from baselines.markdown import code, table

_HEADERS = ("case", "bound", "+ to ceilings", "+ to device time", "+ host", "= wall", "back to back")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """The levels of one case in seconds, each of which should not exceed the next;
    None where it was not measured. `back_to_back_s` is a step out of a burst."""

    case_id: str
    bound_s: float
    ceiling_s: float | None
    device_s: float | None
    wall_s: float
    back_to_back_s: float | None

    @property
    def ceilings_s(self) -> float | None:
        """What the machine falls short of its datasheet."""
        return None if self.ceiling_s is None else self.ceiling_s - self.bound_s

    @property
    def kernels_s(self) -> float | None:
        """What the kernels take beyond what the machine was seen to reach."""
        if self.device_s is None:
            return None
        return self.device_s - (self.bound_s if self.ceiling_s is None else self.ceiling_s)

    @property
    def host_s(self) -> float | None:
        """The wall in which no kernel runs; below 0 where the profiled kernels took
        longer than the timed steps."""
        return None if self.device_s is None else self.wall_s - self.device_s


def waterfall(derived: Derived) -> Waterfall:
    bursts = derived.record.measurement.back_to_back_s
    # A CPU's bound is its ceilings: there is no step between them.
    measured = None if derived.record.gpu == CPU else derived.ceiling_bound
    return Waterfall(
        case_id=derived.record.case.id,
        bound_s=derived.bound.lower_s,
        ceiling_s=None if measured is None else measured.lower_s,
        device_s=derived.as_run_s,
        wall_s=derived.wall_s,
        back_to_back_s=median(bursts) if bursts else None,
    )


def waterfalls(derived: Sequence[Derived]) -> str:
    """The table of every prefill and decode case, and what in it cannot be; empty
    without such cases."""
    found = [waterfall(d) for d in derived if d.record.case.phase is not Phase.GENERATE]
    if not found:
        return ""
    rows = [
        (
            code(one.case_id),
            *(_step(value, one.wall_s) for value in (one.bound_s, one.ceilings_s, one.kernels_s, one.host_s)),
            text.seconds(one.wall_s),
            text.seconds(one.back_to_back_s),
        )
        for one in found
    ]
    # No engine but those that can run steps in a burst has the last column.
    columns = len(_HEADERS) - all(one.back_to_back_s is None for one in found)
    steps = table(_HEADERS[:columns], [row[:columns] for row in rows])
    intro = (
        "Each step of the wall with its share of it: the bound, what the machine falls short of it, what "
        "the kernels take beyond that, and the time in which no kernel runs."
    )
    return "\n\n".join(part for part in (intro, steps, _negative(found)) if part)


def _step(value_s: float | None, wall_s: float) -> str:
    return (
        text.seconds(None)
        if value_s is None
        else f"{text.seconds(value_s)} ({text.percent(value_s / wall_s)})"
    )


def _negative(found: Sequence[Waterfall]) -> str:
    """In words, the steps that cannot be: the levels were not measured at once."""
    lines = []
    for one in found:
        if one.host_s is not None and one.host_s < 0:
            lines.append(
                f"- {code(one.case_id)}: the profiled kernels took {text.seconds(-one.host_s)} longer than the "
                "timed steps around them. The two are different steps: the clock may have differed, or the "
                "profiler have slowed the kernels. The host's share is not known."
            )
        if one.kernels_s is not None and one.kernels_s < 0:
            lines.append(
                f"- {code(one.case_id)}: the kernels were {text.seconds(-one.kernels_s)} faster than the measured "
                "ceilings allow: these were measured at other sizes and at another moment, and bytes that the "
                "bound counts may have come from a cache."
                if one.ceiling_s is not None
                else f"- {code(one.case_id)}: the kernels were faster than their bound."
            )
    return "\n".join(lines)
