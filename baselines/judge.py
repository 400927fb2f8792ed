"""The judgement: validity, physics, expectation, counts, device time, wall time.

A pure function of what a run observed, the bands, the stored sessions and the
policy. It reads no files and knows no GPU.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from analytic import text
from baselines.allowed import Allowed
from baselines.canary import Fall
from baselines.card_clock import steps_above
from baselines.comparison import Comparison, compare
from baselines.derived import CPU, Derived
from baselines.expectations import Band, find_band
from baselines.past import Past
from baselines.policy import Policy
from baselines.record import Kind
from baselines.refresh_command import refresh_case
from baselines.store import differing
from baselines.suite import Stored, alike, suite_of
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
    unusable: Mapping[str, Sequence[str]] = MappingProxyType({}),
    unconfirmed: str = "",
) -> Judgement:
    """The verdicts, in the order of `run`.

    `fresh` maps case ids to what fresh processes measured of them again, in their
    order, `unusable` to why others say nothing; `unconfirmed` says why there are none.
    `stored` maps case ids to baselines, `damaged` to why there is none that can be
    read. `suite` are all baselines of the run's GPUs and models, whether measured in this
    run or not: the spread of those under one hard key is pooled, so that a case is judged
    alike whatever else was selected. `allowed` are the changes of counts that are declared.
    """
    invalid = {derived.record.case.id: _validity(derived) for derived in run}
    # Of what the GPU's state spoilt history is not asked.
    asked = {case_id: one for case_id, one in stored.items() if not invalid.get(case_id)}
    pasts = _pasts(run, asked, suite, policy, fresh=fresh, unusable=unusable)
    verdicts, suspects = [], []
    for derived in run:
        case_id = derived.record.case.id
        spoilt, past = invalid[case_id], pasts[derived.record.kind]
        known, one = stored.get(case_id), past.compared.get(case_id)
        fall = one.fall if one else None
        found = [*_physics(derived), *_expectation(derived, bands, fall), *_memory(derived), *_clock(derived)]
        if case_id in damaged:
            found.append(Finding(status=Status.INCOMPARABLE, text=damaged[case_id]))
        elif known is None:
            found.append(Finding(status=Status.NO_BASELINE, text="no baseline is stored for this case"))
        elif one is not None:
            found += past.findings(case_id, allowed, unconfirmed=unconfirmed)
            if past.unsettled(case_id, allowed):
                suspects.append(case_id)
        elif not spoilt:
            keys = "; ".join(differing(known.baseline.hard, derived.record.hard))
            other = f"{known.place} was taken under another hard key: {keys}"
            replace = f"replace it: {refresh_case(derived, known.store)}"
            found.append(Finding(status=Status.INCOMPARABLE, text=f"{other}; {replace}"))
        found = [*spoilt, *_worst_first(found)]
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
    shifts = [past.shift for past in pasts.values() if past.shift is not None]
    return Judgement(verdicts=tuple(verdicts), shift=shifts[0] if shifts else None, suspects=tuple(suspects))


def _pasts(
    run: Sequence[Derived],
    stored: Mapping[str, Stored],
    suite: Sequence[Stored],
    policy: Policy,
    *,
    fresh: Mapping[str, Sequence[Derived]],
    unusable: Mapping[str, Sequence[str]],
) -> dict[Kind, Past]:
    """What history says of each kind."""
    kinds: dict[Kind, list[Derived]] = {}
    for derived in run:
        kinds.setdefault(derived.record.kind, []).append(derived)
    pasts = {}
    for kind, together in kinds.items():
        known = alike(suite, kind)
        pooled = suite_of(known)
        compared: dict[str, Comparison] = {}
        for derived in together:
            case_id = derived.record.case.id
            one = stored.get(case_id)
            if one is None or one.baseline.hard != derived.record.hard:
                continue
            again, lost = fresh.get(case_id, ()), unusable.get(case_id, ())
            compared[case_id] = compare(derived, again, one, pooled, policy, unusable=lost)
        pasts[kind] = Past.of(compared, policy, suite=len(known))
    return pasts


def _worst_first(found: Sequence[Finding]) -> list[Finding]:
    """What a slow GPU explains is `invalid`; what it does not explain comes before it.
    sorted() keeps the order of checks among equals."""
    order: list[Status] = [status for status in Status if status is not Status.INVALID]
    order.insert(order.index(Status.REGRESSED) + 1, Status.INVALID)
    return sorted(found, key=lambda f: order.index(f.status))


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


def _expectation(derived: Derived, bands: Sequence[Band], fall: Fall | None) -> list[Finding]:
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
    if fraction < band.low <= fraction * math.exp(fall.excused if fall else 0.0):
        slow = f"the GPU was slow, not the code: {fall.words if fall else ''}"
        return [Finding(status=Status.INVALID, text=f"{slow}; {said} < {band.low:g}, below {limits}")]
    if fraction < band.low:
        # Other work on a CPU slows a step a hundredfold: said, and no failure.
        status = Status.WARN if record.gpu == CPU else Status.BELOW_BAND
        return [Finding(status=status, text=f"{said} < {band.low:g}, below {limits}")]
    if fraction > band.high:
        return [Finding(status=Status.WARN, text=f"{said} > {band.high:g}, above {limits}: raise the band")]
    return [Finding(status=Status.PASS, text=f"{said} lies in {limits}")]
