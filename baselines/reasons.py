"""What is said of a case against its pinned sessions: the status, both numbers, and what to do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from analytic import Phase, text
from baselines.allowed import Allowed, find_allowed
from baselines.attribution import movers
from baselines.canary import Fall, fallen
from baselines.comparison import Comparison
from baselines.derived import CPU, Derived
from baselines.night import Change, Night, Stand
from baselines.policy import Policy
from baselines.suite import Stored
from baselines.verdict import Finding, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    """One metric of a case, to be told: its name, its time in seconds, and the least
    slowdown that is promised to be caught."""

    name: str
    time_s: float
    change: Change
    promised: float | None

    @property
    def basis(self) -> str:
        yardstick = self.change.yardstick
        sessions = text.counted(yardstick.sessions, "session")
        cards = f" of {yardstick.cards} cards" if yardstick.cards else ""
        return (
            f"{self.name} {text.seconds(self.time_s)}: "
            f"{text.signed_percent(math.expm1(self.change.session))} against "
            f"{text.seconds(math.exp(yardstick.mean))}, the mean of {sessions}{cards}"
        )


def device_findings(one: Comparison, night: Night, *, unconfirmed: str) -> list[Finding]:
    """Of device time. A GPU that was slower in what binds a case excuses it by the share
    that it was slower, and no more. `unconfirmed` says why fresh processes could not
    measure a suspect."""
    if one.device is None or one.derived.device_s is None:
        return _unjudged_device(one, night.policy)
    timed = _Timed(
        name="device time",
        time_s=one.derived.device_s,
        change=one.device,
        promised=one.derived.record.case.promise.device,
    )
    slow = _slow_gpu(one, night.policy)
    slower = night.stand(one.device) in (Stand.SLOWER, Stand.SUSPECTED)
    if slow and slow.excused and slower and one.device.session - slow.excused <= night.margin(one.device):
        words = f"the GPU was slow, not the code: {slow.words}; {timed.basis}"
        return [Finding(status=Status.INVALID, text=words)]
    warning = [Finding(status=Status.WARN, text=f"the GPU was slow: {slow.words}")] if slow else []
    return [_told(timed, one, night, unconfirmed=unconfirmed), *warning]


def wall_findings(one: Comparison, night: Night, *, unconfirmed: str) -> list[Finding]:
    """Of the wall, which differs by tens of per cent between processes of a busy host:
    judged only where the case promises something of it."""
    promised = one.derived.record.case.promise.wall
    if one.wall is not None and promised is not None:
        timed = _Timed(name="wall time", time_s=one.derived.wall_s, change=one.wall, promised=promised)
        return [_told(timed, one, night, unconfirmed=unconfirmed), *_modes(one.wall)]
    then = geometric_mean(one.stored.baseline.wall_medians_s)
    said = (
        f"wall time {text.seconds(one.derived.wall_s)}: "
        f"{text.signed_percent(one.derived.wall_s / then - 1)} against {text.seconds(then)}"
    )
    if promised is not None:
        few = f"{len(one.stored.wall)} of the {night.policy.min_sessions} sessions needed to judge are stored"
        return [Finding(status=Status.NO_BASELINE, text=f"{said}: {few} in {one.stored.place}")]
    seen = "" if one.wall is None else f"; {_sees(one.wall, night)}"
    told = [Finding(status=Status.PASS, text=f"{said} (not judged{seen})")]
    return told if one.wall is None else [*told, *_modes(one.wall)]


def _told(timed: _Timed, one: Comparison, night: Night, *, unconfirmed: str) -> Finding:
    change, stand = timed.change, night.stand(timed.change)
    if stand is Stand.SLOWER:
        least = text.percent(math.expm1(night.margin(change)), digits=2)
        moved = movers(one.derived, one.stored.baseline) if timed.name == "device time" else ""
        said = (
            f"{timed.basis}{_again(change)}, more than the {least} that are not claimed; "
            f"baseline {one.stored.place}{_since(one)}{moved}; if this is meant: {refresh_command(one.derived)}"
        )
        return Finding(status=Status.REGRESSED, text=said)
    if stand is Stand.SUSPECTED:
        done = f"{len(change.fresh)} of {night.policy.rounds} fresh processes have measured it again"
        said = f"{timed.basis}{_again(change)}, not confirmed: {unconfirmed or done}{_since(one)}"
        return Finding(status=Status.SUSPECT, text=said)
    if stand is Stand.FASTER:
        said = f"{timed.basis}{_since(one)}; keep it: {refresh_command(one.derived)}"
        return Finding(status=Status.IMPROVED, text=said)
    cleared = f"; suspected, and cleared{_again(change)}" if stand is Stand.CLEARED else ""
    said = f"{timed.basis}{cleared}; {_sees(change, night)}"
    if timed.promised is not None and night.sees(change) > timed.promised:
        blind = f"{text.percent(timed.promised)} is promised: store more or calmer sessions, or promise less"
        return Finding(status=Status.AMBIGUOUS, text=f"{said}, and {blind}")
    return Finding(status=Status.PASS, text=said)


def _again(change: Change) -> str:
    """What each fresh process says, against the same mean."""
    if not change.fresh:
        return ""
    each = ", ".join(text.signed_percent(math.expm1(one)) for one in change.fresh)
    return f" ({each} in {text.counted(len(change.fresh), 'fresh process', 'fresh processes')})"


def _sees(change: Change, night: Night) -> str:
    sees = night.sees(change)
    return (
        "not even a doubling would be seen"
        if sees > 1
        else f"from +{text.seen_from(sees)} on it would be seen"
    )


def _modes(wall: Change) -> list[Finding]:
    """A host that is now fast and now slow is said to be so: its mean is of neither."""
    if not wall.yardstick.modes:
        return []
    fast, slow = wall.yardstick.modes
    words = (
        f"the stored walls are bimodal: {fast.sessions} sessions near {text.seconds(math.exp(fast.log))}, "
        f"{slow.sessions} near {text.seconds(math.exp(slow.log))} "
        f"({text.signed_percent(math.expm1(slow.log - fast.log))})"
    )
    return [Finding(status=Status.PASS, text=words)]


def count_findings(one: Comparison, allowed: Sequence[Allowed]) -> list[Finding]:
    """Growth under the same software is a regression; under another it may be the
    library's doing, and a warning. Growth that is declared, and less, pass."""
    record, found = one.derived.record, []
    for change in one.counts:
        if change.growth < 0:
            said = f"the host does less for a step: {change}; keep it: {refresh_command(one.derived)}"
            found.append(Finding(status=Status.PASS, text=said))
            continue
        more = f"the host does more for a step: {change}"
        row = find_allowed(allowed, gpu=record.gpu, case=record.case, change=change)
        if row is not None:
            found.append(
                Finding(status=Status.PASS, text=f"{more}, allowed up to {row.by:+,} ({row.reason})")
            )
        elif one.software_changed:
            found.append(Finding(status=Status.WARN, text=f"{more}{_since(one)}"))
        else:
            said = (
                f"{more}{', in a fresh process too' if one.fresh else ''}; baseline "
                f"{one.stored.place}; if this is meant: {refresh_command(one.derived)}, "
                "or declare it in baselines/allowed.toml"
            )
            found.append(Finding(status=Status.REGRESSED, text=said))
    return found


def _unjudged_device(one: Comparison, policy: Policy) -> list[Finding]:
    """Why it is not judged."""
    derived, stored = one.derived, one.stored
    medians = stored.baseline.device_medians_s
    if derived.device_s is None:
        if not medians:
            return []
        note = derived.record.measurement.device_note or "it was not measured"
        lost = f"{stored.place} holds device times, this run has none: {note}"
        return [Finding(status=Status.INCOMPARABLE, text=lost)]
    card = derived.record.soft.gpu_uuid
    cards = {sample.card for sample in stored.device} - {None}
    if len(medians) >= policy.min_sessions and len(cards) == 1 and card not in cards:
        then, (known,) = geometric_mean(medians), cards
        said = (
            f"device time {text.seconds(derived.device_s)}: "
            f"{text.signed_percent(derived.device_s / then - 1)} against {text.seconds(then)} on another card "
            f"({known}; this is {card}): shown, not judged; store sessions of two cards to judge a third"
        )
        return [Finding(status=Status.WARN, text=said)]
    few = f"{len(medians)} of the {policy.min_sessions} sessions needed to judge are in {stored.place}"
    return [Finding(status=Status.NO_BASELINE, text=few)]


def _slow_gpu(one: Comparison, policy: Policy) -> Fall | None:
    """Not of a CPU, whose ceilings are as noisy as what runs beside it."""
    derived = one.derived
    if derived.record.gpu == CPU:
        return None
    card = derived.record.soft.gpu_uuid
    return fallen(
        derived.record.ceilings,
        [s.ceilings for s in one.stored.baseline.sessions if s.soft.gpu_uuid == card],
        dtypes=derived.precision.dtypes,
        limiter=derived.bound.limiter,
        policy=policy,
    )


def _since(one: Comparison) -> str:
    return f"; changed since: {'; '.join(one.changed.values())}" if one.changed else ""


def drift(stored: Stored, derived: Derived) -> list[Finding]:
    """How far the case has come since its first accepted baseline, on the metric that gates."""
    anchor = stored.baseline.anchor
    if anchor is None or anchor.written == stored.baseline.written:
        return []
    on_device = derived.device_s is not None and anchor.device_s is not None
    name, now, then = (
        ("device time", derived.device_s, anchor.device_s)
        if on_device
        else ("wall time", derived.wall_s, anchor.wall_s)
    )
    assert now is not None and then is not None  # noqa: PT018, S101 - either pair is there
    said = f"{name} has drifted by {text.signed_percent(now / then - 1)} since the anchor of {anchor.written}"
    return [Finding(status=Status.PASS, text=f"{said} ({text.seconds(then)}, commit {anchor.commit})")]


def refresh_command(derived: Derived) -> str:
    """Also right for a case that no table holds. An own engine is named by its file,
    which a record does not know."""
    case, lane = derived.record.case, CPU if derived.record.gpu == CPU else "gpu"
    command = f"python -m baselines refresh --sessions 5 -m {lane} -k {case.id}"
    if case.engine == "eager":
        return command
    length = "context" if case.phase is Phase.DECODE else "prompt"
    asked = f"--perf-precision={case.precision} --perf-engine={case.engine} --perf-batch={case.batch}"
    return f"{command} {asked} --perf-{length}={case.length}"
