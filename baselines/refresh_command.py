"""The command that takes new baselines, as a message names it."""

import shlex
from pathlib import Path

from analytic import ASKED_FOR
from baselines.derived import Derived, lane_of
from baselines.store import DEFAULT_STORE


def refresh_lane(gpu: str, store: Path) -> str:
    """Of all cases of that GPU's lane, into that store."""
    return f"{_command(gpu)}{_into(store)}"


def refresh_case(derived: Derived, store: Path) -> str:
    """Of one case; where no table holds it, with the options that asked for it."""
    case = derived.record.case
    asked = f" {case.why.removeprefix(ASKED_FOR)}" if case.why.startswith(ASKED_FOR) else ""
    return f"{_command(derived.record.gpu)} -k {case.id}{asked}{_into(store)}"


def _command(gpu: str) -> str:
    return f"python -m baselines refresh --sessions 5 -m {lane_of(gpu)}"


def _into(store: Path) -> str:
    """The option that names it, but for the store that is taken without one."""
    if store.absolute() == DEFAULT_STORE.absolute():
        return ""
    return f" --perf-baselines={shlex.quote(str(store))}"
