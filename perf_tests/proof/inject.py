"""A pytest plugin: every model that is measured comes with a slowdown in it.

    ROOFGATE_SLOWDOWN=kv-copy pytest -p perf_tests.proof.inject -m gpu ...

Engines with a loader of their own are left alone. The run's folder says which
slowdown it was measured with, in slowdown.txt.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analytic import SpecError
from baselines.history.place import NONE
from perf_tests.proof.work import Slowdown, find_slowdown

VARIABLE = "ROOFGATE_SLOWDOWN"
LABEL = "slowdown.txt"


def slowed(load: Callable[..., Any], slowdown: Slowdown) -> Callable[..., Any]:
    """`load`, with the slowdown in what it gives."""

    def load_slowed(*arguments: Any) -> Any:
        model = load(*arguments)
        slowdown.apply(model)
        return model

    return load_slowed


def injected(folder: Path) -> str | None:
    """The slowdown that a run was measured with; None for a run without."""
    label = folder / LABEL
    return label.read_text(encoding="utf-8").strip() if label.is_file() else None


def _named() -> Slowdown:
    try:
        return find_slowdown(os.environ.get(VARIABLE, ""))
    except SpecError as error:
        raise pytest.UsageError(f"{VARIABLE}: {error}") from error


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A name that is wrong is said before anything is collected. What is slowed on
    purpose is no history."""
    _named()
    config.option.perf_history = NONE


def pytest_collection_finish(session: pytest.Session) -> None:
    import perf_tests.harness as measured

    slowdown = _named()
    measured.load = slowed(measured.load, slowdown)
    session.config.get_terminal_writer().line(f"slowdown {slowdown.name}: {slowdown.does}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    from baselines.plugin import state

    perf = state(session.config)
    if perf.opened and perf.folder is not None:
        (perf.folder.path / LABEL).write_text(f"{_named().name}\n", encoding="utf-8")
        perf.folder.disown(f"slowed on purpose by {_named().name}")
