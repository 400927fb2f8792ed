"""Which GPUs a lane measures: whole cards of the registry, and no slices of them."""

import sys
from types import SimpleNamespace

import pytest

from analytic import SpecError
from perf_tests.device import CudaDevice

H100 = "NVIDIA H100 80GB HBM3"


def card(
    monkeypatch: pytest.MonkeyPatch, *, name: str = H100, sms: int = 132, memory_bytes: int = 85_017_493_504
) -> CudaDevice:
    """The device that torch would show with these properties."""
    properties = SimpleNamespace(
        name=name, multi_processor_count=sms, total_memory=memory_bytes, uuid="0-1-2"
    )
    cuda = SimpleNamespace(get_device_properties=lambda _: properties)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr("perf_tests.device.Nvml.of", lambda _: None)
    return CudaDevice()


def test_a_whole_card_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    device = card(monkeypatch)

    assert (device.key, device.spec.sm_count) == ("h100-sxm", 132)


@pytest.mark.parametrize(
    ("name", "sms", "memory_bytes", "words"),
    [
        (H100, 60, 85_017_493_504, "60 SMs where 132 are right"),
        (H100, 132, 42 * 10**9, "42.0 GB of memory where 72.0 to 86.4 GB are right"),
        ("Tesla T4", 40, 8 * 10**9, "8.0 GB of memory where 14.4 to 17.3 GB are right"),
        (f"{H100} MIG 1g.10gb", 16, 10 * 10**9, "is a MIG slice"),
        ("NVIDIA A10G-8Q", 80, 8 * 10**9, "unknown GPU 'NVIDIA A10G-8Q'. Nearest: NVIDIA A10G"),
    ],
)
def test_a_part_of_one_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, sms: int, memory_bytes: int, words: str
) -> None:
    with pytest.raises(SpecError) as error:
        card(monkeypatch, name=name, sms=sms, memory_bytes=memory_bytes)

    assert words in str(error.value)
