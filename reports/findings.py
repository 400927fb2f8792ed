"""What a run found, in sentences whose every number is computed from it."""

from collections.abc import Callable, Sequence
from statistics import median

from analytic import Phase, text
from baselines.attribution import OperatorShare, by_operator
from baselines.derived import CPU, Derived
from baselines.markdown import code, escape
from reports.generation import generations
from reports.operators import NAMED_FROM, chosen

_PASSES = (Phase.PREFILL, Phase.DECODE)

# So many operators are named as those that take most of the device's time.
_LARGEST = 4

# An operator that the bound gives less than this share of its time does next to
# nothing that must be done.
_SLIGHT = 0.01


def key_findings(derived: Sequence[Derived]) -> str:
    """For each phase the best and the middling fraction of the bound, and the rate;
    which operators take the time of one case of each; and generate()."""
    lines = [_phase(phase, cases) for phase in _PASSES if (cases := _of(derived, phase))]
    lines += [said for d in chosen(derived) if (said := _largest(d))]
    if found := generations(derived):
        best = max(found, key=lambda g: g.derived.tokens_per_s)
        lines.append(
            f"- **generate()** decodes at up to {_rate(best.derived)} ({code(best.case.id)}), the prefill left "
            f"out: first token after {text.seconds(best.derived.first_token_s)}, then one every "
            f"{text.seconds(best.derived.tpot_s)}. Of its {text.scaled(best.flops, 'FLOP')}, "
            f"{text.percent(best.prefill_flops / best.flops)} are the prefill's, done at "
            f"{text.scaled(best.prefill_flops_per_s, 'FLOP/s')}; decode ran at "
            f"{text.scaled(best.decode_flops_per_s, 'FLOP/s')}."
        )
    return "\n".join(lines)


def _largest(derived: Derived) -> str:
    """Where the device's time goes first, and how much of it no bound asks for; empty
    where kernels were not told apart."""
    shares = [share for share in by_operator(derived, None) if share.share >= NAMED_FROM]
    if not shares:
        return ""
    said = f"- **Device time** of {code(derived.record.case.id)} goes first to {_named(shares[:_LARGEST])}"
    slight = [s for s in shares if (s.fraction or 0.0) < _SLIGHT]
    if not slight:
        return f"{said}."
    return (
        f"{said}; {text.percent(sum(s.share for s in slight))} of it goes to operators that move next to nothing "
        f"that must be moved (no bound, or one under {text.percent(_SLIGHT, digits=0)} of their time): {_named(slight)}."
    )


def _named(shares: Sequence[OperatorShare]) -> str:
    return ", ".join(f"{escape(s.name)} {text.percent(s.share)}" for s in shares)


def _of(derived: Sequence[Derived], phase: Phase) -> list[Derived]:
    return [d for d in derived if d.record.case.phase is phase]


def _rate(derived: Derived) -> str:
    return f"{text.tokens_per_s(derived.tokens_per_s)} tokens/s"


def _phase(phase: Phase, cases: Sequence[Derived]) -> str:
    timed = [d for d in cases if d.device_fraction is not None]
    said = [_fractions("wall", cases, lambda d: d.wall_fraction)]
    if timed:
        said.insert(0, _fractions("device time", timed, lambda d: d.device_fraction or 0.0))
    fastest = max(cases, key=lambda d: d.tokens_per_s)
    return (
        f"- **{phase.value}**, {_count(cases)}: {'; '.join(said)}. "
        f"Fastest: {_rate(fastest)} ({code(fastest.record.case.id)})."
    )


def _fractions(clock: str, cases: Sequence[Derived], fraction: Callable[[Derived], float]) -> str:
    best = max(cases, key=fraction)
    return (
        f"the bound is {text.percent(fraction(best))} of the {clock} at best ({code(best.record.case.id)}), "
        f"{text.percent(median(fraction(d) for d in cases))} in the median"
    )


def _count(cases: Sequence[Derived]) -> str:
    return text.counted(len(cases), "case")


def bottlenecks(derived: Sequence[Derived]) -> str:
    """What binds each phase, case by case, with the numbers that say so."""
    lines = []
    for phase in _PASSES:
        cases = _of(derived, phase)
        for regime in ("launch", "memory", "compute", "unknown"):
            held = [d for d in cases if d.regime == regime]
            if held:
                lines.append(
                    f"- **{phase.value}: {held[0].binding}** in {len(held)} of {_count(cases)}. {_evidence(regime, held)}"
                )
    return "\n".join(lines)


def _evidence(regime: str, held: Sequence[Derived]) -> str:
    if regime == "launch":
        worst = max(held, key=lambda d: d.host_share or 0.0)
        return (
            f"Most so {code(worst.record.case.id)}: the wall is {text.seconds(worst.wall_s)}, the kernels run "
            f"for {text.seconds(worst.device_s)} of it; {text.percent(worst.host_share)} of the wall the GPU "
            f"waits for the host. By its intensity alone it would be {worst.bound.limiter}-bound."
        )
    if regime == "unknown":
        notes = dict.fromkeys(d.record.measurement.device_note or "it was not measured" for d in held)
        return f"Whether launches bind cannot be told without device time: {escape('; '.join(notes))}."
    by_intensity = " By intensity alone: a CPU has no device clock." if held[0].record.gpu == CPU else ""
    side = "below" if regime == "memory" else "above"
    return f"Operational intensity {side} the ridge point: {_intensities(held)}.{by_intensity}"


def _intensities(held: Sequence[Derived]) -> str:
    """The range of intensities against each ridge point (one per compute dtype)."""
    ridges: dict[tuple[str, float], list[float]] = {}
    for d in held:
        ridges.setdefault((d.costs[0].math, d.bound.ridge_point), []).append(d.bound.intensity)
    said = []
    for (dtype, ridge), values in ridges.items():
        span = " to ".join(dict.fromkeys(f"{value:.1f}" for value in (min(values), max(values))))
        said.append(f"{span} against {ridge:.1f} FLOP/byte ({dtype})")
    return "; ".join(said)
