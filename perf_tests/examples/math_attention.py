"""An own engine: eager, with attention as plain matrix products in place of a fused kernel.

    pytest -m gpu --perf-engine=eager,perf_tests/examples/math_attention.py --perf-prompt=2048

The difference between the two is what the fused attention kernel saves.
"""

from dataclasses import replace
from typing import Any

from analytic import Case, ModelSpec
from perf_tests.device import Device
from perf_tests.engines import eager
from perf_tests.engines.engine import Engine
from perf_tests.engines.step import Step


def prepare(model: Any, spec: ModelSpec, case: Case, device: Device) -> Step:
    """The eager step of the case, run under another choice of attention kernel."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    step = eager.prepare(model, spec, case, device)

    def run() -> Any:
        with sdpa_kernel(SDPBackend.MATH):
            return step.run()

    return replace(step, run=run)


ENGINE = Engine(name="mathattention", prepare=prepare, attributed=True)
