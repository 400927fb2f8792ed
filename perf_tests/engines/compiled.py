"""The compiled engines: torch.compile over a StaticCache, replayed as CUDA graphs.

`compiled` is mode "reduce-overhead"; `tuned` has Inductor search each kernel's
launch settings too (coordinate descent), which takes over a minute for a 7B model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from analytic import Case, ModelSpec, Phase
from perf_tests.device import Device
from perf_tests.engines.engine import STEPS, Engine, EngineError
from perf_tests.engines.step import Step, fill_cache, input_ids, next_tokens

# What torch.compile makes of mode "reduce-overhead": a mode and options cannot both be given.
_REDUCE_OVERHEAD = {"triton.cudagraphs": True}
_TUNED = _REDUCE_OVERHEAD | {"coordinate_descent_tuning": True}
# The first run compiles, the second records the graphs, the third replays them.
_FIRST_RUNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Static:
    """A static cache and how far each layer is filled where a step starts. A step
    counts on in place: in one tensor a layer, and in sliding layers in an int too."""

    cache: Any
    start: int
    lengths: list[Any]
    starts: list[Any]

    def rewind(self) -> None:
        import torch

        # One kernel for all layers; keys and values past the start are written anew.
        torch._foreach_copy_(self.lengths, self.starts)
        for layer in self.cache.layers:
            if layer.is_sliding:
                layer.cumulative_length_int = self.start


def prepare(
    model: Any,
    spec: ModelSpec,
    case: Case,
    device: Device,
    *,
    options: Mapping[str, bool],
    backend: str = "inductor",
) -> Step:
    """The compiled step of a case: compiled, recorded and replayed once on return.

    Raises EngineError for a decode step that rolls a sliding window: it leaves
    another cache behind than it started from.
    """
    import torch

    # What an earlier case compiled must not have this one compiled for any shape.
    torch._dynamo.reset()
    with torch.inference_mode():
        held = _static(model, spec, case, device)
    cache = held.cache
    ids = input_ids(spec, case, device, length=1 if case.phase is Phase.DECODE else case.length)

    def forward(ids: Any) -> Any:
        return model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits

    # The model itself stays as it is: eager cases run on the same.
    compiled: Callable[[Any], Any] = torch.compile(
        forward, dynamic=False, backend=backend, options=dict(options) or None
    )

    def reset() -> None:
        with torch.inference_mode():
            held.rewind()
        # The last step's output may be overwritten from here on.
        torch.compiler.cudagraph_mark_step_begin()

    def run() -> Any:
        with torch.inference_mode():
            return compiled(ids)

    try:
        for _ in range(_FIRST_RUNS):
            reset()
            run()
    except BaseException:
        torch._dynamo.reset()
        raise
    # Compiled code and the memory of its graphs stay until they are dropped by name.
    return Step(reset=reset, run=run, tokens=next_tokens, close=torch._dynamo.reset)


def _static(model: Any, spec: ModelSpec, case: Case, device: Device) -> _Static:
    from transformers import StaticCache

    decodes = case.phase is Phase.DECODE
    cache = StaticCache(config=model.config, max_cache_len=case.length + decodes)
    for layer in cache.layers:
        # `max_cache_len` of a sliding layer is its window, if that is the shorter.
        if decodes and layer.is_sliding and case.length >= layer.max_cache_len:
            raise EngineError(
                f"{case.id}: {spec.name} attends to a sliding window of {layer.max_cache_len} tokens, and a step "
                f"that rolls a static one cannot be repeated; choose a context below {layer.max_cache_len}, "
                "or the eager engine"
            )
    # Filled for a prefill too: a layer that is first filled inside compiled code
    # has no fixed address, and gets no CUDA graph.
    fill_cache(cache, model, spec, case, device)
    lengths = [layer.cumulative_length for layer in cache.layers]
    start = case.length if decodes else 0
    return _Static(
        cache=cache,
        start=start,
        lengths=lengths,
        starts=[length.new_full((), start) for length in lengths],
    )


COMPILED = Engine(
    name="compiled", prepare=partial(prepare, options=_REDUCE_OVERHEAD), phases=STEPS, queued=True
)
TUNED = Engine(name="tuned", prepare=partial(prepare, options=_TUNED), phases=STEPS, queued=True)
