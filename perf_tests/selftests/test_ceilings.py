"""Measured ceilings: which lines there are, what each is timed by, and what it costs."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from analytic import find_gpu
from perf_tests import ceilings, event_resolution
from perf_tests.ceilings import GPU_LINE_BUDGET_S, LEAST_TIMINGS, MOST_TIMINGS, CeilingMeter
from perf_tests.device import CpuDevice, CudaDevice, Identity
from perf_tests.event_resolution import PAIRS, event_resolution_s, smallest_step
from perf_tests.selftests.tiny import Later

pytestmark = pytest.mark.usefixtures("torch_installed")

torch = Later("torch")


class SmallGpu(CudaDevice):
    """Stands for a GPU of the registry; computes on the CPU, and times by what it is told."""

    def __init__(self, key: str, *, seconds: Callable[[], float] = lambda: 1e-3) -> None:
        self.spec, self.key, self.torch_device = find_gpu(key), key, "cpu"
        self.seconds = seconds
        self.timed = 0

    def identity(self) -> Identity:
        return Identity(name=self.spec.torch_names[0], memory_bytes=None)

    def synchronise(self) -> None:
        pass

    def capacity_bytes(self) -> int:
        return 2**23

    def time_s(self, work: Callable[[], Any]) -> float:
        work()
        self.timed += 1
        return self.seconds()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "GPU_GEMM_SIDE", {"fp16": 32, "bf16": 32, "fp32": 16})
    monkeypatch.setattr(ceilings, "GPU_INT8_SIDE", 64)
    monkeypatch.setattr(ceilings, "CPU_COPY_BYTES", 2**20)
    monkeypatch.setattr(ceilings, "CPU_GEMM_SIDE", {"fp32": 32, "bf16": 32})
    monkeypatch.setattr(ceilings, "CPU_INT8_SIDE", 32)
    monkeypatch.setattr(ceilings, "launch_gap_s", lambda _: 7e-6)
    monkeypatch.setattr(event_resolution, "_event_times_s", lambda: [2.048e-6, 2.080e-6])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("key", "products"),
    [("h100-sxm", {"fp16", "bf16", "fp32", "int8"}), ("t4", {"fp16", "fp32", "int8"})],
)
def test_a_gpu_has_a_line_for_each_dtype_that_it_multiplies(key: str, products: set[str]) -> None:
    device = SmallGpu(key)
    found = CeilingMeter(device).measure()

    # Each takes 1 ms: copies of 1 MiB there and back, products of 2 n³.
    assert found.copy_bytes_per_s == pytest.approx(2 * 2**20 / 1e-3)
    assert found.read_bytes_per_s == pytest.approx(2**20 / 1e-3)
    expected = {"fp16": 2 * 32**3, "bf16": 2 * 32**3, "fp32": 2 * 16**3, "int8": 2 * 64**3}
    assert found.gemm_flops_per_s == {d: pytest.approx(expected[d] / 1e-3) for d in products}
    assert (found.launch_gap_s, found.device) == (7e-6, device.spec.torch_names[0])
    assert found.event_resolution_s == pytest.approx(32e-9)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("error", [RuntimeError("not supported on this device"), AttributeError("_int_mm")])
def test_without_an_int8_product_there_is_no_such_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("torch._int_mm", refuse)

    assert set(CeilingMeter(SmallGpu("t4")).measure().gemm_flops_per_s) == {"fp16", "fp32"}


@pytest.mark.usefixtures("small")
def test_no_memory_is_no_missing_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("torch._int_mm", refuse)

    with pytest.raises(torch.OutOfMemoryError):
        CeilingMeter(SmallGpu("t4")).measure()


@pytest.mark.usefixtures("small")
def test_a_cpu_is_measured_for_real() -> None:
    found = CeilingMeter(CpuDevice()).measure()

    assert {"fp32", "bf16"} <= set(found.gemm_flops_per_s) <= {"fp32", "bf16", "int8"}
    assert found.launch_gap_s is None
    assert found.event_resolution_s is not None
    assert found.event_resolution_s < 1e-3


@pytest.mark.parametrize(
    ("step_s", "timings"), [(1e-3, MOST_TIMINGS), (GPU_LINE_BUDGET_S / 5, 5), (1.0, LEAST_TIMINGS)]
)
def test_slow_lines_are_timed_less_often(
    monkeypatch: pytest.MonkeyPatch, step_s: float, timings: int
) -> None:
    """A clock that moves by `step_s` with each timing; the best of them is the line."""
    hand = SimpleNamespace(s=0.0)
    monkeypatch.setattr(ceilings.time, "perf_counter", lambda: hand.s)

    def seconds() -> float:
        hand.s += step_s
        return 5.0 - hand.s

    device = SmallGpu("t4", seconds=seconds)
    best = CeilingMeter(device)._best_s(lambda: None)

    assert device.timed == timings
    assert best == pytest.approx(5.0 - timings * step_s)


def test_the_best_timing_is_the_line_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timings that fall to 1 s and rise again."""
    monkeypatch.setattr(ceilings.time, "perf_counter", lambda: 0.0)
    seconds = iter([1.0 + abs(n - MOST_TIMINGS // 2) for n in range(MOST_TIMINGS)])

    assert CeilingMeter(SmallGpu("t4", seconds=lambda: next(seconds)))._best_s(lambda: None) == 1.0


def test_all_lines_of_a_slow_gpu_take_less_than_3_s() -> None:
    """A T4 at half its peaks. Each timing runs the work twice, and one run comes before."""
    spec = find_gpu("t4")
    lines_s = [2 * 2**30 / (spec.bytes_per_s / 2), 2**30 / (spec.bytes_per_s / 2)]
    sides = ceilings.GPU_GEMM_SIDE | {"int8": ceilings.GPU_INT8_SIDE}
    lines_s += [2 * side**3 / (spec.flops_per_s[d] / 2) for d, side in sides.items() if spec.supports(d)]

    def cost_s(line_s: float) -> float:
        timings = max(LEAST_TIMINGS, min(MOST_TIMINGS, GPU_LINE_BUDGET_S // (2 * line_s) + 1))
        return (1 + 2 * timings) * line_s

    assert sum(map(cost_s, lines_s)) < 2.5, "the launch gap takes up to 0.3 s more"


def test_resolution_is_the_smallest_step_between_distinct_times() -> None:
    assert smallest_step([2.080e-6, 2.048e-6, 2.048e-6, 2.144e-6]) == pytest.approx(32e-9)
    # A float in ms rounds: the same reading twice.
    assert smallest_step([2.048e-6, 2.048e-6 + 1e-13, 3.048e-6]) == pytest.approx(1e-6)
    assert smallest_step([2.048e-6] * 3) is None


def test_resolution_of_a_gpu_is_that_of_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events that tick every 32 ns, and are recorded 2.1 µs or so apart."""
    times_ns, waited = iter(range(0, 2 * PAIRS * 2107, 2107)), []

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            self.ns = next(times_ns) // 32 * 32

        def synchronize(self) -> None:
            waited.append(self)

        def elapsed_time(self, end: "Event") -> float:
            return (end.ns - self.ns) / 1e6

    monkeypatch.setattr("torch.cuda.Event", Event)

    assert event_resolution_s(SmallGpu("t4")) == pytest.approx(32e-9)
    assert len(waited) == 1
