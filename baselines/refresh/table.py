"""Old -> new as Markdown: the pull request's text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean, stdev

from analytic import text
from baselines.cards import cards_of
from baselines.interval import t_quantile
from baselines.markdown import code, escape, table
from baselines.store import Baseline

# Of the intervals that are shown: of the mean, over sessions.
CONFIDENCE = 0.95

_HEADERS = ("case", "sessions", "device old → new", "change", "wall old → new", "drift", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A case's baseline, stored and to be stored. `comparable` where both are under one
    hard key; `note` is what is said of it, in words."""

    path: Path
    old: Baseline | None
    new: Baseline
    comparable: bool
    note: str

    @property
    def share(self) -> tuple[str, float] | None:
        """The metric that gates, and by what share it grew; None where nothing is compared."""
        if self.old is None or not self.comparable:
            return None
        return self.new.accepted.change_since(self.old.accepted)


def change_table(changes: Sequence[Replaced]) -> str:
    """Each time is the geometric mean of the sessions' medians."""
    return table(_HEADERS, [_row(change) for change in changes], left=(0, len(_HEADERS) - 1))


def _row(change: Replaced) -> tuple[str, ...]:
    old, new = change.old, change.new
    cards = len(cards_of(new))
    of_cards = f" ({text.counted(cards, 'card')})" if cards else ""
    device = _arrow(old.device_medians_s if old else (), new.device_medians_s)
    wall = _arrow(old.wall_medians_s if old else (), new.wall_medians_s)
    return (
        code(new.case),
        f"{len(new.sessions)}{of_cards}",
        device,
        _changed(change),
        wall,
        _drift(new),
        escape(change.note),
    )


def _arrow(old: Sequence[float], new: Sequence[float]) -> str:
    return f"{_mean(old)} → {_mean(new)}" if old or new else text.seconds(None)


def _mean(medians_s: Sequence[float]) -> str:
    """With its interval, by Student's t over the logs of the sessions."""
    if not medians_s:
        return text.seconds(None)
    mean_s, half_s = geometric_mean(medians_s), None
    if len(medians_s) > 1:
        error = stdev(math.log(s) for s in medians_s) / math.sqrt(len(medians_s))
        half_s = mean_s * t_quantile((1 + CONFIDENCE) / 2, len(medians_s) - 1) * error
    return text.plus_minus(mean_s, half_s)


def _changed(change: Replaced) -> str:
    if change.share is None:
        return text.seconds(None)
    metric, share = change.share
    return f"{'wall ' if metric == 'wall' else ''}{text.signed_percent(share)}"


def _drift(new: Baseline) -> str:
    """Since the anchor, with its day."""
    if new.anchor is None or new.drift is None:
        return text.seconds(None)
    return f"{text.signed_percent(new.drift)} since {new.anchor.written[:10]}"
