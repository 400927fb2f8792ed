"""A run that is hurt keeps what it has, and says what happened to it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from baselines.run import RunFolder
from baselines.verdict import Status
from perf_tests.selftests.tiny import Done, Junit, Place, environment, read_junit, write_config

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("torch_installed")]

FIRST, SECOND = "prefill-b1-p32-fp32-eager", "prefill-b1-p128-fp32-eager"
HURT, LAST = "prefill-b1-p256-fp32-eager", "prefill-b2-p32-fp32-eager"
CASES = ("-m", "cpu", "-k", "prefill and (b1-p or b2-p32)")

# What every plugin below begins with: the step of one case runs `hurt` instead.
HURTING = f"""
from dataclasses import replace
from perf_tests.selftests.records import CPU_CEILINGS
import perf_tests.ceilings as ceilings
import perf_tests.harness as harness

ceilings.CeilingMeter.measure = lambda self: CPU_CEILINGS  # saves their time
real = harness.find_engine

def find_engine(name):
    engine = real(name)

    def prepare(model, spec, case, device):
        step = engine.prepare(model, spec, case, device)
        return replace(step, run=lambda: hurt(device)) if case.id == "{HURT}" else step

    return replace(engine, prepare=prepare)

harness.find_engine = find_engine
"""


def arguments(place: Place, plugin: str, text: str) -> tuple[str, ...]:
    home = place.home / plugin
    return (
        *(*place.plugin(plugin, HURTING + text), *CASES),
        *(f"--perf-model={write_config(home / 'tiny')}", f"--perf-out={home / 'out'}"),
        *(f"--perf-baselines={home / 'store'}", f"--junitxml={home}/junit.xml"),
        *("perf_tests/test_prefill.py", "perf_tests/test_verdict.py"),
    )


def run(place: Place, plugin: str, text: str) -> tuple[Done, Junit, RunFolder]:
    done = place.pytest(*arguments(place, plugin, text))
    return done, read_junit(place.home / plugin / "junit.xml"), RunFolder(place.home / plugin / "out")


def measured(folder: RunFolder) -> list[str]:
    return [record.case.id for record in folder.records()]


VARIOUS = f"""
import errno
import baselines.codec as codec

def hurt(device):
    raise KeyError('my kernel')  # the last line of this file

hurting = harness.find_engine

def find_engine(name):
    engine = hurting(name)

    def prepare(model, spec, case, device):
        step = engine.prepare(model, spec, case, device)
        return replace(step, run=starved) if case.id == "{LAST}" else step

    return replace(engine, prepare=prepare)

harness.find_engine = find_engine

def starved():
    import torch
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 14.00 GiB.")

stored = codec.write_text

def write_text(text, path):
    if path.name == "{SECOND}.json":
        raise OSError(errno.ENOSPC, "No space left on device", str(path))
    stored(text, path)

codec.write_text = write_text
"""


@pytest.fixture(scope="module")
def various(place: Place) -> tuple[Done, Junit, RunFolder]:
    """A run in which an engine raises, memory runs out in a step, and a record finds no room."""
    return run(place, "various", VARIOUS)


def test_what_goes_wrong_in_one_case_leaves_the_others(various: tuple[Done, Junit, RunFolder]) -> None:
    done, junit, folder = various

    assert done.rc == 1, done.out
    assert "INTERNALERROR" not in done.out
    assert measured(folder) == [FIRST]
    assert junit.failures == 3
    statuses = {v.case: v.status for v in folder.verdicts()}
    assert statuses[HURT] is statuses[LAST] is statuses[SECOND] is Status.NOT_MEASURED
    assert statuses[FIRST] is not Status.NOT_MEASURED


@pytest.mark.parametrize(
    ("case_id", "words"),
    [
        (HURT, (f"{HURT}: the engine eager raised KeyError: 'my kernel' (various.py:",)),
        (LAST, (f"{LAST} ran out of memory: ", "Tried to allocate 14.00 GiB.")),
        (
            SECOND,
            (f"{SECOND} was measured, and its record could not be stored: ", "No space left on device"),
        ),
    ],
    ids=["an engine raises", "no memory in a step", "no room for a record"],
)
def test_what_went_wrong_is_said_and_kept(
    various: tuple[Done, Junit, RunFolder], case_id: str, words: tuple[str, ...]
) -> None:
    _, junit, folder = various
    kept = next(p.not_run for p in folder.info().planned if p.case.id == case_id)

    for word in words:
        assert word in junit.messages[f"test_prefill[{case_id}]"]
        assert word in (kept or "")


LOST = """
from perf_tests.device import CpuDevice

def dead(self):
    raise RuntimeError("CUDA error: device-side assert triggered")

def hurt(device):
    CpuDevice.synchronise = dead
    raise RuntimeError("CUDA error: device-side assert triggered\\nCompile with TORCH_USE_CUDA_DSA")
"""


def test_a_lost_context_ends_the_measuring_and_keeps_the_records(place: Place) -> None:
    done, junit, folder = run(place, "lost", LOST)
    said = f"the CUDA context was lost in {HURT}, so nothing more can be measured in this run: CUDA error"

    assert done.rc == 1, done.out
    assert said in junit.messages[f"test_prefill[{HURT}]"]
    assert said in junit.messages[f"test_prefill[{LAST}]"], "a later case is skipped with the reason"
    assert junit.failures == 1
    assert "INTERNALERROR" not in done.out
    assert f"roofgate: {said}" in done.out
    assert measured(folder) == [FIRST, SECOND]
    statuses = {v.case: v.status for v in folder.verdicts()}
    assert statuses[HURT] is statuses[LAST] is Status.NOT_MEASURED
    assert statuses[FIRST] is not Status.NOT_MEASURED
    assert folder.info().exit_status == 1


SLEEPING = """
import pathlib, time

def hurt(device):
    pathlib.Path(__file__).with_suffix(".there").touch()
    time.sleep(120)
"""


@pytest.mark.parametrize("stopped_by", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_that_is_stopped_judges_and_keeps_what_it_has(place: Place, stopped_by: signal.Signals) -> None:
    plugin = f"sleeping{stopped_by}"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    with subprocess.Popen(
        [*command, *arguments(place, plugin, SLEEPING)],
        cwd=place.root,
        env=environment(PYTHONPATH=str(place.home)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell that runs tests in the background makes its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as child:
        there = place.home / f"{plugin}.there"
        while child.poll() is None and not there.exists():
            time.sleep(0.1)
        os.kill(child.pid, stopped_by)
        out, _ = child.communicate(timeout=60)
    folder = RunFolder(place.home / plugin / "out")

    assert child.returncode == pytest.ExitCode.INTERRUPTED, out
    assert measured(folder) == [FIRST, SECOND]
    assert folder.info().exit_status == pytest.ExitCode.INTERRUPTED
    assert {v.case for v in folder.verdicts() if v.status is not Status.NOT_MEASURED} == {FIRST, SECOND}
    assert (folder.path / "summary.md").is_file()
    assert ("stopped by SIGTERM" in out) is (stopped_by is signal.SIGTERM)


EVERYTHING = """
import errno
import baselines.codec as codec

def hurt(device):
    raise ValueError("hurt")

stored = codec.write_text

def write_text(text, path):
    if path.parent.name != "records" and (path.parent / "records").exists():
        raise OSError(errno.ENOSPC, "No space left on device", str(path))
    stored(text, path)

codec.write_text = write_text
"""


def test_a_disk_that_fills_up_is_said_and_the_records_stay(place: Place) -> None:
    """From the first record on nothing but records finds room."""
    done, _, folder = run(place, "filling", EVERYTHING)

    assert done.rc == 1, done.out
    assert "INTERNALERROR" not in done.out
    assert "No space left on device" in done.out
    assert measured(folder) == [FIRST, SECOND, LAST]


ASSERTING = """
from dataclasses import replace

from perf_tests.engines import eager
from perf_tests.engines.engine import Engine


def prepare(model, spec, case, device):
    step = eager.prepare(model, spec, case, device)

    def run():
        import torch

        rows = torch.zeros(4, device=device.torch_device)
        rows[torch.tensor([9], device=device.torch_device)]  # beyond the end: the kernel asserts
        return step.run()

    return replace(step, run=run) if case.batch == 2 else step


ENGINE = Engine(name="asserting", prepare=prepare)
"""


def test_a_kernel_that_asserts_on_a_gpu_ends_the_measuring(place: Place) -> None:
    """For real: the context is gone, and every call to the device fails from then on."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    home = place.home / "asserting"
    home.mkdir()
    (home / "asserting.py").write_text(ASSERTING, encoding="utf-8")
    done = place.pytest(
        *("-m", "gpu", f"--perf-model={write_config(home / 'tiny')}"),
        *(f"--perf-engine={home / 'asserting.py'}", "--perf-precision=fp16", "--perf-batch=1,2,4"),
        *("--perf-context=16", f"--perf-out={home / 'out'}", f"--perf-baselines={home / 'store'}"),
        *("perf_tests/test_decode.py", "perf_tests/test_verdict.py"),
        CUDA_VISIBLE_DEVICES=os.environ.get("CUDA_VISIBLE_DEVICES", "0"),
    )

    assert done.rc == 1, done.out
    assert "the CUDA context was lost in decode-b2-c16-fp16-asserting" in done.out
    assert "INTERNALERROR" not in done.out
    assert measured(RunFolder(home / "out")) == ["decode-b1-c16-fp16-asserting"]


STARVED = """
def hurt(device):
    return None

loaded = harness.load
calls = []

def load(*given):
    import torch
    calls.append(given)
    if len(calls) == 1:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 14.00 GiB.")
    return loaded(*given)

harness.load = load
"""


def test_a_model_that_does_not_fit_fails_its_case_and_the_next_one_tries_again(place: Place) -> None:
    done, junit, folder = run(place, "starved", STARVED)
    said = junit.messages[f"test_prefill[{FIRST}]"]

    assert done.rc == 1, done.out
    assert f"{FIRST} ran out of memory: " in said
    assert "Tried to allocate 14.00 GiB." in said
    assert measured(folder)[:1] == [SECOND]
    assert LAST in measured(folder)
