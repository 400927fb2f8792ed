"""All that is said of one run, computed once: what the text, the page and the figures show."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from analytic import Ceilings, Phase
from baselines.codec import FormatError, one_line
from baselines.derived import Derived
from baselines.given import not_there
from baselines.history.entry import observations_of
from baselines.history.place import NO_HISTORY, Place
from baselines.inventory import Held, inventory
from baselines.judging import derive_run
from baselines.pinned import suites
from baselines.policy import POLICY
from baselines.run import RunFolder, RunInfo, run_ceilings
from baselines.store import Snapshot, Store
from baselines.verdict import Verdict
from reports.advice import Advice, BatchStep, advise, batch_series
from reports.headline import Tally, tallies
from reports.moved import Explained, explanations
from reports.nights import Nights, nights_of
from reports.scaling import LengthSeries, length_series
from reports.standing import Standing, read_run, standings_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run with at least one measured case. `moved` is what changed against the baselines,
    `held` the baselines of its cases, `nights` what the history says of them; `not_there` are
    cases that were judged by baselines of another store."""

    info: RunInfo
    derived: tuple[Derived, ...]
    verdicts: tuple[Verdict, ...]
    policy_digest: str
    ceilings: Ceilings | None
    tallies: tuple[Tally, ...]
    standings: tuple[Standing, ...]
    moved: Explained
    advices: tuple[Advice, ...]
    batches: tuple[tuple[BatchStep, ...], ...]
    lengths: tuple[LengthSeries, ...]
    held: tuple[Held, ...]
    nights: Nights
    not_there: tuple[str, ...]


def report_of(
    folder: RunFolder, verdicts: Sequence[Verdict], store: Store, *, history: Place = NO_HISTORY
) -> Report:
    """Computed from the stored records. Raises FormatError for a folder that is no run's or
    measured nothing, SpecError for a record that the model cannot bound."""
    info, records = folder.info(), folder.records()
    if not records:
        why = dict.fromkeys(p.not_run for p in info.planned if p.not_run)
        raise FormatError(
            f"{folder.path}: no case was measured{': ' if why else ''}{one_line('; '.join(why))}"
        )
    derived, stored = derive_run(records, of=folder), Snapshot(store.root)
    nights = nights_of(observations_of(info, records, verdicts), derived, stored, history)
    run = read_run(folder, info, derived, verdicts, stored, observations=nights.observations)
    stand = standings_of(run)
    batches = batch_series(derived)
    advices = (advise(derived, phase, batches) for phase in (Phase.DECODE, Phase.PREFILL))
    return Report(
        info=info,
        derived=derived,
        verdicts=tuple(verdicts),
        policy_digest=run.given.policy_digest if run.given else "",
        ceilings=run_ceilings(records),
        tallies=tallies(info, [r.case.id for r in records], verdicts, stand),
        standings=stand,
        moved=explanations(derived, verdicts, stored),
        advices=tuple(advice for advice in advices if advice is not None),
        batches=batches,
        lengths=length_series(derived),
        held=_held(derived, stored),
        nights=nights,
        not_there=not_there(records, verdicts, store),
    )


def _held(derived: Sequence[Derived], store: Store) -> tuple[Held, ...]:
    """The baselines of the run's cases that can be read: what they see is corrected for all
    of their GPU and model."""
    cases = {(d.record.gpu, d.record.case.model, d.record.case.id) for d in derived}
    promises = {d.record.case.id: d.record.case.promise for d in derived}
    now = dt.datetime.now(dt.UTC)
    return tuple(
        held
        for suite in suites(store)
        if any((suite.gpu, suite.model) == case[:2] for case in cases)
        for held in inventory(suite, now=now, policy=POLICY, promises=promises).held
        if (suite.gpu, suite.model, held.case) in cases
    )
