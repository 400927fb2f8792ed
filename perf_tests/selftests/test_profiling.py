"""Device time and counts from profiler events that nobody needs a GPU for."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Self

import pytest

from perf_tests import pace, profiling
from perf_tests.device import CpuDevice
from perf_tests.engines.step import Step
from perf_tests.kineto import RUN_RANGE, STEP_RANGE, DeviceEvent, read, union_ns
from perf_tests.module_ranges import RANGE_PREFIX
from perf_tests.pace import Pace
from perf_tests.profiling import Profile, profile_steps, torn_down
from perf_tests.selftests.tiny import ROOT, Later

torch = Later("torch")


def spans(*pairs: tuple[int, int]) -> list[DeviceEvent]:
    return [
        DeviceEvent(name="k", kind="kernel", launched_ns=start, start_ns=start, end_ns=end, operator=None)
        for start, end in pairs
    ]


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
        self,
        name: str,
        start: int,
        end: int,
        *,
        device: bool = True,
        annotation: bool = False,
        correlation: int = -1,
    ) -> None:
        self._values = (name, start, end - start, device, annotation, correlation)

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

    def correlation_id(self) -> int:
        return self._values[5]


def marked(name: str, start: int, end: int) -> list[Event]:
    """A range: on the host, and its shadow on the device."""
    return [Event(name, start, end, device=on_device, annotation=True) for on_device in (False, True)]


def step_range(start: int, end: int, *, waits_ns: int = 0) -> list[Event]:
    """A step's two ranges; at its end the host waits for the device."""
    return [*marked(STEP_RANGE, start, end), *marked(RUN_RANGE, start, end - waits_ns)]


def operator(name: str, start: int, end: int) -> list[Event]:
    return marked(f"{RANGE_PREFIX}{name}", start, end)


def host(name: str, start: int, correlation: int = 0) -> Event:
    return Event(name, start, start + 1, device=False, correlation=correlation)


def test_a_range_is_a_span_on_the_host_and_no_kernel_on_the_device() -> None:
    pytest.importorskip("torch")
    trace = read(
        [
            *step_range(1000, 2000),
            *step_range(100, 900),
            *marked("another range", 0, 5000),
            host("aten::mm", 110),
            Event("gemm_kernel", 120, 150),
        ]
    )

    assert [(s.start_ns, s.end_ns) for s in trace.steps] == [(100, 900), (1000, 2000)]
    assert [(e.name, e.start_ns, e.end_ns) for e in trace.device] == [("gemm_kernel", 120, 150)]
    assert trace.aten_ns == (110,)


def test_copies_and_fills_are_told_from_kernels() -> None:
    pytest.importorskip("torch")
    names = ["Memcpy DtoD (Device -> Device)", "Memset (Device)", "void cutlass::Kernel", "my_Memcpy_kernel"]

    trace = read([Event(name, 0, 1) for name in names])

    assert [e.kind for e in trace.device] == ["Memcpy", "Memset", "kernel", "kernel"]


@pytest.mark.parametrize(
    ("name", "waits"),
    [
        ("cudaStreamSynchronize", True),
        ("cudaDeviceSynchronize", True),
        ("cudaEventSynchronize", True),
        ("cuCtxSynchronize", True),
        ("cudaStreamIsCapturing", False),
    ],
)
def test_every_wait_for_the_device_is_a_sync_and_nothing_else(name: str, *, waits: bool) -> None:
    pytest.importorskip("torch")

    assert read([host(name, 5)]).syncs_ns == ((5,) if waits else ())


def test_a_kernel_belongs_to_the_innermost_range_around_its_launch() -> None:
    """However late it runs, and whatever else the host does meanwhile."""
    pytest.importorskip("torch")
    trace = read(
        [
            *operator("residual", 0, 100),
            *operator("attention", 10, 60),
            *operator("q_proj", 20, 30),
            *operator("q_proj", 110, 120),
            # A CPU operator's own id is of another numbering.
            host("aten::mm", 5, correlation=3),
            *(host("cudaLaunchKernel", at, n) for n, at in enumerate((5, 15, 25, 30, 60, 105, 110), start=1)),
            host("cuLaunchKernelEx", 119, 8),
            *(Event(f"k{n}", 1000 + n, 1001 + n, correlation=n) for n in range(1, 10)),
        ]
    )

    assert {e.name: e.operator for e in trace.device} == {
        "k1": "residual",
        "k2": "attention",
        "k3": "q_proj",
        "k4": "attention",
        "k5": "residual",
        "k6": None,
        "k7": "q_proj",
        "k8": "q_proj",
        "k9": None,  # its launch was not seen
    }


Profiled = Callable[..., tuple[Profile, list[str]]]


@pytest.fixture
def profiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Profiled]:
    """Profiles steps under a profiler that returns the given events; also says
    what was done, in order."""
    torch_profiler = pytest.importorskip("torch.profiler")
    done: list[str] = []

    def profile_events(
        events: list[Event],
        *,
        steps: int,
        lead_in: int = 0,
        clocks_mhz: Sequence[float] = (),
        hold_s: Callable[[Any, Any], float] = lambda _plain, _within: 0.1,
        ranges: Any = None,
    ) -> tuple[Profile, list[str]]:
        class Canned:
            def __init__(self, **_: Any) -> None:
                results = SimpleNamespace(events=lambda: events)
                self.profiler = SimpleNamespace(kineto_results=results)

            def __enter__(self) -> Self:
                # As torch 2.11 does at its second session in a process.
                warnings.warn("Warning: Profiler clears events at the end of each cycle.", stacklevel=2)
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
        clocks = iter(clocks_mhz)

        def hold(seconds: float) -> Any:
            done.append(f"hold {seconds:g}")
            if (clock := next(clocks, None)) is None:
                return None
            return SimpleNamespace(clock_mhz=lambda: done.append("clock") or clock)

        device = SimpleNamespace(synchronise=lambda: done.append("sync"), hold=hold, torch_device="cuda:0")
        found = profile_steps(step, device, steps=steps, lead_in=lead_in, hold_s=hold_s, ranges=ranges)
        return found, done

    return profile_events


def test_device_time_is_per_step(profiled: Profiled) -> None:
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

    assert profile.note is None
    assert profile.device_s == pytest.approx((450e-9, 550e-9))
    assert profile.launches == (2, 1)
    assert profile.copies == (1, 0)
    # A step beforehand, in which a tear-down that is still due is done.
    assert done[:4] == ["reset", "sync", "run", "sync"]
    assert done[4:] == ["on", *["reset", "sync", "hold 0", "run", "sync"] * 2, "off"]


def test_a_step_has_what_it_launched_and_not_what_was_launched_before_it(profiled: Profiled) -> None:
    """The device was held: that kernel begins within the step, and another ends after the next began."""
    events = [
        host("cudaLaunchKernel", 90, 1),
        *step_range(100, 200),
        Event("spin_kernel", 101, 150, correlation=1),
        host("cudaLaunchKernel", 110, 2),
        Event("a", 150, 170, correlation=2),
        *step_range(300, 400),
        host("cudaLaunchKernel", 310, 3),
        Event("a", 320, 330, correlation=3),
    ]

    profile, _ = profiled(events, steps=2)

    assert profile.device_s == pytest.approx((20e-9, 10e-9))
    assert profile.launches == (1, 1)


def test_the_lead_in_is_run_and_not_counted(profiled: Profiled) -> None:
    """And by its pace the device is held before each step that is."""
    profile, done = profiled([*step_range(0, 10), Event("a", 1, 3)], steps=1, lead_in=2)

    assert done[4:] == ["on", *["reset", "sync", "run", "sync"] * 2, *HELD, "off"]
    assert profile.launches == (1,)


HELD = ("reset", "sync", "hold 0.1", "run", "sync")


def test_the_pace_is_the_hosts_own_and_then_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host has launched a step before the device has done it."""
    now = [0.0]

    def takes(seconds: float) -> Callable[[], None]:
        return lambda: now.__setitem__(0, now[0] + seconds)

    monkeypatch.setattr(pace, "perf_counter", lambda: now[0])
    step = Step(reset=takes(100.0), run=takes(2.0), tokens=lambda _: pytest.fail("not asked for"))

    assert pace.paced(step, SimpleNamespace(synchronise=takes(0.5))) == Pace(host_s=2.0, step_s=2.5)


def test_the_hold_is_by_the_paces_outside_the_profiler_and_within(
    profiled: Profiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several steps that lead in, by the last."""
    paces = iter(range(9))
    asked: list[tuple[Any, Any]] = []
    monkeypatch.setattr(profiling, "paced", lambda *_: next(paces))

    def hold_s(plain: Any, within: Any) -> float:
        asked.append((plain, within))
        return 0.1 * len(asked)

    profile, done = profiled([*step_range(0, 10), Event("a", 1, 3)], steps=1, lead_in=2, hold_s=hold_s)

    assert asked == [(0, 1), (0, 2)]
    assert profile.hold_s == 0.2
    assert [what for what in done if what.startswith("hold")] == ["hold 0.2"]


def test_the_clock_of_each_hold_is_read_when_all_is_over(profiled: Profiled) -> None:
    events = [*step_range(0, 10), Event("a", 1, 3), *step_range(20, 30), Event("a", 21, 23)]

    profile, done = profiled(events, steps=2, lead_in=1, clocks_mhz=(1979.6, 1994.5))

    assert profile.held_clock_mhz == (1979.6, 1994.5)
    assert done[-3:] == ["off", "clock", "clock"]


def test_a_step_that_was_not_held_has_no_clock(profiled: Profiled) -> None:
    profile, _ = profiled([*step_range(0, 10), Event("a", 1, 3)], steps=1, lead_in=1)

    assert profile.held_clock_mhz is None


def test_what_the_host_does_is_counted_up_to_the_harness_own_wait(profiled: Profiled) -> None:
    events = [
        *step_range(0, 100, waits_ns=20),
        *(host(name, at) for at, name in enumerate(("aten::mm", "aten::add", "cudaStreamSynchronize"))),
        host("cudaDeviceSynchronize", 81),
        host("aten::copy_", 150),
        *step_range(200, 300, waits_ns=20),
        host("aten::mm", 200),
        Event("a", 10, 20),
        Event("a", 210, 220),
    ]

    profile, _ = profiled(events, steps=2)

    assert profile.aten_ops == (2, 1)
    assert profile.syncs == (1, 0)


def test_kernels_are_summed_by_operator_and_name(profiled: Profiled) -> None:
    """The longest first; what lies in no operator is "other"."""
    events = [
        *(e for at in (0, 1_000) for e in step_range(at, at + 900)),
        *(e for at in (0, 1_000) for e in operator("q_proj", at + 10, at + 20)),
        *(host("cudaLaunchKernel", at, n) for n, at in enumerate((11, 12, 30, 1_011, 1_012), start=1)),
        Event("gemm", 100, 130, correlation=1),
        Event("gemm", 200, 220, correlation=2),
        Event("arange", 300, 305, correlation=3),
        Event("gemm", 1_100, 1_160, correlation=4),
        Event("gemm", 1_200, 1_201, correlation=5),
    ]
    from contextlib import nullcontext

    profile, _ = profiled(events, steps=2, ranges=nullcontext())
    plain, _ = profiled(events, steps=2)

    assert profile.kernels is not None
    assert [(k.operator, k.name, k.launches) for k in profile.kernels] == [
        ("q_proj", "gemm", 2),
        ("other", "arange", 0),
    ]
    assert profile.kernels[0].device_s == pytest.approx((50e-9, 61e-9))
    assert profile.kernels[1].device_s == pytest.approx((5e-9, 0))
    assert {k.operator for k in plain.kernels or ()} == {None}


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
    profiled: Profiled, events: list[Event], reason: str
) -> None:
    profile, _ = profiled(events, steps=2)

    assert reason in (profile.note or "")
    assert profile.device_s is profile.launches is profile.kernels is None


@pytest.mark.usefixtures("torch_installed")
def test_on_a_cpu_aten_calls_are_counted_for_real() -> None:
    """One matrix product more is seen exactly, with what it calls in turn."""

    def counted(products: int) -> tuple[int, ...]:
        matrix = torch.ones(4, 4)
        run = lambda: [matrix @ matrix for _ in range(products)]  # noqa: E731 - a step in one line
        step = Step(reset=lambda: None, run=run, tokens=lambda _: pytest.fail("not asked for"))
        profile = profile_steps(step, CpuDevice(), steps=2, lead_in=1)
        assert profile.note == "a CPU has no device clock"
        return profile.aten_ops

    one, two = counted(1), counted(2)

    assert one[0] == one[1] >= 1
    assert two == (2 * one[0],) * 2


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
def test_a_teardown_turned_off_since_is_seen(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    assert torn_down()
    if value is None:
        monkeypatch.delenv(profiling.TEARDOWN)
    else:
        monkeypatch.setenv(profiling.TEARDOWN, value)

    assert not torn_down()
