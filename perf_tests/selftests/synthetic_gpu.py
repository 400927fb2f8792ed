"""An H100 without a GPU and without torch: a plugin for `-p` whose harness makes records of
plain numbers.

All else is Roofgate's and pytest's own: what is collected, the run's folder, the fresh
processes that measure suspects again, verdicts and exit codes. How the card behaves is
told by the environment (`script`), apart for the session and for its fresh processes.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analytic import Case, case_bound, find_gpu, load_model
from baselines.commit import Commit
from baselines.record import Record
from baselines.run import CONFIRMATIONS
from perf_tests.checkpoint import random_source
from perf_tests.harness import Harness
from perf_tests.measuring import MeasuringError, Timer
from perf_tests.plan import Plan
from perf_tests.selftests.records import ceilings, hard_key, record, soft_key

PLUGIN = ("-p", __name__)
GPU = "h100-sxm"
# The share of the bound that a decode step in fp16 reaches: amid the card's bands.
REACHED = 0.53
# In the folder of a run that hangs: whose process it is.
PID = "pid.txt"

_VARIABLE = "SYNTHETIC_GPU"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """`slower` multiplies the device times of `cases`, or of all where none is named.
    `hard` and `soft` are what differs in its keys. Measuring `at` a case, or any, does
    what `then` names."""

    slower: float = 1.0
    cases: tuple[str, ...] = ()
    hard: Mapping[str, Any] = field(default_factory=dict)
    soft: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""
    then: str = ""


def script(session: Card, *, fresh: Card | None = None, limit_s: float = 60.0) -> dict[str, str]:
    """The environment of a session that finds such a card; its fresh processes find the
    same, unless another is given, and may take so long."""
    told = {"session": asdict(session), "fresh": asdict(fresh or session), "limit_s": limit_s}
    return {_VARIABLE: json.dumps(told)}


def synthetic(case: Case, card: Card, *, run: str) -> Record:
    """What the card makes of a case."""
    lower_s = case_bound(load_model(case.model), case, find_gpu(GPU).roofs).lower_s
    slower = card.slower if not card.cases or case.id in card.cases else 1.0
    return record(
        case.id,
        gpu=GPU,
        model=case.model,
        device_s=slower * lower_s / REACHED,
        wall_s=5 * lower_s / REACHED,
        hard=replace(hard_key(GPU), **card.hard),
        soft=replace(soft_key(GPU), **card.soft),
        run=run,
    )


def _fail(_: Path) -> None:
    raise MeasuringError("the engine broke")


def _interrupt(_: Path) -> None:
    # A shell that runs tests in the background makes its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)


def _hang(out: Path) -> None:
    (out / PID).write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(600)


def _stop_the_session(out: Path) -> None:
    """From within a fresh process, which then goes on."""
    os.kill(os.getppid(), signal.SIGTERM)
    _hang(out)


def _leave_no_run(out: Path) -> None:
    """As a disk does that fills up while a fresh process begins."""
    (out / "run.json").write_text("", encoding="utf-8")
    os._exit(1)


# What may happen to a process whose run lies in that folder.
_THEN: dict[str, Callable[[Path], None]] = {
    "fail": _fail,
    "hang": _hang,
    "Ctrl-C": _interrupt,
    "SIGTERM": lambda _: os.kill(os.getpid(), signal.SIGTERM),
    "SIGKILL": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "stop the session": _stop_the_session,
    "leave no run": _leave_no_run,
}


class SyntheticHarness(Harness):
    card: Card
    out: Path

    def plan(self, case: Case) -> Plan:
        return Plan(case=case, footprint_bytes=1, skip=None)

    def measure(self, case: Case, timer: Timer, *, run_id: str, predicted_bytes: int) -> Record:  # noqa: ARG002
        if self.card.then and self.card.at in ("", case.id):
            _THEN[self.card.then](self.out)
        # A benchmark that was asked for, and not used, would be an error of the item.
        timer(SimpleNamespace(run=lambda: None, reset=lambda: None), 1)
        return synthetic(case, self.card, run=run_id)


def pytest_configure(config: pytest.Config) -> None:
    # Not before: pytest is still to rewrite the asserts of its plugins.
    from perf_tests import confirming, fixtures, gpu_presence

    told = json.loads(os.environ[_VARIABLE])
    out = Path(config.getoption("--perf-out") or "")
    fresh = CONFIRMATIONS in out.parts
    confirming.LIMIT_S = told["limit_s"]

    def open_harness(lane: str, config: pytest.Config) -> Harness:
        fixtures._obey_sigterm(config)
        name = config.getoption("--perf-model") or fixtures.default_model(lane)
        opened = SyntheticHarness(
            device=SimpleNamespace(key=GPU, release=lambda: None),  # type: ignore[arg-type]
            source=random_source(name),
            commit=Commit(hash="synthetic", dirty=False),
            ceilings=ceilings(GPU),
        )
        opened.card, opened.out = Card(**told["fresh" if fresh else "session"]), out
        return opened

    for module, name, stand_in in (
        (fixtures, "_open_harness", open_harness),
        (gpu_presence, "torch_problem", lambda: None),
        (gpu_presence, "gpu_problem", lambda: None),
    ):
        setattr(module, name, stand_in)
