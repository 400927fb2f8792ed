"""What an issue remembers from night to night: two comments in its body, which are not shown."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from analytic import SpecError
from baselines.codec import FormatError, from_json, to_json

SCHEMA = 1

# More is not kept: the issue needs its room for people.
_MOST_CHARS = 30_000

_STATE = re.compile(r"^<!-- roofgate:state (\{.*\}) -->\s*$", re.MULTILINE)

T = TypeVar("T", "Regression", "Silence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What an issue is of; there is one open issue of each."""

    subject: str
    names: tuple[str, ...]

    @property
    def comment(self) -> str:
        return f"<!-- roofgate:key {_hidden([self.subject, *self.names])} -->"

    def of(self, body: str) -> bool:
        """Whether it is an issue of this, by its body: text from records never begins a
        line with such a comment (`wording.safe`)."""
        return self.comment in (line.strip() for line in body.splitlines())

    def __str__(self) -> str:
        return " ".join((self.subject, *self.names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was last said of a failing case: its status, by how much it changed, as a
    share, and the counts that grew, in words."""

    status: str
    change: float | None
    counts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """Of an issue on a GPU and model: the cases that it is about. `first` and `last` are
    when the first and the last run began that failed; `nights` the dates of such."""

    schema: int = SCHEMA
    first: str
    last: str
    nights: int
    cases: Mapping[str, Said] = field(default_factory=dict)

    def __post_init__(self) -> None:
        moment(self.first), moment(self.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Of an issue on nights without a result: `what` is lacking; a run that began after
    `after` ends it, any run where that is None."""

    schema: int = SCHEMA
    what: str
    after: str | None
    first: str
    last: str
    nights: int

    def __post_init__(self) -> None:
        moment(self.first), moment(self.last)
        if self.after is not None:
            moment(self.after)


def moment(text: str) -> dt.datetime:
    """A time in ISO 8601, in UTC where it names no zone. Raises SpecError."""
    try:
        found = dt.datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise SpecError(
            f"{text[:40]!r} is no time; one such as 2026-11-22T12:00:00+00:00 is needed"
        ) from None


def nights_after(state: Regression | Silence, now: str) -> int:
    """How many nights there are with that of `now`: a date counts once, and the last only."""
    return state.nights + (moment(state.last).date() < moment(now).date())


def hidden(key: Key, state: Regression | Silence) -> str:
    """The two comments. One that would be too long is left out: read() then knows nothing."""
    text = _hidden(to_json(state))
    return f"{key.comment}\n<!-- roofgate:state {text if len(text) <= _MOST_CHARS else '{}'} -->"


def read(kind: type[T], body: str) -> T | None:
    """The state that a body holds; None where anyone edited it, or a newer Roofgate wrote it."""
    found = _STATE.search(body)
    if found is None:
        return None
    try:
        data = json.loads(found[1])
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            return None
        return from_json(kind, data)
    except (ValueError, RecursionError, FormatError, SpecError):
        return None


def _hidden(data: object) -> str:
    """JSON on one line that no comment ends in."""
    text = json.dumps(data, sort_keys=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")
