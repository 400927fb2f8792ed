"""The judgement: validity, physics, expectation, history.

A pure function of what a run observed, the bands, the stored sessions and the
policy. It reads no files and knows no GPU.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from analytic import text
from baselines.derived import Derived
from baselines.expectations import Band, find_band
from baselines.interval import Spread, own_spread, pool, prediction_margin, spread_for
from baselines.policy import Policy
from baselines.store import Baseline, differing


class Status(StrEnum):
    """Worst first: of several findings the first in this order is the verdict's."""

    INVALID = "invalid"
    IMPOSSIBLE = "impossible"
    BELOW_BAND = "below_band"
    REGRESSED = "regressed"
    INCOMPARABLE = "incomparable"
    NOT_MEASURED = "not_measured"
    NO_BASELINE = "no_baseline"
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
    Status.INCOMPARABLE,
    Status.NOT_MEASURED,
    Status.NO_BASELINE,
)

# NVML event reasons under which a time says nothing about the code. A power
# cap is not among them: during prefill on a T4 it is normal.
SPOILING_REASONS = ("hw_slowdown", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The status of one case, with every finding in words and both numbers."""

    case: str
    status: Status
    reasons: tuple[str, ...]
    baseline_digest: str | None = None

    def outcome(self, *, strict: bool) -> Outcome:
        if strict:
            return Outcome.FAILS if self.status in _STRICT else Outcome.PASSES
        return _PLAIN.get(self.status, Outcome.PASSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The baseline of a case, and where it lies, to be named in a message."""

    baseline: Baseline
    place: str
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    status: Status
    text: str


def not_measured(case_id: str, reason: str) -> Verdict:
    return Verdict(case=case_id, status=Status.NOT_MEASURED, reasons=(reason,))


def judge(
    run: Sequence[Derived],
    *,
    stored: Mapping[str, Stored],
    damaged: Mapping[str, str],
    bands: Sequence[Band],
    policy: Policy,
) -> tuple[Verdict, ...]:
    """One verdict per measured case, in the order of `run`.

    `stored` maps case ids to baselines, `damaged` to why there is none that can
    be read. The between-session spread is pooled
    over all of them, which is why a run is judged as a whole.
    """
    spreads = [own_spread(_logs(s.baseline)) for s in stored.values()]
    pooled = pool([s for s in spreads if s is not None])
    verdicts = []
    for derived in run:
        case_id = derived.record.case.id
        findings = [*_validity(derived), *_physics(derived), *_expectation(derived, bands)]
        if case_id in damaged:
            findings.append(_Finding(status=Status.INCOMPARABLE, text=damaged[case_id]))
        else:
            findings += _history(derived, stored.get(case_id), pooled, policy)
        verdicts.append(_verdict(case_id, findings, stored.get(case_id)))
    return tuple(verdicts)


def _verdict(case_id: str, findings: Sequence[_Finding], stored: Stored | None) -> Verdict:
    order = tuple(Status)
    worst_first = sorted(findings, key=lambda f: order.index(f.status))
    return Verdict(
        case=case_id,
        status=worst_first[0].status,
        reasons=tuple(f.text for f in worst_first),
        baseline_digest=stored.digest if stored else None,
    )


def _validity(derived: Derived) -> list[_Finding]:
    sampled = derived.record.measurement
    reasons = {
        reason
        for state in (sampled.state_before, sampled.state_after)
        if state is not None
        for reason in state.event_reasons or ()
        if reason in SPOILING_REASONS
    }
    if not reasons:
        return []
    return [_Finding(status=Status.INVALID, text=f"the GPU was slowed by {', '.join(sorted(reasons))}")]


def _physics(derived: Derived) -> list[_Finding]:
    # Ceilings measured on a CPU are no law: a case may beat them.
    if derived.record.gpu == "cpu" or derived.gating_s >= derived.least_s:
        return []
    clock = "wall time" if derived.device_s is None else "device time"
    return [
        _Finding(
            status=Status.IMPOSSIBLE,
            text=(
                f"{clock} {text.seconds(derived.gating_s)} < {text.seconds(derived.least_s)}, the least "
                f"that {derived.roofs.label} allows: the measurement is broken"
            ),
        )
    ]


def _expectation(derived: Derived, bands: Sequence[Band]) -> list[_Finding]:
    record = derived.record
    band = find_band(bands, gpu=record.gpu, case=record.case)
    if band is None:
        shown = f"no band for {record.gpu} × {record.case.model} × {record.case.id}"
        return [_Finding(status=Status.WARN, text=f"{shown}: the fraction is shown, not judged")]
    on_device = band.metric == "lower_s/device_s"
    fraction = derived.device_fraction if on_device else derived.wall_fraction
    if fraction is None:
        note = record.measurement.device_note or "it was not measured"
        return [_Finding(status=Status.WARN, text=f"no device time to hold against the band: {note}")]
    said = f"{band.metric} {fraction:.3f}"
    limits = f"the band {band.low:g} to {band.high:g} ({band.reason})"
    if fraction < band.low:
        return [_Finding(status=Status.BELOW_BAND, text=f"{said} < {band.low:g}, below {limits}")]
    if fraction > band.high:
        return [_Finding(status=Status.WARN, text=f"{said} > {band.high:g}, above {limits}: raise the band")]
    return [_Finding(status=Status.PASS, text=f"{said} lies in {limits}")]


def _history(
    derived: Derived, stored: Stored | None, pooled: Spread | None, policy: Policy
) -> list[_Finding]:
    if stored is None:
        return [_Finding(status=Status.NO_BASELINE, text="no baseline is stored for this case")]
    baseline = stored.baseline
    if baseline.hard != derived.record.hard:
        keys = "; ".join(differing(baseline.hard, derived.record.hard))
        return [
            _Finding(
                status=Status.INCOMPARABLE,
                text=f"{stored.place} was taken under another hard key: {keys}",
            )
        ]
    findings = [_wall(derived, baseline)]
    logs = _logs(baseline)
    if derived.device_s is None:
        if logs:
            note = derived.record.measurement.device_note or "it was not measured"
            lost = f"{stored.place} holds device times, this run has none: {note}"
            findings.insert(0, _Finding(status=Status.INCOMPARABLE, text=lost))
        return findings
    own = own_spread(logs)
    if len(logs) < policy.min_sessions or own is None or pooled is None:
        few = f"{len(logs)} of the {policy.min_sessions} sessions needed to judge are in {stored.place}"
        return [_Finding(status=Status.NO_BASELINE, text=few), *findings]
    return [_device(derived, stored, logs, spread_for(own, pooled), policy), *findings]


def _device(
    derived: Derived, stored: Stored, logs: Sequence[float], spread: Spread, policy: Policy
) -> _Finding:
    """One new session against the stored ones, on the log of device time."""
    assert derived.device_s is not None  # noqa: S101 - the caller checked
    mean = math.fsum(logs) / len(logs)
    change = math.log(derived.device_s) - mean
    margin = max(
        prediction_margin(spread, sessions=len(logs), alpha=policy.alpha),
        math.log1p(policy.min_effect),
    )
    now, then = text.seconds(derived.device_s), text.seconds(math.exp(mean))
    basis = (
        f"{text.signed_percent(math.expm1(change))} against {then}, the mean of {len(logs)} sessions, "
        f"which may vary by {text.percent(math.expm1(margin), digits=2)}"
    )
    if change > margin:
        soft = _soft_changes(derived, stored.baseline)
        return _Finding(
            status=Status.REGRESSED,
            text=(
                f"device time {now} > {text.seconds(math.exp(mean + margin))}: {basis}; "
                f"baseline {stored.place}{soft}; if this is meant: {_refresh_command(derived)}"
            ),
        )
    if change < -margin:
        return _Finding(
            status=Status.IMPROVED,
            text=f"device time {now}: {basis}; keep it: {_refresh_command(derived)}",
        )
    return _Finding(status=Status.PASS, text=f"device time {now}: {basis}")


def _wall(derived: Derived, baseline: Baseline) -> _Finding:
    """Wall time differs by tens of per cent between processes: shown, not judged."""
    logs = [math.log(s) for s in baseline.wall_medians_s]
    then = math.exp(math.fsum(logs) / len(logs))
    change = text.signed_percent(derived.wall_s / then - 1)
    return _Finding(
        status=Status.PASS,
        text=f"wall time {text.seconds(derived.wall_s)}: {change} against {text.seconds(then)} (not judged)",
    )


def _logs(baseline: Baseline) -> list[float]:
    return [math.log(s) for s in baseline.device_medians_s]


def _soft_changes(derived: Derived, baseline: Baseline) -> str:
    last = baseline.sessions[-1].soft
    changes = differing(last, derived.record.soft)
    return f"; changed since: {'; '.join(changes)}" if changes else ""


def _refresh_command(derived: Derived) -> str:
    lane = "cpu" if derived.record.gpu == "cpu" else "gpu"
    return f"python -m baselines refresh --sessions 5 -m {lane} -k {derived.record.case.id}"
