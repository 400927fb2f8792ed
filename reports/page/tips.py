"""What is said at a point of a figure: the numbers behind it, by the point's gid."""

from collections.abc import Sequence

from analytic import Ceilings, Phase, text
from baselines.attribution import by_operator
from baselines.derived import Derived
from reports.operators import chosen


def roofline_tips(derived: Sequence[Derived]) -> dict[str, str]:
    """Of bound, device time and wall of every prefill and decode case."""
    found = {}
    for d in derived:
        case = d.record.case
        if case.phase is Phase.GENERATE:
            continue
        clock = "wall" if d.device_s is None else "device time"
        rate = text.scaled(d.bound.flops / d.gating_s, "FLOP/s")
        fraction = text.percent(d.bound.lower_s / d.gating_s)
        found[f"measured:{case.id}"] = (
            f"{case.id}: {rate} by {clock} ({text.seconds(d.gating_s)}), {fraction} of its bound"
        )
        found[f"wall:{case.id}"] = (
            f"{case.id}: {text.scaled(d.bound.flops / d.wall_s, 'FLOP/s')} by the wall ({text.seconds(d.wall_s)}), "
            f"{text.percent(d.wall_fraction)} of its bound"
        )
        found[f"bound:{case.id}"] = (
            f"{case.id}: at most {text.scaled(d.bound.attainable_flops_per_s, 'FLOP/s')} at "
            f"{d.bound.intensity:.1f} FLOP/byte, {text.seconds(d.bound.lower_s)}"
        )
    return found


def roofline_words(derived: Sequence[Derived]) -> str:
    """The figure in words: what each phase reaches, and of which roof."""
    said = []
    for phase in (Phase.PREFILL, Phase.DECODE):
        cases = [d for d in derived if d.record.case.phase is phase]
        if cases:
            reached = _ends([d.bound.flops / d.gating_s for d in cases], "FLOP/s")
            allowed = _ends([d.bound.attainable_flops_per_s for d in cases], "FLOP/s")
            said.append(f"{phase.value} reaches {reached} where {allowed} are the bound")
    roofs = derived[0].roofs
    dtypes = dict.fromkeys(d.costs[0].math for d in derived)
    ridges = ", ".join(f"{roofs.ridge_point(dtype):.1f} FLOP/byte ({dtype})" for dtype in dtypes)
    return f"Roofline: {'; '.join(said) or 'no prefill or decode case'}; ridge point {ridges}. All numbers are in the table of results."


def operator_tips(derived: Sequence[Derived], ceilings: Ceilings | None) -> dict[str, str]:
    """Of every operator of the cases that are shown by operator."""
    return {
        f"operator:{d.record.case.id}:{share.name}": (
            f"{share.name}: {text.seconds(share.device_s)}, {text.percent(share.share)} of device time, "
            f"{text.percent(share.fraction)} of its roof"
        )
        for d in chosen(derived)
        for share in by_operator(d, ceilings)
    }


def operator_words(derived: Sequence[Derived]) -> str:
    cases = ", ".join(d.record.case.id for d in chosen(derived))
    return f"Operators of {cases} under the roofs; the tables by operator hold all numbers."


def breakdown_words(derived: Sequence[Derived]) -> str:
    cases = [d for d in derived if d.record.case.phase is Phase.GENERATE]
    if not cases:
        return "generate() was not measured."
    rates = _ends([d.tokens_per_s for d in cases], "tokens/s")
    return (
        f"generate() by prompt length: decode at {rates}, achieved FLOP/s against the peak, time, FLOPs by "
        "phase. All numbers are in its table."
    )


def _ends(values: Sequence[float], unit: str) -> str:
    """The lowest and the highest, once where they are one."""
    return " to ".join(dict.fromkeys(text.scaled(end, unit) for end in (min(values), max(values))))
