"""The eager engine: what one timed step of each phase does.

A step is one forward pass with a DynamicCache, as generate() runs it, or one
whole generate(). Inputs are fixed token ids drawn from a seed: exactly as long
as they claim, and never zeros.
"""

import copy
import time
from dataclasses import dataclass, field
from typing import Any

from analytic import Case, ModelSpec, Phase
from baselines.record import Tokens
from perf_tests.device import Device
from perf_tests.engines.engine import Engine
from perf_tests.engines.step import Step, digest, fill_cache, input_ids, next_tokens


def prepare(model: Any, spec: ModelSpec, case: Case, device: Device) -> Step:
    """The step of a case on a loaded model."""
    makers = {Phase.PREFILL: _prefill, Phase.DECODE: _decode, Phase.GENERATE: _generate}
    return makers[case.phase](model, spec, case, device)


@dataclass(slots=True)
class _Held:
    """The cache that the next step starts from."""

    cache: Any = None


def _forward(model: Any, ids: Any, cache: Any) -> Any:
    """One pass; logits of the last position only, as generate() asks for."""
    import torch

    with torch.inference_mode():
        return model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits


def _prefill(model: Any, spec: ModelSpec, case: Case, device: Device) -> Step:
    from transformers import DynamicCache

    ids = input_ids(spec, case, device, length=case.length)
    held = _Held()

    def reset() -> None:
        held.cache = DynamicCache(config=model.config)

    return Step(reset=reset, run=lambda: _forward(model, ids, held.cache), tokens=next_tokens)


def _decode(model: Any, spec: ModelSpec, case: Case, device: Device) -> Step:
    """Each step starts from the same filled cache. A layer's update replaces its
    tensors rather than writing to them, so shallow copies of the layers restore it."""
    ids = input_ids(spec, case, device, length=1)
    filled = filled_cache(model, spec, case, device)
    held = _Held()

    def reset() -> None:
        held.cache = copy.copy(filled)
        held.cache.layers = [copy.copy(layer) for layer in filled.layers]

    return Step(reset=reset, run=lambda: _forward(model, ids, held.cache), tokens=next_tokens)


def filled_cache(model: Any, spec: ModelSpec, case: Case, device: Device) -> Any:
    """A cache of `length` random keys and values."""
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        fill_cache(cache, model, spec, case, device)
    return cache


@dataclass(slots=True)
class _FirstToken:
    """A logits processor that marks when the first logits of a generate() are there."""

    on_gpu: bool
    starts: list[Any] = field(default_factory=list)
    firsts: list[Any] = field(default_factory=list)

    def mark(self) -> Any:
        # On a GPU the host runs ahead: an event says when the device gets there.
        if not self.on_gpu:
            return time.perf_counter()
        import torch

        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def start(self) -> None:
        self.starts.append(self.mark())

    def __call__(self, _input_ids: Any, scores: Any) -> Any:
        if len(self.firsts) < len(self.starts):
            self.firsts.append(self.mark())
        return scores

    def seconds(self) -> list[float]:
        pairs = zip(self.starts, self.firsts, strict=True)
        if self.on_gpu:
            return [start.elapsed_time(first) / 1e3 for start, first in pairs]
        return [first - start for start, first in pairs]


def _generate(model: Any, spec: ModelSpec, case: Case, device: Device) -> Step:
    import torch
    from transformers import GenerationConfig, LogitsProcessorList

    ids = input_ids(spec, case, device, length=case.length)
    # Without an end-of-sequence token no sequence can stop early; the model's
    # own generation config would fill one in.
    model.generation_config = GenerationConfig(pad_token_id=0)
    settings = GenerationConfig(max_new_tokens=case.output_len, do_sample=False, pad_token_id=0)
    clock = _FirstToken(on_gpu=device.torch_device != "cpu")

    def run() -> Any:
        clock.start()
        with torch.inference_mode():
            return model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                generation_config=settings,
                logits_processor=LogitsProcessorList([clock]),
            )

    def tokens(sequences: Any) -> Tokens:
        produced = sequences[:, case.length :]
        return Tokens(produced=produced.shape[1], digest=digest(produced))

    return Step(reset=lambda: None, run=run, tokens=tokens, first_token_s=clock.seconds)


EAGER = Engine(name="eager", prepare=prepare, attributed=True)
