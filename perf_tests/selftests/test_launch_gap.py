"""The measured gap between launches: what is launched, how often, and how it is timed."""

from typing import Any

import pytest

from perf_tests import launch_gap
from perf_tests.ceilings import CeilingMeter
from perf_tests.device import CpuDevice
from perf_tests.launch_gap import LAUNCHES_PER_NORM, NORMS, REPEATS, launch_gap_s, norm_stack
from perf_tests.selftests.tiny import Later

pytestmark = pytest.mark.usefixtures("torch_installed")

torch = Later("torch")


class CountedDevice(CpuDevice):
    """A CPU that counts how often it is waited for."""

    def __init__(self) -> None:
        self.waits = 0

    def synchronise(self) -> None:
        self.waits += 1


def operators(work: Any) -> list[str]:
    """The aten operators that run, views left out: on a GPU each is a launch."""
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            if not func.is_view:
                seen.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    # Under inference_mode a conversion is not taken apart into what it launches.
    with torch.no_grad(), Watch():
        work()
    return seen


@pytest.mark.parametrize("norms", [1, 3])
def test_a_norm_is_eight_launches(norms: int) -> None:
    stack = norm_stack("cpu", norms=norms)
    hidden = torch.ones(1, 1, launch_gap.WIDTH, dtype=torch.float16)
    one = ["_to_copy", "pow", "mean", "add", "rsqrt", "mul", "_to_copy", "mul"]

    assert operators(lambda: stack(hidden)) == one * norms
    assert len(one) == LAUNCHES_PER_NORM


def test_transformers_writes_its_norm_so() -> None:
    """If this fails, transformers changed what a launch of eager code costs."""
    modelling = Later("transformers.models.mistral.modeling_mistral")
    norm = modelling.MistralRMSNorm(launch_gap.WIDTH).half()
    hidden = torch.ones(1, 1, launch_gap.WIDTH, dtype=torch.float16)
    mine = norm_stack("cpu", norms=1)

    assert operators(lambda: norm(hidden)) == operators(lambda: mine(hidden))
    assert torch.equal(norm(hidden), mine(hidden))


def test_the_gap_is_the_median_pass_by_its_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes of 1, 2, ... ms after one that warms up; each is waited for."""
    device, clock = CountedDevice(), [0.0, 9.0]
    for number in range(1, REPEATS + 1):
        clock += [100.0 + number, 100.0 + number + number / 1e3]
    ticks = iter(clock)
    monkeypatch.setattr(launch_gap.time, "perf_counter", lambda: next(ticks))

    assert launch_gap_s(device) == pytest.approx((REPEATS + 1) / 2 / 1e3 / (NORMS * 8))
    assert device.waits == REPEATS + 1
    assert next(ticks, None) is None


def test_it_takes_no_longer_than_a_slow_host_may() -> None:
    """40 µs a launch is a slow host's: less than 0.3 s in all."""
    assert (REPEATS + 1) * NORMS * LAUNCHES_PER_NORM * 40e-6 < 0.3


def test_a_cpu_has_no_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perf_tests.ceilings.CPU_COPY_BYTES", 2**20)
    monkeypatch.setattr("perf_tests.ceilings.CPU_GEMM_SIDE", {"fp32": 32})

    assert CeilingMeter(CpuDevice()).measure().launch_gap_s is None
