"""A run's cases over the nights: what the history holds of each, its change points, and the anchor."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analytic import SpecError, text
from baselines.codec import FormatError
from baselines.derived import Derived
from baselines.history.anchor import Anchor, anchor_of
from baselines.history.entry import Observation
from baselines.history.errors import HistoryError
from baselines.history.opening import observations_at
from baselines.history.place import Place
from baselines.history.series import METRICS, Name, Series, name_of, series_of
from baselines.history.together import Together, together
from baselines.history.trend import ENOUGH_POINTS, LEAST_POINTS, MIN_EFFECT, Step, Trend, trend
from baselines.markdown import code, escape, table
from baselines.store import Store

_HEADERS = ("case", "time", "nights", "latest point", "noise", "change points", "since the anchor")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNights:
    """One case of the run over the nights, this one the last. `metric` names the time that
    is followed: device time, or the wall where there is none. `anchor_s` is None where
    `lacks` says why."""

    metric: str
    series: Series
    trend: Trend
    anchor_s: float | None
    lacks: str

    @property
    def clock(self) -> str:
        return "device time" if self.metric == "device_s" else "wall time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nights:
    """Every measured case over the nights, and all observations that were found of them, this
    run's among them. `note` says why no history was read; empty where one was."""

    cases: tuple[CaseNights, ...]
    observations: tuple[Observation, ...]
    note: str

    @property
    def read(self) -> bool:
        return not self.note


def nights_of(own: Sequence[Observation], derived: Sequence[Derived], store: Store, place: Place) -> Nights:
    """`own` are the run's observations. Of a history that cannot be used a note is all that
    is said, and of a run that was told to keep none."""
    started = max((o.run_started for o in own), default=None)
    before, note = _before(place, derived)
    known = {o.key for o in own}
    every = (*(o for o in before if o.key not in known and started and o.run_started <= started), *own)
    series = {metric: {one.name: one for one in series_of(every, metric)} for metric in METRICS}
    mine = {o.case: o for o in own}
    cases = tuple(_case(d, mine[d.record.case.id], series, store) for d in derived)
    return Nights(cases=cases, observations=every, note=note)


def _before(place: Place, derived: Sequence[Derived]) -> tuple[tuple[Observation, ...], str]:
    if place.url is None:
        return (), "no history was asked"
    if not place.named and not Path(place.url.removeprefix("sqlite:///")).exists():
        return (), ""  # that of here, which this run's end begins
    kinds = dict.fromkeys((d.record.gpu, d.record.case.model) for d in derived)
    try:
        return observations_at(place, kinds), ""
    except (HistoryError, SpecError) as error:
        return (), f"history: {error}"


def _case(
    derived: Derived, own: Observation, known: Mapping[str, Mapping[Name, Series]], store: Store
) -> CaseNights:
    """`known` are all series, by metric and name."""
    metric = "device_s" if own.device_s is not None else "wall_s"
    series = known[metric][name_of(own)]
    try:
        anchor = anchor_of(store, derived.record, metric)
    except FormatError as error:  # told with the verdict
        anchor = Anchor(time_s=None, lacks=str(error))
    return CaseNights(
        metric=metric,
        series=series,
        trend=trend(series.points, anchor_s=anchor.time_s, min_effect=MIN_EFFECT[metric]),
        anchor_s=anchor.time_s,
        lacks=anchor.lacks,
    )


def nights_text(nights: Nights) -> str:
    """What moved in one night first, then a line a case; empty where there is no night but
    this one, and nothing to be said of that."""
    cases = followed(nights)
    if not cases:
        return "\n\n".join(filter(None, (escape(nights.note), _left_out(nights.cases))))
    moved = together((one.series, step) for one in cases for step in one.trend.steps)
    parts = (
        escape(nights.note),
        "\n".join(map(_moved, moved)),
        table(_HEADERS, [_row(one) for one in cases], left=(0, 1, 5)),
        _left_out(cases),
    )
    return "\n\n".join(filter(None, parts))


def followed(nights: Nights) -> tuple[CaseNights, ...]:
    """The cases of several nights: those that moved first."""
    several = [one for one in nights.cases if one.series.nights > 1]
    return tuple(sorted(several, key=lambda one: not one.trend.steps))


def _moved(one: Together) -> str:
    by = text.signed_range(one.low, one.high)
    cases = ", ".join(map(code, one.cases))
    return f"- {one.night}: {len(one.cases)} cases moved together, {by} ({escape(', '.join(one.commits))}): {cases}"


def _row(one: CaseNights) -> tuple[str, ...]:
    return (
        code(one.series.case),
        one.clock,
        str(one.series.nights),
        text.seconds(one.series.points[-1].median_s),
        text.percent(one.trend.noise, digits=2),
        escape(steps_words(one)),
        _drift(one),
    )


def steps_words(one: CaseNights) -> str:
    if one.trend.noise is None:
        return f"not looked for: {ENOUGH_POINTS} points are needed"
    return "; ".join(step_words(step) for step in one.trend.steps) or "none"


def step_words(step: Step) -> str:
    with_it = f", with {'; '.join(step.soft)}" if step.soft else ""
    return f"{step.night} {text.signed_percent(step.size)}, commits {step.good}..{step.bad}{with_it}"


def _drift(one: CaseNights) -> str:
    drift = one.trend.drift
    if drift is None:
        return "no anchor" if one.anchor_s is None else f"{LEAST_POINTS} points are needed"
    if drift.claimed:
        return text.signed_percent(drift.size)
    return f"{text.signed_percent(drift.size)}, {'not judged' if one.trend.noise is None else 'within noise'}"


def _left_out(cases: Sequence[CaseNights]) -> str:
    why: Counter[str] = Counter()
    for one in cases:
        why.update(one.series.left_out)
    said = ", ".join(f"{count} {reason}" for reason, count in sorted(why.items()))
    return f"Observations left out: {said}." if said else ""
