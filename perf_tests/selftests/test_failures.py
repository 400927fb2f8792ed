"""What goes wrong on real machines, and what is said then."""

import gc
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analytic import Case
from baselines.commit import Commit
from baselines.run import RunFolder
from baselines.verdict import Status
from perf_tests import gpu_presence, harness, lane
from perf_tests.checkpoint import random_source
from perf_tests.device import CpuDevice
from perf_tests.engines.engine import Engine
from perf_tests.selftests.records import CPU_CEILINGS
from perf_tests.selftests.tiny import Done, Junit, Place, read_junit, write_config

# --- a measure item that fails ----------------------------------------------

# Decode on 128 cached tokens runs out of memory, on 512 makes too many tokens;
# at batch 2 it is known beforehand that it will not fit.
FAILING = """
from dataclasses import replace
from perf_tests.selftests.records import CPU_CEILINGS
import perf_tests.ceilings as ceilings
import perf_tests.harness as harness

ceilings.CeilingMeter.measure = lambda self: CPU_CEILINGS  # saves their time

real = harness.find_engine

def find_engine(name):
    engine = real(name)

    def prepare(model, spec, case, device):
        import torch
        if case.id.startswith("decode-b1-c128"):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.\\nsecond line")
        step = engine.prepare(model, spec, case, device)
        if case.id.startswith("decode-b1-c512"):
            return replace(step, tokens=lambda output: replace(step.tokens(output), produced=2))
        return step

    return replace(engine, prepare=prepare)

harness.find_engine = find_engine

fits = harness.Harness.plan

def plan(self, case):
    skip = "needs 9.99 GiB" if case.id.startswith("decode-b2-c128") else None
    return replace(fits(self, case), skip=skip)

harness.Harness.plan = plan
"""
OUT_OF_MEMORY, TOO_MANY = "decode-b1-c128-fp32-eager", "decode-b1-c512-fp32-eager"
TOO_LARGE, FINE = "decode-b2-c128-fp32-eager", "prefill-b1-p32-fp32-eager"


@pytest.fixture(scope="module")
def failed(place: Place, torch_installed: None) -> tuple[Done, Junit, RunFolder]:  # noqa: ARG001 - it skips
    """A run in which two cases fail and one is skipped, and whose fourth meets a damaged baseline
    that no verdict item was selected to see."""
    home = place.home
    baseline = home / "store" / "cpu" / "tiny" / f"{FINE}.json"
    baseline.parent.mkdir(parents=True)
    baseline.write_text("{", encoding="utf-8")
    done = place.pytest(
        *(*place.plugin("failing", FAILING), "-m", "cpu", "-k", "b1-c or b2-c128 or b1-p32"),
        *("--perf-model", write_config(home / "tiny"), "--perf-out", home / "out"),
        *("--perf-baselines", home / "store", "--perf-update", "missing", f"--junitxml={home}/junit.xml"),
        *("perf_tests/test_decode.py", "perf_tests/test_prefill.py"),
    )
    return done, read_junit(home / "junit.xml"), RunFolder(home / "out")


def test_out_of_memory_fails_its_case_with_the_numbers(failed: tuple[Done, Junit, RunFolder]) -> None:
    done, junit, _ = failed
    said = junit.messages[f"test_decode[{OUT_OF_MEMORY}]"]

    assert done.rc == 1, done.out
    assert f"{OUT_OF_MEMORY} ran out of memory: 0.0" in said
    for words in ("GiB predicted", "reached", "GiB could be had", "Tried to allocate 3.00 GiB."):
        assert words in said
    assert "second line" not in said


def test_a_wrong_number_of_tokens_fails_its_case(failed: tuple[Done, Junit, RunFolder]) -> None:
    _, junit, _ = failed

    assert f"{TOO_MANY} produced 2 tokens per sequence, not 1" in junit.messages[f"test_decode[{TOO_MANY}]"]
    assert junit.failures == 2


def test_what_cannot_fit_skips_with_the_numbers(failed: tuple[Done, Junit, RunFolder]) -> None:
    done, junit, _ = failed

    assert f"{TOO_LARGE} needs 9.99 GiB" in junit.messages[f"test_decode[{TOO_LARGE}]"]
    # Neither a skip nor a failure is an error besides: the benchmark that was not used.
    assert "2 failed, 1 passed, 1 skipped" in done.out.splitlines()[-1]


def test_the_run_goes_on_to_the_next_case(failed: tuple[Done, Junit, RunFolder]) -> None:
    _, junit, folder = failed

    assert set(junit.names) == {
        *(f"test_decode[{c}]" for c in (OUT_OF_MEMORY, TOO_MANY, TOO_LARGE)),
        f"test_prefill[{FINE}]",
    }
    assert [r.case.id for r in folder.records()] == [FINE]


def test_the_run_keeps_why_a_case_was_not_measured(failed: tuple[Done, Junit, RunFolder]) -> None:
    _, _, folder = failed
    info = folder.info()
    why = {p.case.id: p.not_run for p in info.planned}

    assert why[FINE] is None
    assert why[TOO_LARGE] == "needs 9.99 GiB"
    assert "ran out of memory" in (why[OUT_OF_MEMORY] or "")
    assert "produced 2 tokens" in (why[TOO_MANY] or "")
    assert info.exit_status == 1
    statuses = {v.case: v.status for v in folder.verdicts()}
    assert statuses[OUT_OF_MEMORY] == statuses[TOO_MANY] == Status.NOT_MEASURED


def test_a_damaged_baseline_that_no_item_met_is_named_and_kept(
    failed: tuple[Done, Junit, RunFolder], place: Place
) -> None:
    done, _, _ = failed

    assert f"roofgate: failing verdicts that no test item gave: {FINE}" in done.out
    assert "--perf-update missing: nothing stored, the run did not pass" in done.out
    store = place.home / "store"
    assert [p.read_text(encoding="utf-8") for p in store.rglob("*.json")] == ["{"]


class Held:
    """Stands for the tensors that a step held when memory ran out."""


@pytest.mark.usefixtures("torch_installed")
def test_what_did_not_fit_is_given_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The next case finds the memory, though pytest keeps this one's traceback."""
    import torch

    held: list[weakref.ref[Held]] = []

    def prepare(*_: Any) -> Any:
        tensors = Held()
        held.append(weakref.ref(tensors))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(harness, "find_engine", lambda name: Engine(name=name, prepare=prepare))
    source = random_source(str(write_config(tmp_path / "tiny")))
    here = harness.Harness(device=CpuDevice(), source=source, commit=Commit(hash="", dirty=False))
    here.ceilings = CPU_CEILINGS
    case = Case.parse(OUT_OF_MEMORY, model="tiny")

    with pytest.raises(harness.MeasuringError, match=r"ran out of memory: 1\.00 GiB predicted") as kept:
        here.measure(case, lambda *_: pytest.fail("not reached"), run_id="", predicted_bytes=2**30)

    assert kept.value.__context__ is None
    assert [reference() for reference in held] == [None]
    # Between the cases nothing of what was loaded is walked through; a cycle is freed all the same.
    model, frozen = weakref.ref(here._model), gc.get_freeze_count()
    vars(here._model)["cycle"] = [here._model]
    here.close()
    assert model() is None
    assert frozen > 0 == gc.get_freeze_count()


# --- what is installed, and what the machine has -----------------------------


@pytest.fixture
def fresh_answer() -> Any:
    """quantiser_problem keeps its answer: asked anew, and forgotten afterwards."""
    gpu_presence.quantiser_problem.cache_clear()
    yield
    gpu_presence.quantiser_problem.cache_clear()


@pytest.mark.usefixtures("fresh_answer")
def test_without_bitsandbytes_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)

    assert gpu_presence.quantiser_problem() == "bitsandbytes is not installed: pip install -e '.[torch]'"


@pytest.mark.usefixtures("fresh_answer")
def test_a_bitsandbytes_that_does_not_load_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bitsandbytes.py").write_text("raise OSError('libcudart.so.13: not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bitsandbytes", raising=False)

    assert gpu_presence.quantiser_problem() == ("bitsandbytes cannot be imported: libcudart.so.13: not found")


@pytest.mark.parametrize("package", ["torch", "transformers", "accelerate"])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    here = {name: SimpleNamespace(__spec__=object()) for name in ("torch", "transformers", "accelerate")}
    for name, module in (here | {package: None}).items():
        monkeypatch.setitem(sys.modules, name, module)

    assert gpu_presence.torch_problem() == f"{package} is not installed: pip install -e '.[torch]'"
    assert gpu_presence.gpu_problem() == gpu_presence.torch_problem()


class Machine:
    """A machine with or without a GPU, and a torch that can or cannot use it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._set = monkeypatch.setattr
        self._item = monkeypatch.setitem
        self.cards, self.node = folder / "gpus", folder / "nvidia0"
        self._set(gpu_presence, "DRIVER_CARDS", self.cards)
        self._set(gpu_presence, "DEVICE_NODE", self.node)

    def torch(self, *, cuda: str | None, usable: bool) -> None:
        fake = SimpleNamespace(
            __spec__=object(),
            __version__="2.13.0",
            version=SimpleNamespace(cuda=cuda),
            cuda=SimpleNamespace(is_available=lambda: usable),
        )
        self._item(sys.modules, "torch", fake)
        self._set(gpu_presence, "torch_problem", lambda: None)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


def test_a_machine_shows_its_gpu_by_driver_or_by_node(machine: Machine) -> None:
    assert not gpu_presence.machine_has_gpu()
    machine.cards.mkdir()
    assert not gpu_presence.machine_has_gpu(), "a driver without a card is no GPU"
    (machine.cards / "0000:00:04.0").mkdir()
    assert gpu_presence.machine_has_gpu()
    (machine.cards / "0000:00:04.0").rmdir()
    machine.node.touch()
    assert gpu_presence.machine_has_gpu(), "a container may show only the node"


@pytest.mark.parametrize(
    ("cuda", "there", "said"),
    [
        (None, False, "torch 2.13.0 is built without CUDA; the machine shows none"),
        (None, True, "torch 2.13.0 is built without CUDA; the machine has one"),
        ("13.0", False, "torch 2.13.0 (CUDA 13.0) finds no usable GPU; the machine shows none"),
        ("13.0", True, "torch 2.13.0 (CUDA 13.0) finds no usable GPU; the machine has one"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_told_from_none(
    machine: Machine,
    cuda: str | None,
    there: bool,  # noqa: FBT001 - a parameter of the table
    said: str,
) -> None:
    if there:
        machine.node.touch()
    machine.torch(cuda=cuda, usable=False)

    assert gpu_presence.gpu_problem() == said


def test_the_lane_is_gpu_where_torch_can_use_one(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.torch(cuda="13.0", usable=True)

    assert lane.main() == 0
    assert capsys.readouterr() == ("gpu\n", "")


def test_the_lane_is_cpu_where_there_is_no_gpu(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.torch(cuda="13.0", usable=False)

    assert lane.main() == 0
    assert capsys.readouterr() == ("cpu\n", "")


def test_a_gpu_that_torch_cannot_use_is_an_error(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.node.touch()
    machine.torch(cuda=None, usable=False)

    assert lane.main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: this machine has an NVIDIA GPU, but torch 2.13.0 is built without CUDA")
    assert "make demo LANE=cpu" in err
