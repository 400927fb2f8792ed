"""An engine: a way to run the steps of a case. Roofgate has four; a user may add more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analytic import Case, ModelSpec, Phase, Precision
from perf_tests.checkpoint import Source
from perf_tests.device import Device
from perf_tests.engines.step import Step

#: One pass over a model: what engines other than eager run.
STEPS = (Phase.PREFILL, Phase.DECODE)


class EngineError(RuntimeError):
    """An engine cannot run a case; the message says why, and what can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """`prepare` makes the step of a case on a loaded model, all compiling and
    capturing included, or raises EngineError. `load` gives the model; None takes
    Roofgate's own loader.

    `attributed`: its steps call the modules of a transformers model one by one, so
    that kernels can be told apart by module. `queued`: its host runs ahead of the
    device, so that steps are also timed back to back.
    """

    name: str
    prepare: Callable[[Any, ModelSpec, Case, Device], Step]
    load: Callable[[Source, Precision, str], Any] | None = None
    phases: tuple[Phase, ...] = tuple(Phase)
    needs_cuda: bool = False
    attributed: bool = False
    queued: bool = False
