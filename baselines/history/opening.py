"""The way to a history's database. SQLAlchemy is imported here when it is first needed,
so that what keeps no history pays nothing for it and works where it is not installed."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from baselines.history.errors import HistoryError
from baselines.history.place import Place

if TYPE_CHECKING:
    from baselines.history.database import History
    from baselines.history.entry import Observation

LACKING = "SQLAlchemy is not installed (pip install sqlalchemy)"


class LackingError(HistoryError):
    """SQLAlchemy is not installed."""


def check(place: Place) -> None:
    """Raises SpecError for a URL that no database can have. Where SQLAlchemy is not
    installed, nobody can tell, and nothing is said."""
    try:
        from baselines.history.database import parse_url
    except ModuleNotFoundError as error:
        if _is_sqlalchemy(error):
            return
        raise
    parse_url(place)


def open_history(place: Place, *, create: bool) -> "History":
    """Raises SpecError for a bad URL, HistoryError where the database cannot be used."""
    try:
        from baselines.history.database import open_url
    except ModuleNotFoundError as error:
        if _is_sqlalchemy(error):
            raise LackingError(LACKING) from error
        raise
    return open_url(place, create=create)


def observations_at(place: Place, kinds: Iterable[tuple[str, str]]) -> tuple["Observation", ...]:
    """Those of each GPU and model. Raises as open_history."""
    with open_history(place, create=False) as history:
        return tuple(o for gpu, model in kinds for o in history.observations(gpu=gpu, model=model))


def _is_sqlalchemy(error: ModuleNotFoundError) -> bool:
    return (error.name or "").partition(".")[0] == "sqlalchemy"
