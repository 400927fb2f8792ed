"""Two sides compared by the gate's own rule, with no GPU: B's records against A.

The processes at hand decide: a single run of B by itself, several as a session and the
fresh processes that measured it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from statistics import geometric_mean

from analytic import text
from baselines.allowed import allowed_changes
from baselines.attribution import Moved, explain_against
from baselines.codec import FormatError
from baselines.comparison import compare
from baselines.counts import CountChange
from baselines.derived import Derived
from baselines.expectations import bands
from baselines.footing import Footing, footing_of
from baselines.judge import judge
from baselines.judging import derive_run, measured_again
from baselines.policy import POLICY
from baselines.refresh_command import refresh_lane
from baselines.sides import Sessions, Side, require_alike, side_of_a, side_of_b
from baselines.store import Store
from baselines.suite import Stored
from baselines.validity import spoilers
from baselines.verdict import Outcome, Shift, Status, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """One metric on both sides: geometric means in seconds, and the least slowdown that
    would be seen, as a share; None where it is not known."""

    a_s: float | None
    b_s: float | None
    sees: float | None

    @property
    def change(self) -> float | None:
        return None if self.a_s is None or self.b_s is None else self.b_s / self.a_s - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A case of B beside A, measured by `processes` of B. `unjudged` says why its device
    time is only shown, and what would judge it; empty where it was judged, or where
    nothing is there to judge.
    `in_a`: A holds the case. `device_judged`, `wall_judged` and `counts_judged` say what
    was held against A's, and could have failed. `moved` is by operator, where the case
    is worth explaining."""

    verdict: Verdict
    processes: int
    in_a: bool
    device_judged: bool
    wall_judged: bool
    counts_judged: bool
    device: Times
    wall: Times
    counts: tuple[CountChange, ...]
    moved: tuple[Moved, ...]
    unjudged: str

    @property
    def status(self) -> str:
        """The verdict's, but that a side is no store, whose cases have a baseline or none."""
        if self.verdict.status is Status.NO_BASELINE:
            return "not_judged" if self.in_a else "not_in_a"
        return self.verdict.status.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """`only_a` and `only_b` are cases that the other side has not; `notes` what is to be
    known of the comparison as a whole."""

    a: Side
    b: Side
    pairs: tuple[Pair, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    shift: Shift | None
    notes: tuple[str, ...]

    def failing(self, *, strict: bool) -> tuple[str, ...]:
        """The cases for which B is refused; strictly also those that could not be judged,
        and those that B lacks."""
        found = [p.verdict.case for p in self.pairs if p.verdict.outcome(strict=strict) is Outcome.FAILS]
        return (*found, *(self.only_a if strict else ()))

    @property
    def judged(self) -> bool:
        """Whether anything was. Where there are device times, which gate, counts that are
        equal say nothing of them."""
        if any(p.device_judged or p.wall_judged for p in self.pairs):
            return True
        timed = any(p.device.a_s is not None and p.device.b_s is not None for p in self.pairs)
        return not timed and any(p.counts_judged for p in self.pairs)


# What is worth explaining: a pass within its noise is not. Fewer than a report explains
# (reports/moved.py): here A stands for history alone, and what is impossible, invalid or
# only warned of says nothing of how B differs from it.
_EXPLAINED = (Status.BELOW_BAND, Status.REGRESSED, Status.SUSPECT, Status.SHIFTED, Status.IMPROVED)


def compare_sides(a: Sessions | Store, b: Sessions, *, store: Store) -> Versus:
    """`store` lends its suite's spread to an A of too few sessions to know its own.

    Raises FormatError and SpecError for what cannot be read, and for sides without a
    case in common, or of two GPUs or models.
    """
    processes = _processes(b, confirmations=isinstance(a, Store))
    if not processes:
        raise FormatError(f"{b.path}: no record to compare")
    footing = footing_of(a, processes, store=store, policy=POLICY)
    known = footing.known
    held = {*known.stored, *known.damaged}
    if not held & set(processes):
        path = a.root if isinstance(a, Store) else a.path
        raise FormatError(f"{path}: holds none of the {len(processes)} cases of {b.path}")
    require_alike(a, b, known.stored, processes)
    verdicts, shift = _judged(processes, footing)
    # A store has more baselines than a run has cases; in memory there are A's alone.
    stored = {s.baseline.case for s in known.suite} if isinstance(a, Store) else set()
    return Versus(
        a=side_of_a(a, known.stored, like=next(iter(processes.values()))[0]),
        b=side_of_b(b, processes),
        pairs=tuple(_pair(verdicts[case], processes[case], footing) for case in processes),
        only_a=tuple(sorted((held | stored) - set(processes))),
        only_b=tuple(case for case in processes if case not in held),
        shift=shift,
        notes=footing.notes,
    )


def _processes(b: Sessions, *, confirmations: bool) -> dict[str, list[Derived]]:
    """By case what each process measured, in their order. One whose state spoilt the
    measurement says nothing where there is another."""
    every: dict[str, list[Derived]] = {}
    for run in b.runs:
        for derived in derive_run(run.records(), of=run):
            every.setdefault(derived.record.case.id, []).append(derived)
    found = {
        case: [one for one in several if not spoilers(one.as_run.measurement)] or several[:1]
        for case, several in every.items()
    }
    for run in b.runs if confirmations else ():
        for case, again in measured_again(run).measured.items():
            found.setdefault(case, []).extend(again)
    return found


def _judged(
    processes: Mapping[str, Sequence[Derived]], footing: Footing
) -> tuple[dict[str, Verdict], Shift | None]:
    """Verdicts by case: those under one rule are judged together."""
    verdicts: dict[str, Verdict] = {}
    shifts = []
    for policy in dict.fromkeys(footing.policies.values()):
        cases = [case for case in processes if footing.policies[case] == policy]
        judgement = judge(
            [processes[case][0] for case in cases],
            fresh={case: processes[case][1:] for case in cases},
            stored=footing.known.stored,
            damaged=footing.known.damaged,
            suite=footing.known.suite,
            bands=bands(),
            allowed=allowed_changes(),
            policy=policy,
        )
        verdicts |= {verdict.case: verdict for verdict in judgement.verdicts}
        shifts.append(judgement.shift)
    return verdicts, next(filter(None, shifts), None)


def _pair(verdict: Verdict, every: Sequence[Derived], footing: Footing) -> Pair:
    first, *fresh = every
    stored = footing.known.stored.get(verdict.case)
    one = None
    if stored is not None and stored.baseline.hard == first.record.hard:
        one = compare(first, fresh, stored, footing.pooled, footing.policies[verdict.case])
    device_s = [d.device_s for d in every if d.device_s is not None]
    then_s = stored.baseline.device_medians_s if stored else ()
    walls_s = stored.baseline.wall_medians_s if stored else ()
    judged_by = one.device.yardstick if one and one.device else None
    valid = None if verdict.status is Status.INVALID else one
    return Pair(
        verdict=verdict,
        processes=len(every),
        in_a=stored is not None,
        device_judged=bool(valid and valid.device),
        wall_judged=bool(valid and valid.wall and first.record.case.promise.wall),
        counts_judged=bool(valid and _counted(every, stored)),
        device=Times(
            # Of several cards the sessions of B's own.
            a_s=_mean(then_s) if judged_by is None else exp(judged_by.mean),
            b_s=_mean(device_s),
            sees=verdict.sees_device,
        ),
        wall=Times(a_s=_mean(walls_s), b_s=_mean([d.wall_s for d in every]), sees=verdict.sees_wall),
        counts=one.counts if one else (),
        moved=explain_against(first, stored.baseline)
        if one and stored and verdict.status in _EXPLAINED
        else (),
        unjudged=_unjudged(stored, borrows=footing.borrows)
        if one and one.device is None and device_s
        else "",
    )


def _counted(every: Sequence[Derived], stored: Stored | None) -> bool:
    """Whether both sides have counts."""
    then = any(s.counts for s in stored.baseline.sessions) if stored else False
    return then and any(one.record.measurement.counts for one in every)


def _mean(times_s: Sequence[float]) -> float | None:
    return geometric_mean(times_s) if times_s else None


def _unjudged(stored: Stored | None, *, borrows: bool) -> str:
    if stored is None or not 0 < (sessions := len(stored.device)) < POLICY.min_sessions:
        return ""
    lends = (
        "the store says too little of cases like it"
        if borrows
        else "or, to lend their spread, baselines under the same hard key in the store (--perf-baselines)"
    )
    return (
        f"device time is shown, not judged: {text.counted(sessions, 'session')} in "
        f"{stored.place}; {POLICY.min_sessions} or more would judge it "
        f"({refresh_lane(stored.baseline.gpu, stored.store)} makes them); {lends}"
    )
