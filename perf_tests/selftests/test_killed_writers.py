"""Refreshes that are killed, that meet, and that find the disk full: no baseline is ever
half-written or lost."""

import bisect
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import pytest

from analytic import Case
from baselines import codec
from baselines.__main__ import main
from baselines.files import is_leftover
from baselines.locking import locked
from baselines.refresh.storing import store_sessions
from baselines.run import RunFolder
from baselines.store import Baseline, Store
from perf_tests.selftests.records import MODEL
from perf_tests.selftests.refreshes import session
from perf_tests.selftests.tiny import ROOT, environment

pytestmark = pytest.mark.long

GPU = "h100-sxm"
CASES = tuple(f"decode-b{batch}-c512-fp16-eager" for batch in (1, 2, 4, 8))

# Forks a child for each line that it is given, so that a kill costs no new imports: says
# its process id, and how it ended. `loop` refreshes until it is killed, `once` once;
# `at N SIGNAL` once, with that signal to itself at the N-th line of what stores. It is
# ended by an alarm if nobody ends it.
WORKER = """
import os, signal, sys, traceback
from pathlib import Path

from baselines import files, locking, store
from baselines.refresh.storing import store_sessions
from baselines.run import RunFolder

TRACED = {m.__file__ for m in (files, locking, store)}


def once(run):
    store_sessions(store.Store(Path(sys.argv[1])), [RunFolder(Path(run))], command="a test")


def at(number, what):
    seen = 0

    def trace(frame, event, _):
        nonlocal seen
        if frame.f_code.co_filename not in TRACED:
            return None
        seen += event == "line"
        if seen == number:
            os.kill(os.getpid(), what)
        return trace

    # Not before: what is read of the run is long, and stores nothing.
    take = store.locked
    store.locked = lambda root: sys.settrace(trace) or take(root)


def work(order, *given):
    signal.alarm(60)
    if order == "loop":
        while True:
            for run in given:
                once(run)
    if order == "at":
        at(int(given[0]), int(given[1]))
    once(given[-1])


signal.alarm(600)
for line in sys.stdin:
    child = os.fork()
    if not child:
        try:
            work(*line.split())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Worker:
    """A process that refreshes `store` in children of its own."""

    def __init__(self, store: Store) -> None:
        self._child: int | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(store.root)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:  # a test that failed; it may be one that was stopped
            os.kill(self._child, signal.SIGKILL)
        self._process.kill()
        self._process.communicate()

    def start(self, *order: object) -> int:
        """The process id of a child that does it."""
        assert self._process.stdin is not None
        print(*order, file=self._process.stdin, flush=True)
        self._child = int(self._line())
        return self._child

    def ended(self) -> int:
        """The exit code of the child, or minus the signal that killed it."""
        code = int(self._line())
        self._child = None
        return code

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def anonymous(baseline: Baseline) -> str:
    """Its text without what differs by what was stored before, and when."""
    return codec.to_text(replace(baseline, written="", anchor=None, previous=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A store that holds the run `a`; the runs that may replace it, with the text of each
    of their baselines but for what it replaced, and when."""

    store: Store
    runs: Mapping[str, RunFolder]
    texts: Mapping[str, Sequence[str]]

    def held(self) -> list[str]:
        """Which run each case's baseline is of. Fails where one is lost or not whole."""
        found = [self._found(case_id) for case_id in CASES]
        for baseline in found:
            case = Case.parse(baseline.case, model=MODEL)
            assert self.store.place(case, gpu=GPU).read_text(encoding="utf-8") == codec.to_text(baseline)
        return [self._run_of(baseline) for baseline in found]

    def first(self) -> str:
        """Which run the first case's is of, read once: a writer may be at it."""
        return self._run_of(self._found(CASES[0]))

    def _found(self, case_id: str) -> Baseline:
        baseline = self.store.find(Case.parse(case_id, model=MODEL), gpu=GPU)
        assert baseline is not None, f"{case_id} is lost"
        return baseline

    def _run_of(self, baseline: Baseline) -> str:
        (name,) = (name for name, texts in self.texts.items() if anonymous(baseline) in texts)
        return name

    def leftovers(self) -> list[Path]:
        return [path for path in self.store.root.rglob(".*") if is_leftover(path)]

    def files(self) -> list[str]:
        return sorted(p.name for p in self.store.root.rglob("*") if p.is_file())

    def refresh(self, name: str) -> None:
        store_sessions(self.store, [self.runs[name]], command="a test")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return scene_in(tmp_path, tmp_path / "store")


def scene_in(folder: Path, root: Path) -> Scene:
    runs = {name: session(folder / name, device_s=s, cases=CASES) for name, s in (("a", 0.008), ("b", 0.009))}
    texts = {}
    for name, run in runs.items():
        store = Store(folder / f"store-{name}")
        store_sessions(store, [run], command="a test")
        baselines = (store.find(Case.parse(c, model=MODEL), gpu=GPU) for c in CASES)
        texts[name] = [anonymous(b) for b in baselines if b is not None]
    scene = Scene(store=Store(root), runs=runs, texts=texts)
    scene.refresh("a")
    assert scene.held() == ["a"] * len(CASES)
    return scene


def whole(scene: Scene) -> None:
    """The next writer finds the lock free, takes away what was left, and stores its own."""
    with locked(scene.store.root, wait_s=0):
        pass
    scene.refresh("a")
    assert scene.held() == ["a"] * len(CASES)
    assert scene.files() == sorted([".lock", *(f"{c}.json" for c in CASES)])


def test_200_kills_at_random_moments(scene: Scene) -> None:
    dice = random.Random(20261122)  # noqa: S311 - the same moments each time
    began = time.monotonic()
    scene.refresh("a")
    one_s = time.monotonic() - began
    left = 0
    with Worker(scene.store) as worker:
        for number in range(200):
            child = worker.start("loop", scene.runs["b"].path, scene.runs["a"].path)
            time.sleep(dice.uniform(0, 4 * one_s))
            os.kill(child, signal.SIGKILL)

            assert worker.ended() == -signal.SIGKILL
            assert len(scene.held()) == len(CASES)
            left += bool(scene.leftovers())
            if number % 2:  # else the next is killed over what this one left
                whole(scene)
    assert left > 0, "no kill came while a file was in the making"


def test_a_kill_at_every_line_of_what_stores(scene: Scene) -> None:
    """Also between two names, where the cases are left of two runs: told, and mended by
    refreshing again."""
    mixed = left = line = 0
    with Worker(scene.store) as worker:
        while True:
            line += 1
            worker.start("at", line, int(signal.SIGKILL), scene.runs["b"].path)
            ended = worker.ended()
            held = scene.held()
            if ended == 0:
                break
            assert ended == -signal.SIGKILL
            assert held == sorted(held, reverse=True), "in their order"
            mixed += len(set(held)) > 1
            left += bool(scene.leftovers())
            whole(scene)
    assert scene.held() == ["b"] * len(CASES)
    assert line > 100
    assert mixed >= len(CASES) - 1
    assert left >= len(CASES)


def test_a_refresh_waits_for_one_that_was_stopped_between_two_names(scene: Scene) -> None:
    """No case of the second is lost to the first, which goes on after it has begun."""
    with Worker(scene.store) as first, Worker(scene.store) as second:
        line = first_name(first, scene)
        child = first.start("at", line, int(signal.SIGSTOP), scene.runs["b"].path)
        wait_for(lambda: scene.first() == "b")
        held = scene.held()
        assert held == ["b", "a", "a", "a"]
        waiting = second.start("once", scene.runs["a"].path)
        time.sleep(0.5)

        os.kill(waiting, 0)  # it is there,
        assert scene.held() == held  # and has not come between
        os.kill(child, signal.SIGCONT)
        assert (first.ended(), second.ended()) == (0, 0)
    assert scene.held() == ["a"] * len(CASES)
    whole(scene)


def first_name(worker: Worker, scene: Scene) -> int:
    """The first line of what stores at which the first case is new, and the others old."""

    def renamed(line: int) -> bool:
        worker.start("at", line, int(signal.SIGKILL), scene.runs["b"].path)
        worker.ended()
        first = scene.held()[0]
        whole(scene)
        return first == "b"

    return bisect.bisect_left(range(2000), True, lo=1, key=renamed)


def wait_for(condition: Callable[[], bool], *, limit_s: float = 10) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_of_two_refreshes_at_once_one_is_stored_whole(scene: Scene) -> None:
    last = []
    with Worker(scene.store) as first, Worker(scene.store) as second:
        for number in range(60):
            workers = (first, second) if number % 2 else (second, first)
            for worker, name in zip(workers, "ab", strict=True):
                worker.start("once", scene.runs[name].path)

            assert [worker.ended() for worker in workers] == [0, 0]
            held = scene.held()
            assert len(set(held)) == 1, held
            assert scene.leftovers() == []
            last.append(held[0])
    assert set(last) <= {"a", "b"}
    whole(scene)


def test_kills_while_another_refreshes(scene: Scene) -> None:
    """Whoever is left finishes, over what the killed one leaves."""
    dice = random.Random(5)  # noqa: S311 - the same moments each time
    with Worker(scene.store) as killed, Worker(scene.store) as kept:
        for _ in range(50):
            child = killed.start("loop", scene.runs["b"].path)
            kept.start("once", scene.runs["a"].path)
            time.sleep(dice.uniform(0, 0.05))
            os.kill(child, signal.SIGKILL)

            assert killed.ended() == -signal.SIGKILL
            assert kept.ended() == 0
            assert len(scene.held()) == len(CASES)
            whole(scene)


class TestNoRoom:
    """A refresh that finds no room changes nothing, says so, and leaves nothing behind."""

    def test_on_a_disk_that_is_full(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        if not mounted(disk):
            if not os.environ.get("ROOFGATE_NO_SKIP"):
                pytest.skip("a file system of 256 kB cannot be mounted here: root is needed")
            refused_for_size(scene_in(tmp_path, tmp_path / "store"), capsys)
            return
        try:
            refused_for_room(scene_in(tmp_path, disk / "store"), disk / "ballast", capsys)
        finally:
            subprocess.run(["umount", disk], check=True)  # noqa: S607 - by PATH

    def test_under_a_limit_for_the_size_of_files(
        self, scene: Scene, capsys: pytest.CaptureFixture[str]
    ) -> None:
        refused_for_size(scene, capsys)


def mounted(disk: Path) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def refused_for_room(scene: Scene, ballast: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of four files as many find room as pages are left."""
    codes = []
    for pages in range(20):
        fill(ballast, leave=pages)
        codes.append(refresh_b(scene, errno.ENOSPC, capsys))
        ballast.unlink()
        if codes[-1] == 0:
            break
        whole(scene)
    assert codes == [2] * (len(codes) - 1) + [0]
    assert len(codes) > len(CASES), "the last of the four was refused too"


def fill(ballast: Path, *, leave: int) -> None:
    """Takes all of the disk but so many pages."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - that it is full is meant
        file.truncate(file.tell() - 4096 * leave)


def refused_for_size(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    largest = max(len(text) for text in scene.texts["b"])
    for most_bytes in (0, 1, 512, largest // 2, largest - 1):
        with file_size_limit(most_bytes):
            code = refresh_b(scene, errno.EFBIG, capsys)
        assert code == 2
        whole(scene)


@contextmanager
def file_size_limit(most_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def refresh_b(scene: Scene, number: int, capsys: pytest.CaptureFixture[str]) -> int:
    """The exit code of the command; where it is not 0, nothing has changed."""
    before = {p: p.read_bytes() for p in scene.store.root.rglob("*.json")}
    capsys.readouterr()
    code = main(["refresh", "--from", str(scene.runs["b"].path), "--perf-baselines", str(scene.store.root)])
    if code:
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert os.strerror(number) in line
        assert {p: p.read_bytes() for p in scene.store.root.rglob("*.json")} == before
        assert scene.leftovers() == []
    return code
