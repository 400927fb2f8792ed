"""One run per GPU: who gets the lock, who goes on under it, and how it is freed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analytic import SpecError
from perf_tests.gpu_lock import FOLDER, HELD, GpuBusyError, GpuLock
from perf_tests.selftests.tiny import ROOT

UUID, NAME = "GPU-0-1-2", "NVIDIA H100 80GB HBM3"

# Takes the lock, says so, does what it was told, and waits to be ended.
HOLDER = """
import sys, time
from perf_tests.gpu_lock import GpuLock

try:
    lock = GpuLock("GPU-0-1-2", "NVIDIA H100 80GB HBM3")
except Exception as error:
    print(f"{type(error).__name__}: {error}", flush=True)
    sys.exit(3)
print("inherited" if lock.inherited else "held", lock.run_pid, flush=True)
exec(sys.argv[1])
time.sleep(60)
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv(HELD, "")  # so that it is put back
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:  # noqa: ARG001 - it says where the lock lies
    """Starts a process that takes the lock; all are ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start_one(then: str = "", **env: str) -> subprocess.Popen[str]:
        one = subprocess.Popen(
            [sys.executable, "-c", HOLDER, then],
            cwd=ROOT,
            env=os.environ | env,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(one)
        return one

    yield start_one
    for one in started:
        one.kill()
        one.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_of_two_at_once_exactly_one_wins(start: Start) -> None:
    first, second = start(), start()
    answers = sorted(((said(p), p) for p in (first, second)), key=lambda a: a[0])
    (refusal, loser), (held, winner) = answers

    assert held == f"held {winner.pid}"
    assert loser.wait(30) == 3
    assert refusal.startswith(f"GpuBusyError: {NAME} ({UUID}) is being measured by ")


def test_the_message_names_the_holder_and_what_to_do(start: Start) -> None:
    holder = start()
    said(holder)

    with pytest.raises(GpuBusyError) as error:
        GpuLock(UUID, NAME)

    message = str(error.value)
    assert isinstance(error.value, SpecError)
    assert f"process {holder.pid} (" in message
    assert "-c " in message, "its command"
    assert f" since {time.strftime('%Y-', time.gmtime())}" in message
    assert "wait until it has ended, or choose another GPU by CUDA_VISIBLE_DEVICES" in message


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_any_death_frees_it(start: Start, by: signal.Signals) -> None:
    holder = start()
    assert said(holder) == f"held {holder.pid}"
    holder.send_signal(by)
    assert holder.wait(30) == -by

    lock = GpuLock(UUID, NAME)
    assert not lock.inherited
    lock.release()


def test_a_forked_child_does_not_keep_it(start: Start) -> None:
    """As a pool of compiling workers would that outlives its killed run."""
    holder = start("import os; os.fork() or print('forked', os.getpid(), flush=True)")
    assert said(holder) == f"held {holder.pid}"
    child = int(said(holder).split()[1])
    holder.kill()
    holder.wait(30)
    try:
        os.kill(child, 0)  # still there
        GpuLock(UUID, NAME).release()
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.usefixtures("folder")
def test_a_runs_own_children_go_on_under_its_lock(start: Start) -> None:
    lock = GpuLock(UUID, NAME)
    assert os.environ[HELD] == f"{UUID}:{os.getpid()}"
    child, stranger = start(), start(**{HELD: ""})

    assert said(child) == f"inherited {os.getpid()}"
    assert said(stranger).startswith("GpuBusyError")
    assert GpuLock(UUID, NAME).inherited, "nor does this process stand in its own way"
    child.kill()
    child.wait(30)
    assert said(start(**{HELD: ""})).startswith("GpuBusyError"), "a child's end frees nothing"
    lock.release()
    assert HELD not in os.environ
    assert said(start()).startswith("held")


@pytest.mark.parametrize("pid", ["1", "999999999", "x", ""])
def test_a_stale_variable_gives_no_way_in(start: Start, pid: str) -> None:
    stale = {HELD: f"{UUID}:{pid}"}
    holder = start(**stale)

    assert said(holder) == f"held {holder.pid}", "a free lock is taken"
    assert said(start(**stale)).startswith("GpuBusyError")


def test_a_variable_of_another_gpu_gives_no_way_in(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run may hold several GPUs: its process alone does not say which it lends."""
    holder = start()
    said(holder)
    monkeypatch.setenv(HELD, f"GPU-9:{holder.pid}")

    with pytest.raises(GpuBusyError):
        GpuLock(UUID, NAME)
    monkeypatch.setenv(HELD, f"{UUID}:{holder.pid}")
    assert GpuLock(UUID, NAME).inherited


@pytest.mark.usefixtures("folder")
def test_another_gpus_lock_is_another_lock(start: Start) -> None:
    assert said(start()).startswith("held")

    other = GpuLock("GPU-9", NAME)
    assert not other.inherited
    other.release()


def test_a_file_that_cannot_be_written_is_locked_all_the_same(
    folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's; root may write anything, so that the call itself refuses."""
    path = folder / f"roofgate-{UUID}.lock"
    path.write_text("999999999\nthen\nsomebody's run\n", encoding="utf-8")
    real = os.open

    def refuse(name: Path, flags: int, *rest: int) -> int:
        if flags & (os.O_RDWR | os.O_CREAT):
            raise PermissionError(13, "Permission denied")
        return real(name, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    lock = GpuLock(UUID, NAME)
    monkeypatch.undo()
    monkeypatch.setenv(FOLDER, str(folder))
    try:
        assert path.read_text(encoding="utf-8").endswith("somebody's run\n")
        answer = said(start(**{HELD: ""}))
        assert f"is being measured by a run that {path} does not name" in answer
        assert said(start(**{HELD: f"{UUID}:{os.getpid()}"})) == f"inherited {os.getpid()}"
    finally:
        lock.release()


def test_every_user_may_write_the_file(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        lock = GpuLock(UUID, NAME)
    finally:
        os.umask(before)
    path = folder / f"roofgate-{UUID}.lock"
    lock.release()

    assert path.stat().st_mode & 0o777 == 0o666
    assert path.exists(), "never removed: another run may be about to lock it"


def test_what_a_terminal_would_obey_is_not_repeated(folder: Path, start: Start) -> None:
    said(start())
    path = folder / f"roofgate-{UUID}.lock"
    path.write_text(f"{os.getpid()}\nnow\x1b[2J\n\x1b]0;title\x07pytest\n", encoding="utf-8")

    with pytest.raises(GpuBusyError) as error:
        GpuLock(UUID, NAME)

    assert str(error.value).isprintable()
    assert "pytest) since now[2J" in str(error.value)


def test_a_link_is_refused(folder: Path) -> None:
    target = folder / "precious"
    target.write_text("kept", encoding="utf-8")
    (folder / f"roofgate-{UUID}.lock").symlink_to(target)

    with pytest.raises(SpecError, match=f"remove it, or name another folder by {FOLDER}"):
        GpuLock(UUID, NAME)
    assert target.read_text(encoding="utf-8") == "kept"


def test_a_folder_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "none"))

    with pytest.raises(SpecError, match=f"{FOLDER} is '.*none'; an existing folder that all users share"):
        GpuLock(UUID, NAME)
