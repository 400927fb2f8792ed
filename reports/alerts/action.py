"""What is to be done about one issue, decided before anything is sent."""

from dataclasses import dataclass
from enum import Enum

from reports.alerts.state import Key


class Kind(Enum):
    OPEN = "open an issue"
    UPDATE = "update"  # without a word to anyone
    MOVE = "comment on and update"
    CLOSE = "close"
    NOTHING = "nothing to do"


#: Of these people are told; an update only keeps the issue true.
TOLD = (Kind.OPEN, Kind.MOVE, Kind.CLOSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """An open issue as GitHub holds it."""

    number: int
    url: str
    title: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """`why` is one line; `message` what a chat is told; `began` when the run did, of an
    issue that it opens. An empty title or body stays as it is; the comment is that of a
    move or of closing."""

    kind: Kind
    key: Key
    why: str
    issue: Issue | None = None
    title: str = ""
    body: str = ""
    comment: str = ""
    message: str = ""
    began: str = ""

    @property
    def told(self) -> bool:
        return self.kind in TOLD

    def __str__(self) -> str:
        of = f" #{self.issue.number}" if self.issue else ""
        return f"{self.kind.value}{of}: {self.why}"
