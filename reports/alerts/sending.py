"""The two commands: a run is told of, and a night without a run."""

import argparse
import datetime as dt
import math
import os
import sys
from collections.abc import Iterable, Sequence
from functools import partial

from analytic import SpecError, text
from baselines.codec import FormatError
from baselines.commands.options import place_if_any
from baselines.derived import lane_of
from baselines.given import not_there
from baselines.history.entry import Observation, observations_of
from baselines.history.errors import HistoryError
from baselines.history.opening import observations_at
from baselines.judging import derive_run
from baselines.names import require_name
from baselines.run import RunFolder, RunInfo
from baselines.store import Store
from reports.alerts import regression, silence
from reports.alerts.channels import TOKEN, Channels, channels_of
from reports.alerts.failure import ChannelError
from reports.alerts.limits import Limits
from reports.alerts.silence import MISSING, UNMEASURED, Silent, grouped, unmeasured
from reports.standing import Standing, read_run, standings_of


def alert(options: argparse.Namespace) -> int:
    """Tells of every GPU and model of a run. Raises FormatError and SpecError."""
    folder, channels = RunFolder(options.folder), _channels(options)
    info, records, verdicts = folder.info(), folder.records(), folder.verdicts()
    if why := folder.disowned:
        raise FormatError(f"{folder.path}: nobody is told of what is no session: {why}")
    store = Store(options.perf_baselines)
    if lost := not_there(records, verdicts, store):
        raise FormatError(
            f"{folder.path}: {text.counted(len(lost), 'case')}, such as {lost[0]}, were judged by baselines that "
            f"are not in {store.root}: name their store with --perf-baselines"
        )
    history = _history(options, sorted({(r.gpu, r.case.model) for r in records}))
    observations = (*history, *observations_of(info, records, verdicts))
    derived = derive_run(records, of=folder)
    stand = standings_of(read_run(folder, info, derived, verdicts, store, observations=observations))
    done = [
        channels.deliver(regression.key_of(now), partial(regression.decide, now, page=channels.page))
        for now in stand
    ]
    if (silent := _silent(info, stand, name=options.name)) is not None:
        done.append(_tell(silent, channels))
    else:
        heard = partial(
            silence.decide_heard, options.name, run=info.id, started=info.started, page=channels.page
        )
        done.append(channels.deliver(silence.key_of(options.name), heard))
    return 0 if all(done) else 1


def watch(options: argparse.Namespace) -> int:
    """Tells of a night of which no artifact arrived. Raises FormatError."""
    channels, now = _channels(options), dt.datetime.now(dt.UTC)
    at = now.isoformat(timespec="seconds")
    if options.none_arrived:
        reason = f"the night left no artifact {options.artifact}, or it could not be fetched"
        silent = Silent(name=options.name, what=MISSING, reasons=(reason,), at=at, after=at)
        return 0 if _tell(silent, channels) else 1
    if channels.hub is None:
        raise FormatError(f"no {TOKEN}: artifacts are looked for with a token that may read them")
    if not (math.isfinite(options.hours) and options.hours > 0):
        raise FormatError(f"--hours {options.hours}: hours above 0 are needed")
    try:
        newest = channels.hub.newest_artifact(options.artifact)
    except ChannelError as error:
        channels.failed(error, f"whether {options.artifact} arrived")
        return 1
    if newest is not None and (age := (now - newest).total_seconds() / 3600) <= options.hours:
        print(f"{options.artifact}: a result of {age:.1f} h ago is there")
        return 0
    last = "there is none" if newest is None else f"the newest is of {newest.isoformat(timespec='minutes')}"
    reason = f"no artifact {options.artifact} of the last {options.hours:g} h: {last}"
    after = None if newest is None else newest.isoformat()
    silent = Silent(name=options.name, what=MISSING, reasons=(reason,), at=at, after=after)
    return 0 if _tell(silent, channels) else 1


def _channels(options: argparse.Namespace) -> Channels:
    require_name("what --name gives", options.name)
    limits = Limits(timeout_s=options.timeout, patience_s=options.patience)
    return channels_of(os.environ, repository=options.repo, limits=limits, dry=options.dry_run)


def _tell(silent: Silent, channels: Channels) -> bool:
    return channels.deliver(silence.key_of(silent.name), partial(silence.decide, silent, page=channels.page))


def _unjudged(stand: Sequence[Standing]) -> dict[str, list[str]]:
    """The GPUs and models of which nothing was judged, each with why."""
    return {f"{now.model} on {now.gpu}": list(now.open.values()) for now in stand if not now.judged}


def _unmeasured(info: RunInfo, stand: Sequence[Standing]) -> dict[str, list[str]]:
    """The models of which a lane planned something and has no record, each with why."""
    measured = {(now.model, lane_of(now.gpu)) for now in stand}
    lost: dict[str, list[str]] = {}
    for planned in info.planned:
        if (planned.case.model, planned.lane) not in measured:
            whose = f"{planned.case.model} in the {planned.lane} lane"
            lost.setdefault(whose, []).append(planned.not_run or "not finished")
    return lost


def _silent(info: RunInfo, stand: Sequence[Standing], *, name: str) -> Silent | None:
    """What a run says nothing of; None where it says something of all that it planned."""
    lost = _unjudged(stand) | _unmeasured(info, stand)
    if stand and not lost:
        return None
    reasons = tuple(f"{whose}: {why}" for whose, each in lost.items() for why in grouped(each))
    return Silent(
        name=name,
        what=unmeasured(len(lost)) if any(now.judged for now in stand) else UNMEASURED,
        reasons=reasons or ("no case was planned",),
        at=info.started,
        after=info.started,
    )


def _history(options: argparse.Namespace, wanted: Iterable[tuple[str, str]]) -> list[Observation]:
    """What is known of the runs before; without it an alert goes out all the same."""
    place = place_if_any(options)
    if place.url is None:
        return []
    try:
        return list(observations_at(place, wanted))
    except (HistoryError, SpecError) as error:
        # A run that keeps no history has none at the place that nobody named.
        if place.named:
            print(f"note: since when is not looked up: {error}", file=sys.stderr)
        return []
