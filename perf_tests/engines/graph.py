"""The graph engine: the eager step's own kernels, captured once and replayed.

What is left of a step when the host no longer launches its kernels one by one.
"""

from dataclasses import dataclass
from typing import Any

from analytic import Case, ModelSpec
from perf_tests.causes import causes, first_line
from perf_tests.device import Device
from perf_tests.engines import eager
from perf_tests.engines.engine import STEPS, Engine, EngineError
from perf_tests.engines.step import Step

# The first passes load kernels and make libraries' workspaces: neither can be captured.
WARMUPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Captured:
    """A graph, what it writes its output to, and the step whose tensors it reads."""

    graph: Any
    output: Any
    step: Step

    def replay(self) -> Any:
        self.graph.replay()
        return self.output


def prepare(model: Any, spec: ModelSpec, case: Case, device: Device) -> Step:
    """The eager step of a case as one CUDA graph. Raises EngineError for one that
    cannot be captured."""
    import torch

    step = eager.prepare(model, spec, case, device)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARMUPS):
            step.reset()
            step.run()
    torch.cuda.current_stream().wait_stream(side)
    step.reset()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            output = step.run()
    except RuntimeError as error:
        # Ending a capture that failed raises once more: the first error says why.
        found = list(causes(error))
        if any(isinstance(cause, torch.cuda.OutOfMemoryError) for cause in found):
            raise
        raise EngineError(
            f"{case.id} cannot be captured in a CUDA graph: {first_line(found[-1])} (a step that waits for the device or "
            "copies to the host has no graph; LLM.int8 is one. The eager engine runs it)"
        ) from error
    captured = _Captured(graph=graph, output=output, step=step)
    # A replay reads the tensors that were there at the capture: nothing is to be reset.
    return Step(reset=lambda: None, run=captured.replay, tokens=step.tokens)


GRAPH = Engine(name="graph", prepare=prepare, phases=STEPS, needs_cuda=True, queued=True)
