"""Which database keeps the history.

No SQLAlchemy here: pytest reads this in every session.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

OPTION = "--perf-history"
VARIABLE = "ROOFGATE_HISTORY"
NONE = "none"
DEFAULT = Path("runs") / "history.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The URL of a history, None where none is to be kept; `origin` is what named it."""

    url: str | None
    origin: str

    @property
    def named(self) -> bool:
        """Whether a person chose it."""
        return bool(self.origin)


NO_HISTORY = Place(url=None, origin="")


def chosen(given: str | None, *, root: Path, environment: Mapping[str, str]) -> Place:
    """What the option says, else the environment, else a SQLite file under `root`."""
    for text, origin in ((given, OPTION), (environment.get(VARIABLE) or None, VARIABLE)):
        if text is not None:
            return Place(url=None if text == NONE else text, origin=origin)
    return Place(url=f"sqlite:///{root / DEFAULT}", origin="")
