"""The judgement: validity, physics, expectation, counts, device time, wall time.

A pure function of what a run observed, the bands, the stored sessions and the
policy. It reads no files and knows no GPU.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytic import text
from baselines.allowed import Allowed
from baselines.card_clock import steps_above
from baselines.comparison import Comparison, compare
from baselines.derived import CPU, Derived
from baselines.expectations import Band, find_band
from baselines.past import Past
from baselines.policy import Policy
from baselines.store import differing
from baselines.suite import Stored, suite_of
from baselines.validity import spoilers
from baselines.verdict import Finding, Shift, Status, Verdict

# How far a predicted peak of memory may be off before it is said.
MEMORY_TOLERANCE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One verdict per measured case, what moved all together, and which cases fresh
    processes are still to measure before more can be said."""

    verdicts: tuple[Verdict, ...]
    shift: Shift | None
    suspects: tuple[str, ...]


def judge(
    run: Sequence[Derived],
    *,
    fresh: Mapping[str, Sequence[Derived]],
    stored: Mapping[str, Stored],
    damaged: Mapping[str, str],
    suite: Sequence[Stored],
    bands: Sequence[Band],
    allowed: Sequence[Allowed],
    policy: Policy,
    unconfirmed: str = "",
) -> Judgement:
    """The verdicts, in the order of `run`.

    `fresh` maps case ids to what fresh processes measured of them again, in their
    order; `unconfirmed` says why there are none. `stored` maps case ids to baselines,
    `damaged` to why there is none that can be read. `suite` are all baselines of the
    same GPU and model, whether measured in this run or not: their spread is pooled, so
    that a case is judged alike whatever else was selected. `allowed` are the changes of
    counts that are declared.
    """
    pooled = suite_of(suite)
    compared: dict[str, Comparison] = {}
    for derived in run:
        case_id = derived.record.case.id
        baseline = stored.get(case_id)
        if baseline is not None and baseline.baseline.hard == derived.record.hard:
            compared[case_id] = compare(derived, fresh.get(case_id, ()), baseline, pooled, policy)
    past = Past.of(compared, policy, suite=len(suite))
    verdicts, suspects = [], []
    for derived in run:
        case_id = derived.record.case.id
        found = [
            *_validity(derived),
            *_physics(derived),
            *_expectation(derived, bands),
            *_memory(derived),
            *_clock(derived),
        ]
        known, one = stored.get(case_id), compared.get(case_id)
        if case_id in damaged:
            found.append(Finding(status=Status.INCOMPARABLE, text=damaged[case_id]))
        elif known is None:
            found.append(Finding(status=Status.NO_BASELINE, text="no baseline is stored for this case"))
        elif one is None:
            keys = "; ".join(differing(known.baseline.hard, derived.record.hard))
            other = f"{known.place} was taken under another hard key: {keys}"
            found.append(Finding(status=Status.INCOMPARABLE, text=other))
        else:
            found += past.findings(case_id, allowed, unconfirmed=unconfirmed)
        # Worst first; sorted() keeps the order of checks among equals.
        found = sorted(found, key=lambda f: tuple(Status).index(f.status))
        if one is not None and found[0].status is not Status.INVALID and past.unsettled(case_id, allowed):
            suspects.append(case_id)
        verdicts.append(
            Verdict(
                case=case_id,
                status=found[0].status,
                reasons=tuple(f.text for f in found),
                baseline_digest=known.digest if known else None,
                damaged=case_id in damaged,
                for_all=past.shift is not None and past.shift.fails and case_id == past.shift.cases[0],
                sees_device=past.night.sees(one.device) if one and one.device else None,
                sees_wall=past.night.sees(one.wall) if one and one.wall else None,
            )
        )
    return Judgement(verdicts=tuple(verdicts), shift=past.shift, suspects=tuple(suspects))


def _validity(derived: Derived) -> list[Finding]:
    reasons = spoilers(derived.as_run.measurement)
    return [Finding(status=Status.INVALID, text="; ".join(reasons))] if reasons else []


def _physics(derived: Derived) -> list[Finding]:
    """No clock may show less than the least time: a wall below it was not synchronised."""
    # Ceilings measured on a CPU are no law: a case may beat them.
    if derived.record.gpu == CPU:
        return []
    clocks = (("device time", derived.device_s), ("wall time", derived.wall_s))
    return [
        Finding(
            status=Status.IMPOSSIBLE,
            text=(
                f"{clock} {text.seconds(measured_s)} < {text.seconds(derived.least_s)}, the least "
                f"that {derived.roofs.label} allows: the measurement is broken"
            ),
        )
        for clock, measured_s in clocks
        if measured_s is not None and measured_s < derived.least_s
    ]


def _memory(derived: Derived) -> list[Finding]:
    """The plan lets a case run by its predicted peak: a prediction that is off is said."""
    memory = derived.record.measurement.memory
    if memory.peak_bytes is None:
        return []
    error = memory.predicted_bytes / memory.peak_bytes - 1
    if abs(error) <= MEMORY_TOLERANCE:
        return []
    peaks = f"peak memory {text.gib(memory.peak_bytes)}, {text.gib(memory.predicted_bytes)} predicted"
    return [Finding(status=Status.WARN, text=f"{peaks}: {text.signed_percent(error)} off")]


def _clock(derived: Derived) -> list[Finding]:
    """Steps that ran above the card's own clock are judged at that clock: both times are said."""
    sampled = derived.as_run.measurement
    fast, clocks = steps_above(sampled), sampled.held_clock_mhz or ()
    if not fast:
        return []
    highest = f"up to {max(clocks):,.0f} MHz where {sampled.sm_clock_max_mhz:,} are the highest"
    said = (
        f"{fast} of {len(clocks)} steps ran above the card's own clock, at {highest}: device time "
        f"{text.seconds(derived.as_run_s)} as run, {text.seconds(derived.device_s)} at the card's own"
    )
    return [Finding(status=Status.PASS, text=said)]


def _expectation(derived: Derived, bands: Sequence[Band]) -> list[Finding]:
    record = derived.record
    band = find_band(bands, gpu=record.gpu, case=record.case)
    if band is None:
        shown = f"no band for {record.gpu} × {record.case.model} × {record.case.id}"
        return [Finding(status=Status.WARN, text=f"{shown}: the fraction is shown, not judged")]
    on_device = band.metric == "lower_s/device_s"
    fraction = derived.device_fraction if on_device else derived.wall_fraction
    if fraction is None:
        note = record.measurement.device_note or "it was not measured"
        return [Finding(status=Status.WARN, text=f"no device time to hold against the band: {note}")]
    said = f"{band.metric} {fraction:.3f}"
    limits = f"the band {band.low:g} to {band.high:g} ({band.reason})"
    if fraction < band.low:
        # Other work on a CPU slows a step a hundredfold: said, and no failure.
        status = Status.WARN if record.gpu == CPU else Status.BELOW_BAND
        return [Finding(status=status, text=f"{said} < {band.low:g}, below {limits}")]
    if fraction > band.high:
        return [Finding(status=Status.WARN, text=f"{said} > {band.high:g}, above {limits}: raise the band")]
    return [Finding(status=Status.PASS, text=f"{said} lies in {limits}")]
