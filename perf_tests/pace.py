"""How long a step keeps the host, beside how long it takes."""

from dataclasses import dataclass
from time import perf_counter

from perf_tests.device import Device
from perf_tests.engines.step import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds until the host has launched a step, and until the device has done it."""

    host_s: float
    step_s: float


def paced(step: Step, device: Device) -> Pace:
    """The pace of one step."""
    step.reset()
    device.synchronise()
    start = perf_counter()
    step.run()
    launched = perf_counter()
    device.synchronise()
    return Pace(host_s=launched - start, step_s=perf_counter() - start)
