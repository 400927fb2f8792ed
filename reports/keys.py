"""Versions and provenance: all that a run's measurements depend on, and where it comes from."""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from analytic import text
from baselines.derived import Derived
from baselines.markdown import escape, table
from baselines.record import HardKey, SoftKey
from baselines.run import RunInfo


def keys_text(info: RunInfo, derived: Sequence[Derived], *, policy_digest: str) -> str:
    """A table of the run, and of both keys of its records: what differs within the run is
    said with all its values. `policy_digest` is of the policy that judged it, empty where
    none has."""
    rows = [(name, escape(value)) for name, value in _rows(info, derived, policy_digest) if value]
    return table(("", "value"), rows, left=(0, 1))


def _rows(info: RunInfo, derived: Sequence[Derived], policy_digest: str) -> Iterator[tuple[str, str]]:
    yield "run", info.id
    yield "started", info.started
    yield "command", info.command
    yield "exit code", "" if info.exit_status is None else str(info.exit_status)
    yield "commit", f"{info.commit}{', with uncommitted changes' if info.dirty else ''}"
    yield "policy", policy_digest
    yield "record schema", str(info.schema)
    yield "spent", ", ".join(f"{kind} {text.seconds(time_s)}" for kind, time_s in info.spent_s.items())
    for field in fields(HardKey):
        yield _words(field.name), _values([getattr(d.record.hard, field.name) for d in derived])
    for field in fields(SoftKey):
        yield _words(field.name), _values([getattr(d.record.soft, field.name) for d in derived])


def _words(name: str) -> str:
    return name.replace("_", " ")


def _values(values: Sequence[object]) -> str:
    """Each once; nothing where it is not known."""
    return ", ".join(str(value) for value in dict.fromkeys(values) if value is not None)
