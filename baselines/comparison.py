"""Is it worse than before? One run's device time against pinned sessions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from analytic import Phase, text
from baselines.attribution import movers
from baselines.canary import Fall, fallen
from baselines.derived import CPU, Derived
from baselines.host_work import host_work
from baselines.interval import Spread, own_spread, pool, prediction_margin, spread_for
from baselines.policy import Policy
from baselines.record import SoftKey
from baselines.store import Baseline, differing
from baselines.verdict import Finding, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The baseline of a case, where it lies, to be named in a message, and the
    regime it was taken in: its spread is pooled with that of the same regime."""

    baseline: Baseline
    place: str
    digest: str | None
    regime: str


def pooled_spreads(suite: Sequence[Stored]) -> dict[str, Spread]:
    """One between-session spread per regime.

    A GPU that computes without a pause runs into its power cap, and its clock
    moves; one that waits for memory or for launches does not. Their noise
    differs by a factor of ten, so they are not pooled together.
    """
    spreads: dict[str, list[Spread]] = {}
    for stored in suite:
        own = own_spread(_logs(stored.baseline))
        if own is not None:
            spreads.setdefault(_noise(stored.regime), []).append(own)
    return {noise: spread for noise, found in spreads.items() if (spread := pool(found)) is not None}


def _noise(regime: str) -> str:
    return "capped" if regime == "compute" else "steady"


def compare(
    derived: Derived, stored: Stored | None, spreads: Mapping[str, Spread], policy: Policy
) -> list[Finding]:
    """What the stored sessions say of a case; `spreads` are pooled_spreads of the suite."""
    if stored is None:
        return [Finding(status=Status.NO_BASELINE, text="no baseline is stored for this case")]
    baseline = stored.baseline
    if baseline.hard != derived.record.hard:
        keys = "; ".join(differing(baseline.hard, derived.record.hard))
        return [
            Finding(
                status=Status.INCOMPARABLE,
                text=f"{stored.place} was taken under another hard key: {keys}",
            )
        ]
    findings = [*host_work(derived.record.measurement.counts, baseline), _wall(derived, baseline)]
    logs = _logs(baseline)
    if derived.device_s is None:
        if logs:
            note = derived.record.measurement.device_note or "it was not measured"
            lost = f"{stored.place} holds device times, this run has none: {note}"
            findings.insert(0, Finding(status=Status.INCOMPARABLE, text=lost))
        return findings
    if logs and (another := _another_card(derived, baseline)):
        return [another, *findings]
    least = margin(stored, spreads, policy)
    if least is None:
        few = f"{len(logs)} of the {policy.min_sessions} sessions needed to judge are in {stored.place}"
        return [Finding(status=Status.NO_BASELINE, text=few), *findings]
    return [*_device(derived, stored, least, policy), *findings]


def margin(stored: Stored, spreads: Mapping[str, Spread], policy: Policy) -> float | None:
    """How far, in log units, one new session must lie off the mean of the stored ones
    for a change to be claimed. None where they are too few to say."""
    logs = _logs(stored.baseline)
    own, pooled = own_spread(logs), spreads.get(_noise(stored.regime))
    if len(logs) < policy.min_sessions or own is None or pooled is None:
        return None
    chance = prediction_margin(spread_for(own, pooled), sessions=len(logs), alpha=policy.alpha)
    return max(chance, math.log1p(policy.min_effect))


def _device(derived: Derived, stored: Stored, least: float, policy: Policy) -> list[Finding]:
    """One new session against the stored ones, on the log of device time; and the
    GPU's own speed against what it was in them. A GPU that was slower in what binds
    a case excuses it by the share that it was slower, and no more."""
    assert derived.device_s is not None  # noqa: S101 - the caller checked
    logs = _logs(stored.baseline)
    mean = math.fsum(logs) / len(logs)
    change = math.log(derived.device_s) - mean
    now, then = text.seconds(derived.device_s), text.seconds(math.exp(mean))
    basis = (
        f"{text.signed_percent(math.expm1(change))} against {then}, the mean of {len(logs)} sessions, "
        f"which may vary by {text.percent(math.expm1(least), digits=2)}"
    )
    slow = _slow_gpu(derived, stored.baseline, policy)
    warning = [Finding(status=Status.WARN, text=f"the GPU was slow: {slow.words}")] if slow else []
    if slow and slow.excused and change > least and change - slow.excused <= least:
        words = f"the GPU was slow, not the code: {slow.words}; device time {now}: {basis}"
        return [Finding(status=Status.INVALID, text=words)]
    if change > least:
        soft = _soft_changes(derived, stored.baseline)
        regressed = Finding(
            status=Status.REGRESSED,
            text=(
                f"device time {now} > {text.seconds(math.exp(mean + least))}: {basis}; "
                f"baseline {stored.place}{soft}{movers(derived, stored.baseline)}; "
                f"if this is meant: {_refresh_command(derived)}"
            ),
        )
        return [regressed, *warning]
    if change < -least:
        improved = Finding(
            status=Status.IMPROVED,
            text=f"device time {now}: {basis}; keep it: {_refresh_command(derived)}",
        )
        return [improved, *warning]
    return [Finding(status=Status.PASS, text=f"device time {now}: {basis}"), *warning]


def _slow_gpu(derived: Derived, baseline: Baseline, policy: Policy) -> Fall | None:
    """Not of a CPU, whose ceilings are as noisy as what runs beside it."""
    if derived.record.gpu == CPU:
        return None
    return fallen(
        derived.record.ceilings,
        [s.ceilings for s in baseline.sessions if s.soft.gpu_uuid == derived.record.soft.gpu_uuid],
        dtypes=derived.precision.dtypes,
        limiter=derived.bound.limiter,
        policy=policy,
    )


def other_card(card: str | None, sessions: Iterable[SoftKey]) -> str | None:
    """The one card that all sessions are of, where it is not `card`; else None.

    Two cards of one kind differ by more than one card does from itself, so sessions
    of a single card do not judge another.
    """
    stored = {session.gpu_uuid for session in sessions} - {None}
    if card is None or card in stored or len(stored) != 1:
        return None
    return stored.pop()


def _another_card(derived: Derived, baseline: Baseline) -> Finding | None:
    card = derived.record.soft.gpu_uuid
    other = other_card(card, (session.soft for session in baseline.sessions))
    if other is None:
        return None
    assert derived.device_s is not None  # noqa: S101 - the caller checked
    then = geometric_mean(baseline.device_medians_s)
    return Finding(
        status=Status.WARN,
        text=(
            f"device time {text.seconds(derived.device_s)}: "
            f"{text.signed_percent(derived.device_s / then - 1)} against {text.seconds(then)} on another card "
            f"({other}; this is {card}): shown, not judged; store sessions of two cards to judge a third"
        ),
    )


def _wall(derived: Derived, baseline: Baseline) -> Finding:
    """Wall time differs by tens of per cent between processes: shown, not judged."""
    then = geometric_mean(baseline.wall_medians_s)
    change = text.signed_percent(derived.wall_s / then - 1)
    return Finding(
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
    """Also right for a case that no table holds. An own engine is named by its file,
    which a record does not know."""
    case, lane = derived.record.case, CPU if derived.record.gpu == CPU else "gpu"
    command = f"python -m baselines refresh --sessions 5 -m {lane} -k {case.id}"
    if case.engine == "eager":
        return command
    length = "context" if case.phase is Phase.DECODE else "prompt"
    asked = f"--perf-precision={case.precision} --perf-engine={case.engine} --perf-batch={case.batch}"
    return f"{command} {asked} --perf-{length}={case.length}"
