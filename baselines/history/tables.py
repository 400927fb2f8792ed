"""The tables of a history, the same in every database.

Their names begin with roofgate: a database may hold other tables too.
"""

import datetime as dt
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    TypeDecorator,
)

from baselines.history.entry import Entry, Observation
from baselines.record import SoftKey

# The schema of a history, with its history; kept in the database. A newer one is refused.
#   1  2026-11  first
SCHEMA = 1


class Utc(TypeDecorator[dt.datetime]):
    """A moment in UTC. SQLite keeps no time zone: what it holds is UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002
        if value is None:
            return None
        aware: dt.datetime = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return aware.astimezone(dt.UTC)


METADATA = MetaData()

# One row. `id` is the database's own: a run's folder notes by it what was sent.
HISTORY = Table(
    "roofgate_history",
    METADATA,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("schema", Integer, nullable=False),
    Column("id", String(32), nullable=False),
)

_SOFT = tuple(f.name for f in fields(SoftKey))

RECORDS = Table(
    "roofgate_records",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("run", Text, nullable=False),
    Column("run_started", Utc, nullable=False, index=True),
    Column("commit", Text, nullable=False),
    Column("dirty", Boolean, nullable=False),
    Column("exit_status", Integer),
    Column("gpu", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("case", Text, nullable=False),
    Column("hard", String(16), nullable=False),
    *(Column(name, Text) for name in _SOFT),
    Column("device_s", Double),
    Column("device_as_run_s", Double),
    Column("wall_s", Double, nullable=False),
    Column("lower_s", Double),
    Column("status", Text),
    Column("record", Text, nullable=False),
)

OBSERVED = tuple(column for column in RECORDS.c if column.name != "record")


def row_of(entry: Entry) -> dict[str, Any]:
    """An entry by column."""
    observed = asdict(entry.observation)
    return {**observed, **observed.pop("soft"), "record": entry.record}


def observation_of(row: RowMapping) -> Observation:
    values = {name: row[name] for name in (f.name for f in fields(Observation)) if name in row}
    values["soft"] = SoftKey(**{name: row[name] for name in _SOFT})
    return Observation(**values)
