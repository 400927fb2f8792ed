"""Device time from profiler events that nobody need profile for."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Self

import pytest

from perf_tests import profiling
from perf_tests.engine import Step
from perf_tests.profiling import (
    Interval,
    Profile,
    ProfilerStateError,
    profile_steps,
    require_teardown,
    union_ns,
)
from perf_tests.selftests.tiny import ROOT


def spans(*pairs: tuple[int, int]) -> list[Interval]:
    return [Interval(kind="kernel", start_ns=start, end_ns=end) for start, end in pairs]


@pytest.mark.parametrize(
    ("pairs", "total"),
    [
        ((), 0),
        (((5, 15),), 10),
        (((0, 10), (20, 30)), 20),
        (((0, 10), (10, 20)), 20),
        (((0, 10), (5, 20)), 20),
        (((0, 100), (20, 30), (40, 50)), 100),
        (((0, 100), (20, 30), (90, 110)), 110),
        (((0, 10), (0, 10)), 10),
        (((20, 30), (0, 10), (5, 12)), 22),
    ],
    ids=["none", "one", "gap", "touching", "overlap", "nested", "nested-then-beyond", "twice", "unordered"],
)
def test_union_is_the_time_with_at_least_one_kernel(pairs: tuple[tuple[int, int], ...], total: int) -> None:
    assert union_ns(spans(*pairs)) == total
    assert union_ns(spans(*reversed(pairs))) == total


class Event:
    """A raw Kineto event, as far as it is read."""

    def __init__(
        self, name: str, start: int, end: int, *, device: bool = True, annotation: bool = False
    ) -> None:
        self._values = (name, start, end - start, device, annotation)

    def name(self) -> str:
        return self._values[0]

    def start_ns(self) -> int:
        return self._values[1]

    def duration_ns(self) -> int:
        return self._values[2]

    def device_type(self) -> Any:
        from torch.autograd import DeviceType

        return DeviceType.CUDA if self._values[3] else DeviceType.CPU

    def is_user_annotation(self) -> bool:
        return self._values[4]


def step_range(start: int, end: int) -> list[Event]:
    """A step's range: on the host, and its shadow on the device."""
    name = profiling._RANGE
    return [
        Event(name, start, end, device=False, annotation=True),
        Event(name, start, end, device=True, annotation=True),
    ]


def test_a_range_is_a_window_on_the_host_and_no_kernel_on_the_device() -> None:
    pytest.importorskip("torch")
    events = [
        *step_range(1000, 2000),
        *step_range(100, 900),
        Event("another range", 0, 5000, device=False, annotation=True),
        Event("aten::mm", 110, 120, device=False),
        Event("gemm_kernel", 120, 150),
    ]

    windows, intervals = profiling._read(events)

    assert windows == [(100, 900), (1000, 2000)]
    assert intervals == [Interval(kind="kernel", start_ns=120, end_ns=150)]


def test_copies_and_fills_are_told_from_kernels() -> None:
    pytest.importorskip("torch")
    names = ["Memcpy DtoD (Device -> Device)", "Memset (Device)", "void cutlass::Kernel", "my_Memcpy_kernel"]

    _, intervals = profiling._read([Event(name, 0, 1) for name in names])

    assert [i.kind for i in intervals] == ["Memcpy", "Memset", "kernel", "kernel"]


@pytest.fixture
def profiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Profile | str, list[str]]]]:
    """Profiles steps under a profiler that returns the given events; also says
    what was done, in order."""
    torch_profiler = pytest.importorskip("torch.profiler")
    done: list[str] = []

    def profile_events(events: list[Event], *, steps: int) -> tuple[Profile | str, list[str]]:
        class Canned:
            def __init__(self, **_: Any) -> None:
                results = SimpleNamespace(events=lambda: events)
                self.profiler = SimpleNamespace(kineto_results=results)

            def __enter__(self) -> Self:
                done.append("on")
                return self

            def __exit__(self, *_: object) -> None:
                done.append("off")

        monkeypatch.setattr(torch_profiler, "profile", Canned)
        step = Step(
            reset=lambda: done.append("reset"),
            run=lambda: done.append("run"),
            tokens=lambda _: pytest.fail("not asked for"),
        )
        device = SimpleNamespace(synchronise=lambda: done.append("sync"))
        return profile_steps(step, device, steps=steps), done

    return profile_events


def test_device_time_is_per_step(profiled: Callable[..., tuple[Profile | str, list[str]]]) -> None:
    """Two steps: overlapping kernels count once, gaps and what lies between the steps not at all."""
    events = [
        *step_range(1_000, 2_000),
        Event("a", 1_000, 1_300),
        Event("b", 1_200, 1_400),
        Event("Memcpy HtoD", 1_700, 1_750),
        Event("between the steps", 2_000, 2_900),
        *step_range(3_000, 4_000),
        Event("a", 3_100, 3_600),
        Event("Memset (Device)", 3_650, 3_700),
    ]

    profile, done = profiled(events, steps=2)

    assert isinstance(profile, Profile)
    assert profile.device_s == pytest.approx((450e-9, 550e-9))
    assert profile.launches == (2, 1)
    assert profile.copies == (1, 0)
    assert done == ["on", *["reset", "sync", "run", "sync"] * 2, "off"]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (step_range(0, 10) + step_range(20, 30), "saw no kernel"),
        ([*step_range(0, 10), Event("a", 1, 2)], "returned 1 of 2 steps"),
        ([*step_range(0, 10), *step_range(20, 30), Event("a", 1, 2)], "a step without kernels"),
    ],
    ids=["no kernel", "a step is missing", "an empty step"],
)
def test_what_cannot_be_told_is_a_reason_and_no_number(
    profiled: Callable[..., tuple[Profile | str, list[str]]], events: list[Event], reason: str
) -> None:
    told, _ = profiled(events, steps=2)

    assert isinstance(told, str)
    assert reason in told


def python(code: str, *, teardown: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != profiling.TEARDOWN}
    if teardown is not None:
        env[profiling.TEARDOWN] = teardown
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


# A stand-in: what counts is that a module of that name is there already.
TORCH_IS_HERE = "import sys, types; sys.modules['torch'] = types.ModuleType('torch')\n"
ARRANGE = "import os; from perf_tests.profiling import arrange_teardown; arrange_teardown()\n"
SHOW = "import sys; print(os.environ['TEARDOWN_CUPTI'], 'torch' in sys.modules)"


def test_the_teardown_is_arranged_before_torch_is_imported() -> None:
    assert python(ARRANGE + SHOW).stdout.split() == ["1", "False"]
    assert python(ARRANGE + SHOW, teardown="0").stdout.split() == ["1", "False"]


def test_torch_imported_without_the_teardown_is_refused() -> None:
    refused = python(TORCH_IS_HERE + ARRANGE)

    assert refused.returncode != 0
    assert "torch was imported before Roofgate could set TEARDOWN_CUPTI=1" in refused.stderr


def test_torch_imported_with_the_teardown_is_welcome() -> None:
    assert python(TORCH_IS_HERE + ARRANGE + SHOW, teardown="1").stdout.split() == ["1", "True"]


def test_the_plugin_arranges_the_teardown() -> None:
    assert os.environ[profiling.TEARDOWN] == "1"


@pytest.mark.parametrize("value", ["0", None])
def test_a_teardown_turned_off_since_is_refused(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    require_teardown()
    if value is None:
        monkeypatch.delenv(profiling.TEARDOWN)
    else:
        monkeypatch.setenv(profiling.TEARDOWN, value)

    with pytest.raises(ProfilerStateError, match=rf"TEARDOWN_CUPTI is {value!r}, not '1'"):
        require_teardown()
