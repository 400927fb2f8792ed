"""How one GPU and model stand after a run: what is slower, by how much, where and since when;
what is as it should be; and of what nothing can be said. For the page, the summary and alerts."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from analytic import text
from baselines.attribution import Moved, explain_against, signed
from baselines.derived import Derived
from baselines.given import DEVICE, Given, comparisons
from baselines.history.entry import Observation, key_of
from baselines.history.series import name_of
from baselines.history.since import Since, failing_since, read_since
from baselines.run import Planned, RunFolder, RunInfo, Verdicts
from baselines.store import Store
from baselines.verdict import SETTLED, Shift, Status, Verdict

# So many operators are named as those that a case is slower by.
_OPERATORS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A case whose verdict fails. `together` is of the one that stands for all where all cases
    moved, in words, else empty. `change` is relative, of the metric that `metric` names
    ("device time" or "wall time"), from `then_s` to `now_s` in seconds, over the session
    and its fresh processes together; all None where no time is claimed to have grown, or
    its baseline was changed since. `counts` are what grew, in words; `operators` what moved most."""

    case: str
    status: Status
    together: str
    metric: str | None
    change: float | None
    then_s: float | None
    now_s: float | None
    counts: tuple[str, ...]
    operators: tuple[str, ...]
    since: Since | None
    reasons: tuple[str, ...]

    @property
    def words(self) -> str:
        """What, by how much, in which operator, since which commit: one line, as far as known."""
        known = (self.together, self._size, self._where, *self.counts)
        slower = self.status in (Status.REGRESSED, Status.SHIFTED) and any(known)
        what = known if slower else (*self.reasons[:1], *known)
        return "; ".join(filter(None, (*what, self._when)))

    @property
    def _size(self) -> str:
        if self.change is None:
            return ""
        levels = f"{text.seconds(self.then_s)} → {text.seconds(self.now_s)}"
        return f"{self.metric} {text.signed_percent(self.change)} ({levels})"

    @property
    def _where(self) -> str:
        return f"most in {', '.join(self.operators)}" if self.operators else ""

    @property
    def _when(self) -> str:
        return f"since {self.since.night}, {self.since.commits}" if self.since else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One GPU and model of a run. `settled` are the cases that were judged and are as they
    should be; `open` those of which nothing can be said, each with its status and why."""

    gpu: str
    model: str
    device: str
    run: str
    started: str
    commit: str
    problems: tuple[Problem, ...]
    settled: tuple[str, ...]
    open: Mapping[str, str]

    @property
    def judged(self) -> bool:
        """Whether anything was."""
        return bool(self.problems or self.settled)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRun:
    """A run's measured cases and what history makes of them. `compared` are the comparisons
    that the verdicts were given by; `since` is what the run's folder has kept of the
    observations, and `given` what it has kept of the judgement."""

    info: RunInfo
    derived: Sequence[Derived]
    verdicts: Sequence[Verdict]
    compared: Mapping[str, Given]
    observations: Sequence[Observation]
    since: Mapping[str, Since]
    given: Verdicts | None


def read_run(
    folder: RunFolder,
    info: RunInfo,
    derived: Sequence[Derived],
    verdicts: Sequence[Verdict],
    store: Store,
    *,
    observations: Sequence[Observation],
) -> ReadRun:
    """`observations` are the run's own, and of other runs too, of which those before this one
    count. Raises FormatError and SpecError."""
    return ReadRun(
        info=info,
        derived=derived,
        verdicts=verdicts,
        compared=comparisons(folder, derived, verdicts, store),
        observations=observations,
        since=read_since(folder.path),
        given=folder.given(),
    )


def standings_of(run: ReadRun) -> tuple[Standing, ...]:
    """One of each GPU and model that the run measured; none of a run that measured nothing."""
    info = run.info
    given = {v.case: v for v in run.verdicts}
    measured = {d.record.case.id for d in run.derived}
    unrun = [p for p in info.planned if p.case.id not in measured]
    together: dict[tuple[str, str], list[_Case]] = {}
    for d in run.derived:
        case_id = d.record.case.id
        case = _Case(derived=d, verdict=given.get(case_id), given=run.compared.get(case_id))
        together.setdefault((d.record.gpu, d.record.case.model), []).append(case)
    return tuple(
        Standing(
            gpu=gpu,
            model=model,
            device=members[0].derived.record.hard.device,
            run=info.id,
            started=info.started,
            commit=info.commit,
            problems=tuple(
                case.problem(v, _since(run, case), run.given.shift if run.given else None)
                for case in members
                if case.fails and (v := case.verdict)
            ),
            settled=tuple(case.id for case in members if case.settled),
            open={case.id: case.why for case in members if not (case.fails or case.settled)}
            | {p.case.id: _not_run(p) for p in unrun if p.case.model == model},
        )
        for (gpu, model), members in together.items()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A measured case with its verdict, and the comparison that this was given by."""

    derived: Derived
    verdict: Verdict | None
    given: Given | None

    @property
    def id(self) -> str:
        return self.derived.record.case.id

    @property
    def fails(self) -> bool:
        return self.verdict is not None and self.verdict.fails

    @property
    def settled(self) -> bool:
        """A warning settles only what history has judged: another card's baseline does not."""
        if self.fails or self.verdict is None or self.verdict.status not in SETTLED:
            return False
        if self.verdict.status is not Status.WARN:
            return True
        timed = self.derived.device_s is not None
        return self.given is not None and (self.given.comparison.device is not None or not timed)

    @property
    def why(self) -> str:
        if self.verdict is None:
            return "not judged"
        return f"{self.verdict.status.value}: {'; '.join(self.verdict.reasons)}"

    def problem(self, verdict: Verdict, since: Since | None, shift: Shift | None) -> Problem:
        metric, change = (self.given and self.given.slower) or (None, None)
        by = None if change is None else fmean(change.every)
        moved: Sequence[Moved] = ()
        if self.given and metric == DEVICE:
            moved = explain_against(self.derived, self.given.comparison.stored.baseline)
        return Problem(
            case=self.id,
            status=verdict.status,
            together=shift.text if shift is not None and verdict.for_all else "",
            metric=metric,
            change=None if by is None else math.expm1(by),
            then_s=None if change is None else math.exp(change.yardstick.mean),
            now_s=None if change is None or by is None else math.exp(change.yardstick.mean + by),
            counts=tuple(map(str, self.given.grown)) if self.given else (),
            operators=tuple(_slower(moved)),
            since=since,
            reasons=verdict.reasons,
        )


def _not_run(planned: Planned) -> str:
    return f"{Status.NOT_MEASURED.value}: {planned.not_run or 'not finished'}"


def _slower(moved: Sequence[Moved]) -> Iterator[str]:
    for one in [m for m in moved if m.change_s > 0][:_OPERATORS]:
        ops = f" ({text.counted(one.device_ops, 'device op')} more)" if one.device_ops > 0 else ""
        yield f"{one.name} {signed(one.change_s)}{ops}"


def _since(run: ReadRun, case: _Case) -> Since | None:
    """Of a case that fails: by the runs since its baseline was accepted; where these know of
    none that passed, by what was kept when they did; else since the baseline."""
    record, given = case.derived.record, case.given
    key = key_of(record)
    seen = next(o for o in run.observations if o.key == key)
    # Under a name where its tree is no commit's: it is this very run that is asked about.
    own = replace(seen, status=Status.REGRESSED.value, commit=record.tree, dirty=False)
    accepted = given.accepted_at if given else None
    before = [
        o
        for o in run.observations
        if name_of(o) == name_of(own)
        and o.key != key
        and o.run_started <= own.run_started
        and (accepted is None or o.run_started >= accepted)
    ]
    found = failing_since([*before, own])
    if found is None or found.good is not None:
        return found
    kept = run.since.get(case.id)
    if kept is not None and kept.night <= found.night:
        return kept
    slower = given is not None and (given.slower or given.grown)
    return replace(found, good=given.commit) if given is not None and slower else found
