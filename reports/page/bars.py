"""The waterfall of each case as a bar: from the datasheet's bound to the wall."""

from collections.abc import Sequence
from dataclasses import dataclass

from analytic import Phase, text
from baselines.derived import Derived
from reports.waterfall import Waterfall, waterfall

# What a step of the wall is spent on, in order, with its words.
KINDS = {
    "bound": "bound by the roofs",
    "ceilings": "what the machine falls short of it",
    "kernels": "what the kernels take beyond that",
    "host": "no kernel runs: the GPU waits for the host",
    "unknown": "not told apart: no device time",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """`share` is of the bar's width, in per cent."""

    kind: str
    share: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One prefill or decode case; `words` say in numbers what its segments show, `odd`
    what of it cannot be, empty of most."""

    case: str
    wall: str
    segments: tuple[Segment, ...]
    words: str
    odd: str


def bars(derived: Sequence[Derived]) -> tuple[Bar, ...]:
    return tuple(_bar(waterfall(d)) for d in derived if d.record.case.phase is not Phase.GENERATE)


def _bar(fall: Waterfall) -> Bar:
    steps = _steps(fall)
    whole_s = max(fall.wall_s, sum(time_s for _, time_s in steps))
    segments = tuple(
        Segment(
            kind=kind,
            share=round(100 * time_s / whole_s, 2),
            words=f"{KINDS[kind]}: {text.seconds(time_s)} ({text.percent(time_s / fall.wall_s)})",
        )
        for kind, time_s in steps
    )
    words = "; ".join(segment.words for segment in segments)
    return Bar(
        case=fall.case_id,
        wall=text.seconds(fall.wall_s),
        segments=segments,
        words=f"{fall.case_id}: wall {text.seconds(fall.wall_s)}; {words}",
        odd=_odd(fall),
    )


def _steps(fall: Waterfall) -> list[tuple[str, float]]:
    """Each step's seconds. Levels are of different steps, so that one may lie under the
    one before it: its own step is then nothing, and `odd` says so."""
    measured = [
        (kind, level_s)
        for kind, level_s in (
            ("bound", fall.bound_s),
            ("ceilings", fall.ceiling_s),
            ("kernels", fall.device_s),
        )
        if level_s is not None
    ]
    last = "unknown" if fall.device_s is None else "host"
    reached_s, found = 0.0, []
    for kind, level_s in (*measured, (last, fall.wall_s)):
        found.append((kind, max(0.0, level_s - reached_s)))
        reached_s = max(reached_s, level_s)
    return found


def _odd(fall: Waterfall) -> str:
    if fall.host_s is not None and fall.host_s < 0:
        return f"the profiled kernels took {text.seconds(-fall.host_s)} longer than the timed steps"
    if fall.kernels_s is not None and fall.kernels_s < 0:
        return f"the kernels were {text.seconds(-fall.kernels_s)} faster than the measured ceilings"
    return ""
