"""What is said of a case against its pinned sessions: the status, both numbers, and what to do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, geometric_mean

from analytic import Phase, text
from baselines.allowed import Allowed, find_allowed, undeclared
from baselines.attribution import movers
from baselines.cards import cards_of
from baselines.comparison import Comparison
from baselines.counts import WORDS, CountChange
from baselines.derived import CPU, Derived
from baselines.night import Change, Night, Stand
from baselines.policy import Policy
from baselines.refresh_command import refresh_case
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
    told = _told(timed, one, night, unconfirmed=unconfirmed)
    if one.fall is None or told.status is Status.INVALID:
        return [told]
    return [told, Finding(status=Status.WARN, text=f"the GPU was slow: {one.fall.words}")]


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
    told = [Finding(status=Status.PASS, text=f"{said} (not judged: the case promises nothing of it)")]
    return told if one.wall is None else [*told, *_modes(one.wall)]


def _told(timed: _Timed, one: Comparison, night: Night, *, unconfirmed: str) -> Finding:
    change, stand = timed.change, night.stand(timed.change)
    if one.fall is not None and night.excused(change, one.fall.excused):
        said = f"the GPU was slow, not the code: {one.fall.words}; {timed.basis}"
        return Finding(status=Status.INVALID, text=said)
    if stand is Stand.SLOWER:
        mean = text.signed_percent(math.expm1(fmean(change.every)))
        together = f": {mean} in all" if change.fresh else ""
        least = text.percent(math.expm1(night.margin(change)), digits=2)
        moved = movers(one.derived, one.stored.baseline) if timed.name == "device time" else ""
        said = (
            f"{timed.basis}{_again(change)}{together}, more than the {least} that chance and the floor allow; "
            f"baseline {one.stored.place}{_since(one)}{moved}; if this is meant: {_accepting(one)}"
        )
        return Finding(status=Status.REGRESSED, text=said)
    if stand is Stand.SUSPECTED:
        said = (
            f"{timed.basis}{_again(change)}, not confirmed: {unconfirmed or _asked(one, night)}{_since(one)}"
        )
        return Finding(status=Status.SUSPECT, text=said)
    if stand is Stand.FASTER:
        said = f"{timed.basis}{_since(one)}; keep it: {_refresh(one)}"
        return Finding(status=Status.IMPROVED, text=said)
    cleared = f"; suspected, and cleared{_again(change)}" if stand is Stand.CLEARED else ""
    said = f"{timed.basis}{cleared}; {_sees(change, night)}"
    if timed.promised is not None and night.sees(change) > timed.promised:
        what = (
            "sessions of this card (refresh --add)" if change.yardstick.cards else "more or calmer sessions"
        )
        blind = f"{text.percent(timed.promised)} is promised: store {what}, or promise less"
        return Finding(status=Status.AMBIGUOUS, text=f"{said}, and {blind}")
    return Finding(status=Status.PASS, text=said)


def _asked(one: Comparison, night: Night) -> str:
    """How far fresh processes have come."""
    if not one.fresh and not one.unusable:
        return "no fresh process has measured it again"
    done = f"{len(one.fresh)} of {night.policy.rounds} fresh processes have measured it again"
    return f"{done}, {len(one.unusable)} in vain: {'; '.join(one.unusable)}" if one.unusable else done


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


def count_findings(
    one: Comparison, allowed: Sequence[Allowed], night: Night, *, unconfirmed: str
) -> list[Finding]:
    """Growth under the same software is a regression, once a fresh process counts so too;
    under another it may be the library's doing, and a warning. Growth that is declared,
    and less, pass. What can no longer be counted cannot be judged."""
    record, found = one.derived.record, []
    if fewer := [change for change in one.counts if change.growth < 0]:
        said = f"the host does less for a step: {_listed(fewer)}; keep it: {_refresh(one)}"
        found.append(Finding(status=Status.PASS, text=said))
    grown = undeclared(allowed, one.counts, gpu=record.gpu, case=record.case)
    for change in one.counts:
        row = find_allowed(allowed, gpu=record.gpu, case=record.case, change=change)
        if change.growth > 0 and row is not None:
            said = f"{_MORE}: {change}, allowed up to {row.by:+,} ({row.reason})"
            found.append(Finding(status=Status.PASS, text=said))
    found += _grown(grown, one, night, unconfirmed=unconfirmed)
    if one.lost:
        names = ", ".join(WORDS[name] for name in one.lost)
        said = f"{names}: every stored session counted them, and this run did not, or found other numbers each step"
        found.append(Finding(status=Status.AMBIGUOUS, text=said))
    return found


_MORE = "the host does more for a step"


def _grown(grown: Sequence[CountChange], one: Comparison, night: Night, *, unconfirmed: str) -> list[Finding]:
    """Each count by itself: one that a fresh process could not take holds up no other."""
    if one.software_changed:
        said = f"{_MORE}: {_listed(grown)}{_since(one)}"
        return [Finding(status=Status.WARN, text=said)] if grown else []
    found = []
    if sure := [change for change in grown if change.processes > 1 or not night.policy.rounds]:
        processes = min(change.processes for change in sure)
        again = f", at least so many in each of {processes} processes" if processes > 1 else ""
        said = (
            f"{_MORE}: {_listed(sure)}{again}; baseline {one.stored.place}; if this is meant: "
            f"{_accepting(one)}, or declare it in baselines/allowed.toml"
        )
        found.append(Finding(status=Status.REGRESSED, text=said))
    if unsure := [change for change in grown if change not in sure]:
        said = f"{_MORE}: {_listed(unsure)}, not confirmed: {unconfirmed or _asked(one, night)}"
        found.append(Finding(status=Status.SUSPECT, text=said))
    return found


def _listed(changes: Sequence[CountChange]) -> str:
    return ", ".join(map(str, changes))


def _unjudged_device(one: Comparison, policy: Policy) -> list[Finding]:
    """Why it is not judged."""
    derived, stored = one.derived, one.stored
    medians = stored.baseline.device_medians_s
    if derived.device_s is None:
        return _not_measured(derived, stored)
    now = f"device time {text.seconds(derived.device_s)}"
    refresh = f"take them: {_refresh(one)}"
    if not medians:
        said = f"{now}: the sessions in {stored.place} hold no device time; {refresh}"
        return [Finding(status=Status.NO_BASELINE, text=said)]
    against = f"{now}: {text.signed_percent(derived.device_s / geometric_mean(medians) - 1)} against"
    then = text.seconds(geometric_mean(medians))
    if len(medians) < policy.min_sessions:
        few = f"{len(medians)} of the {policy.min_sessions} sessions needed to judge are in {stored.place}"
        return [Finding(status=Status.NO_BASELINE, text=f"{against} {then}: {few}; {refresh}")]
    card, cards = derived.record.soft.gpu_uuid, cards_of(stored.baseline)
    if card not in cards:
        others = "another card" if len(cards) == 1 else f"{len(cards)} other cards"
        said = (
            f"{against} {then} on {others} ({', '.join(sorted(cards))}; this is {card}): shown, not judged; "
            f"store {policy.min_sessions} sessions of this card too (refresh --add)"
        )
        return [Finding(status=Status.WARN, text=said)]
    few = (
        f"fewer than {policy.min_sessions} sessions of this card, and too few of each card to know how far "
        f"sessions vary, are in {stored.place}"
    )
    return [Finding(status=Status.NO_BASELINE, text=f"{against} {then}: {few}; {refresh}")]


def _not_measured(derived: Derived, stored: Stored) -> list[Finding]:
    """A pass that promises something of device time cannot keep it without one."""
    note = derived.record.measurement.device_note or "it was not measured"
    if stored.baseline.device_medians_s:
        lost = f"{stored.place} holds device times, this run has none: {note}"
        return [Finding(status=Status.INCOMPARABLE, text=lost)]
    case = derived.record.case
    if derived.record.gpu == CPU or case.phase is Phase.GENERATE:
        return []
    blind = f"no device time ({note}), and {text.percent(case.promise.device)} of it is promised to be seen"
    return [Finding(status=Status.AMBIGUOUS, text=blind)]


def _since(one: Comparison) -> str:
    return f"; changed since: {'; '.join(one.changed.values())}" if one.changed else ""


def drift(stored: Stored, derived: Derived) -> list[Finding]:
    """How far the case has come since its first accepted baseline, on the metric that gates."""
    anchor = stored.baseline.anchor
    if anchor is None:
        return []
    now = replace(anchor, device_s=derived.device_s, wall_s=derived.wall_s)
    metric, share = now.change_since(anchor)
    then = anchor.device_s if metric == "device" else anchor.wall_s
    said = f"{metric} time has drifted by {text.signed_percent(share)} since the anchor of {anchor.written}"
    return [Finding(status=Status.PASS, text=f"{said} ({text.seconds(then)}, commit {anchor.commit})")]


def _refresh(one: Comparison) -> str:
    return refresh_case(one.derived, one.stored.store)


def _accepting(one: Comparison) -> str:
    """The command that stores what is worse."""
    return f'commit it, and {_refresh(one)} --accept-regression "why"'
