"""Which database keeps the history, and how it is named without its password.

No SQLAlchemy here: pytest reads this in every session.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

OPTION = "--perf-history"
VARIABLE = "ROOFGATE_HISTORY"
NONE = "none"
DEFAULT = Path("runs") / "history.sqlite"

# user:password@, by the last @ of the word, and a password among the parameters.
_SECRETS = (
    (re.compile(r"(://[^:/@\s]*):\S*@"), r"\1:***@"),
    (re.compile(r"([?&][a-z]*password=)[^&\s]*", re.IGNORECASE), r"\1***"),
)


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


def chosen(given: str | None, *, root: Path, environment: Mapping[str, str], option: str = OPTION) -> Place:
    """What the option says, else the environment, else a SQLite file under `root`."""
    for text, origin in ((given, option), (environment.get(VARIABLE) or None, VARIABLE)):
        if text is not None:
            return Place(url=None if text == NONE else text, origin=origin)
    return Place(url=f"sqlite:///{root / DEFAULT}", origin="")


def without_password(text: str) -> str:
    """`text` with the passwords of all URLs in it hidden."""
    for secret, hidden in _SECRETS:
        text = secret.sub(hidden, text)
    return text
