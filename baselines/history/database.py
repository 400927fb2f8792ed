"""A history's database: opened by its URL, appended to, read. The same code for every dialect.

A run is appended in one transaction, whole or not at all. What is there already stays:
rows are keyed by what was observed, so a second sending, or two at once, adds nothing.
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, bindparam, create_engine, event, insert, inspect, make_url, select, update
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from analytic import SpecError
from baselines import codec
from baselines.history.entry import Entry, Observation
from baselines.history.errors import HistoryError
from baselines.history.place import Place
from baselines.history.tables import HISTORY, METADATA, OBSERVED, RECORDS, SCHEMA, observation_of, row_of
from baselines.passwords import without_password
from baselines.record import Record

# How long the end of a run may wait for a database, by driver and in the driver's own
# unit. A connection to a host that is down fails within seconds; SQLite has one writer
# at a time, whose turn takes milliseconds. What the URL says of these goes before.
_PATIENCE: dict[str, dict[str, int]] = {
    "pysqlite": {"timeout": 10},
    "psycopg": {"connect_timeout": 5, "tcp_user_timeout": 20_000},
    "psycopg2": {"connect_timeout": 5, "tcp_user_timeout": 20_000},
}
# Of one statement, in milliseconds: another's lock on a table must not hold up a run.
_STATEMENT_MS = 20_000

# Another process may make the tables, or send the same run, in the same moment. Its
# transaction is then over, so that the next attempt sees what it did.
_ATTEMPTS = 5
_PAUSE_S = 0.1

_EXAMPLES = "sqlite:///runs/history.sqlite or postgresql://user@host/database"


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """How many records were new, and how many were there already."""

    new: int
    known: int


def parse_url(place: Place) -> URL:
    """Raises SpecError for a URL that no database can have; asks no database."""
    said = f"{place.origin} {without_password(place.url or '')!r}"
    needed = f"a database URL such as {_EXAMPLES} is needed"
    try:
        url = make_url(place.url or "")
        url.get_dialect()
    except NoSuchModuleError:
        raise SpecError(f"{said}: no such kind of database; {needed}, or none") from None
    except (ArgumentError, ValueError):  # what they say may hold a part of the password
        raise SpecError(f"{said} is no URL; {needed}, or none") from None
    except ImportError:
        return url  # the driver is missing: that is for open_url to say
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise SpecError(f"{said}: SQLite keeps nothing without a file; {needed}")
    return url


class History:
    """An open history; `id` is the database's own. Close it, or use it in a with statement.

    All methods raise HistoryError where the database cannot be used.
    """

    def __init__(self, engine: Engine, *, id: str, name: str) -> None:  # noqa: A002 - as in the table
        self._engine = engine
        self.id = id
        self.name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()

    def append(self, entries: Sequence[Entry]) -> Appended:
        """Adds what is not there yet, all of it or, where it raises, nothing."""
        # In one order everywhere, so that two processes wait for each other and never both.
        rows = {e.observation.key: row_of(e) for e in sorted(entries, key=lambda e: e.observation.key)}
        with _explained(self.name):
            for _ in range(_ATTEMPTS - 1):
                try:
                    return self._append(rows)
                except IntegrityError:  # another process sent the same run
                    time.sleep(_PAUSE_S)
            return self._append(rows)

    def _append(self, rows: Mapping[str, dict[str, Any]]) -> Appended:
        there = select(RECORDS.c.key, RECORDS.c.exit_status).where(RECORDS.c.key.in_(rows))
        with self._engine.begin() as connection:
            known = {key: status for key, status in connection.execute(there)}  # noqa: C416 - rows, not tuples
            if new := [row for key, row in rows.items() if key not in known]:
                connection.execute(insert(RECORDS), new)
            # A run that was sent before it had ended: how it ended is known now.
            unended = [key for key, status in known.items() if status is None]
            if ended := [_end(rows[key]) for key in unended if rows[key]["exit_status"] is not None]:
                connection.execute(_END, ended)
        return Appended(new=len(new), known=len(known))

    def observations(self, *, gpu: str | None = None, model: str | None = None) -> tuple[Observation, ...]:
        """Every observation of a GPU and a model, or of all, in the order of the runs."""
        query = select(*OBSERVED).order_by(RECORDS.c.run_started, RECORDS.c.key)
        if gpu is not None:
            query = query.where(RECORDS.c.gpu == gpu)
        if model is not None:
            query = query.where(RECORDS.c.model == model)
        with _explained(self.name), self._engine.connect() as connection:
            return tuple(observation_of(row) for row in connection.execute(query).mappings())

    def record(self, key: str) -> Record:
        """The whole record of an observation, as it was measured. Raises FormatError for
        one that this Roofgate cannot read, HistoryError where there is none."""
        query = select(RECORDS.c.record).where(RECORDS.c.key == key)
        with _explained(self.name), self._engine.connect() as connection:
            text = connection.scalar(query)
        if text is None:
            raise HistoryError(f"{self.name} holds no record {key}")
        return codec.parse(Record, text, where=f"{self.name}, record {key}")


_END = (
    update(RECORDS)
    .where(RECORDS.c.key == bindparam("of"))
    .values(exit_status=bindparam("ended"), status=bindparam("judged"))
)


def _end(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"of": row["key"], "ended": row["exit_status"], "judged": row["status"]}


def open_url(place: Place, *, create: bool) -> History:
    """The history at a place; `create` makes its tables, and SQLite's file, where they lack.

    Raises SpecError as parse_url, and HistoryError where it cannot be used.
    """
    url = parse_url(place)
    name = without_password(url.set(query={}).render_as_string(hide_password=True))
    _find_file(url, name, create=create)
    with _explained(name):
        driver = url.get_driver_name()
        patience = {k: v for k, v in _PATIENCE.get(driver, {}).items() if k not in url.query}
        engine = create_engine(url, connect_args=patience)
        if engine.dialect.name == "postgresql":
            event.listen(engine, "connect", _limit_statements)
        try:
            return History(engine, id=_id(engine, name, create=create), name=name)
        except BaseException:
            engine.dispose()
            raise


def _find_file(url: URL, name: str, *, create: bool) -> None:
    """SQLite makes a missing file, also to read it, and never a missing folder."""
    if url.get_backend_name() != "sqlite" or url.database is None or url.database.startswith("file:"):
        return
    file = Path(url.database)
    if create:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HistoryError(f"{name} cannot be made: {error}") from error
    elif not file.exists():
        raise HistoryError(f"there is no history at {name} yet: it is made at the end of a measured run")


def _limit_statements(connection: Any, _: Any) -> None:
    connection.cursor().execute(f"SET statement_timeout = {_STATEMENT_MS}")
    connection.commit()


def _id(engine: Engine, name: str, *, create: bool) -> str:
    """The database's own id, with tables that this Roofgate can use."""
    for attempt in range(_ATTEMPTS):
        with engine.connect() as connection:
            found = _look(connection, name)
        if found is not None:
            return found
        if not create:
            raise HistoryError(f"{name} holds no history yet: it is begun at the end of a measured run")
        try:
            _begin(engine)
        except DBAPIError:  # another process began it in the same moment, or it cannot be begun
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE_S)
    raise HistoryError(f"{name}: the history's tables are gone as soon as they are made")


def _look(connection: Connection, name: str) -> str | None:
    if not inspect(connection).has_table(HISTORY.name):
        return None
    row = connection.execute(select(HISTORY.c.schema, HISTORY.c.id)).first()
    if row is None:
        return None
    if row.schema > SCHEMA:
        raise HistoryError(
            f"{name} is a history of schema {row.schema}, newer than this Roofgate keeps ({SCHEMA}): update Roofgate"
        )
    return str(row.id)


def _begin(engine: Engine) -> None:
    """Makes the tables and the id in one transaction."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":  # Python's driver begins none for CREATE TABLE
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        METADATA.create_all(connection)
        connection.execute(insert(HISTORY), {"one": 1, "schema": SCHEMA, "id": uuid.uuid4().hex})


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """What drivers raise, as HistoryError that names the database."""
    try:
        yield
    except (SQLAlchemyError, OSError, ValueError, TypeError) as error:
        reason = error.orig if isinstance(error, DBAPIError) and error.orig else error
        raise HistoryError(f"{name} cannot be used: {without_password(_first_line(reason))}") from error
    except ImportError as error:
        raise HistoryError(
            f"{name} cannot be used: {error.name} is not installed (pip install 'roofgate[history]' "
            "brings PostgreSQL's)"
        ) from error


def _first_line(error: BaseException) -> str:
    """SQLAlchemy adds the statement and a link, drivers a hint, each on a line of its own."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
