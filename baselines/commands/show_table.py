"""The baselines of a GPU and model as Markdown: what holds for all once, a table of what
differs, and what is to be known of some."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from analytic import text
from baselines.codec import one_line
from baselines.inventory import Held, Lack
from baselines.markdown import code, escape, table
from baselines.policy import POLICY

# Of more cases than these only how many they are is said.
_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """`once` says in words what all rows have in common; without it a column stays."""

    header: str
    cell: Callable[[Held], str]
    once: Callable[[str], str] | None = None
    left: bool = False


def section(held: Sequence[Held]) -> str:
    """What is said of the baselines of one GPU and model below its heading."""
    if not held:
        return "none that can be read"
    shared = [c for c in _COLUMNS if c.once and _alike(c, held)]
    shown = [c for c in _COLUMNS if c not in shared]
    values = [(c, next((v for one in held if (v := c.cell(one)) != "–"), "–")) for c in shared]
    common = "; ".join(c.once(value) for c, value in values if c.once and value != "–")
    rows = [[c.cell(one) for c in shown] for one in held]
    left = [i for i, c in enumerate(shown) if c.left]
    parts = [common, table([c.header for c in shown], rows, left=left), "\n".join(_remarks(held))]
    return "\n\n".join(filter(None, parts))


def _alike(column: _Column, held: Sequence[Held]) -> bool:
    """Nothing is promised of a device time that is not there: such a case is not asked."""
    asked = [one for one in held if one.device] if column.header == "promised" else held
    return len({column.cell(one) for one in asked}) < 2


def _device(show: Callable[..., str], name: str) -> Callable[[Held], str]:
    """Of a case without device time a dash."""
    return lambda one: "–" if one.device is None else show(getattr(one.device, name))


def _percent(value: float | None) -> str:
    return text.percent(value, digits=2)


def _cards(one: Held) -> str:
    return str(one.cards) if one.cards else "–"


def _age(one: Held) -> str:
    return "–" if one.age_days is None else f"{one.age_days:.1f} d"


def _since_anchor(one: Held) -> str:
    if one.drift is None:
        return "–"
    return f"{text.signed_percent(one.drift)}{'' if one.drift_of == 'device' else ' wall'}"


def _regime(one: Held) -> str:
    return one.regime if one.pool == "steady" else f"{one.regime}, {one.pool}"


_COLUMNS = (
    _Column(header="case", cell=lambda one: code(one.case), left=True),
    _Column(
        header="sessions",
        cell=lambda one: str(one.sessions),
        once=lambda n: f"{text.counted(int(n), 'session')} a case",
    ),
    _Column(header="cards", cell=_cards, once=lambda n: text.counted(int(n), "card")),
    _Column(header="age", cell=_age, once=lambda age: f"newest session {age} old"),
    _Column(header="commit", cell=lambda one: escape(one.commit), once=lambda c: f"commit {c}", left=True),
    _Column(header="device", cell=_device(text.seconds, "mean_s")),
    _Column(header="device CV", cell=_device(_percent, "cv")),
    _Column(header="device sees", cell=_device(text.seen_from, "sees")),
    _Column(
        header="promised",
        cell=_device(text.percent, "promised"),
        once=lambda share: f"{share} of device time is promised to be seen",
    ),
    _Column(header="wall", cell=lambda one: text.seconds(one.wall.mean_s)),
    _Column(header="wall CV", cell=lambda one: _percent(one.wall.cv)),
    _Column(header="wall sees", cell=lambda one: text.seen_from(one.wall.sees)),
    _Column(header="since anchor", cell=_since_anchor, once=lambda share: f"{share} since the anchor"),
    _Column(header="regime", cell=_regime, left=True),
)


def _remarks(held: Sequence[Held]) -> Iterator[str]:
    """Each once, with the cases that it is of."""
    said: dict[str, list[str]] = {}
    for one in held:
        for words in (*notes(one), *_modes(one), *_origin(one)):
            said.setdefault(words, []).append(code(one.case))
    for words, cases in said.items():
        yield f"- {_whose(cases, of=len(held))}: {escape(words)}"


def _whose(cases: Sequence[str], *, of: int) -> str:
    if len(cases) == of > 1:
        return "all"
    return ", ".join(cases) if len(cases) <= _NAMED else f"{len(cases)} of {of} cases"


def notes(one: Held) -> tuple[str, ...]:
    """What is lacking or odd, and what helps."""
    uncounted = [lack for lack in (Lack.COUNTS, Lack.KERNELS) if lack in one.lacks]
    others = (_words(lack, one) for lack in one.lacks if lack not in uncounted)
    return (
        *others,
        *([f"{' and '.join(uncounted)}: a refresh takes them"] if uncounted else []),
        *([f"hard key of its own: {'; '.join(one.odd)}"] if one.odd else []),
    )


def _words(lack: Lack, one: Held) -> str:
    if lack is Lack.SESSIONS:
        return f"too few to judge: {one.sessions} of {POLICY.min_sessions} sessions"
    if lack is Lack.CREEP and one.anchor is not None:
        return f"{lack} (commit {one.anchor.commit})"
    for sight, name, metric in (
        (Lack.DEVICE_SIGHT, "device time", one.device),
        (Lack.WALL_SIGHT, "wall", one.wall),
    ):
        if lack is sight and metric is not None:
            return f"{name}: more or calmer sessions are needed to see {text.percent(metric.promised)}"
    return lack.value


def _modes(one: Held) -> Iterator[str]:
    if one.modes:
        fast, slow = one.modes
        yield (
            f"the wall is bimodal: {text.counted(fast.sessions, 'session')} near "
            f"{text.seconds(math.exp(fast.log))}, {slow.sessions} near {text.seconds(math.exp(slow.log))}"
        )


def _origin(one: Held) -> Iterator[str]:
    if one.by or one.reason:
        by = f" by {one_line(one.by)}" if one.by else ""
        why = f": {one_line(one.reason)}" if one.reason else ""
        yield f"written{by} on {one_line(one.written)}{why}"
