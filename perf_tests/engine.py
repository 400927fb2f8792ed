"""The eager engine: what one timed step of each phase does.

A step is one forward pass with a DynamicCache, as generate() runs it, or one
whole generate(). Inputs are fixed token ids drawn from a seed: exactly as long
as they claim, and never zeros.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from analytic import Case, ModelSpec, Phase
from baselines.record import Tokens
from perf_tests.device import Device

INPUT_SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`reset` prepares a step and is not timed; `run` is timed and returns what
    `tokens` reads the output from. `first_token_s` gives, after the device is
    synchronised, one time per generate() so far."""

    reset: Callable[[], None]
    run: Callable[[], Any]
    tokens: Callable[[Any], Tokens]
    first_token_s: Callable[[], list[float]] | None = None


def prepare(model: Any, spec: ModelSpec, case: Case, device: Device) -> Step:
    """The step of a case on a loaded model."""
    makers = {Phase.PREFILL: _prefill, Phase.DECODE: _decode, Phase.GENERATE: _generate}
    return makers[case.phase](model, spec, case, device)


def input_ids(spec: ModelSpec, case: Case, device: Device, *, length: int) -> Any:
    """Token ids [batch, length], the same on every device."""
    import torch

    generator = torch.Generator().manual_seed(INPUT_SEED)
    ids = torch.randint(0, spec.vocab_size, (case.batch, length), generator=generator)
    return ids.to(device.torch_device)


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

    return Step(reset=reset, run=lambda: _forward(model, ids, held.cache), tokens=_next_tokens)


def _decode(model: Any, spec: ModelSpec, case: Case, device: Device) -> Step:
    """Each step starts from the same filled cache. A layer's update replaces its
    tensors rather than writing to them, so shallow copies of the layers restore it."""
    ids = input_ids(spec, case, device, length=1)
    filled = _filled_cache(model, spec, case, device)
    held = _Held()

    def reset() -> None:
        held.cache = copy.copy(filled)
        held.cache.layers = [copy.copy(layer) for layer in filled.layers]

    return Step(reset=reset, run=lambda: _forward(model, ids, held.cache), tokens=_next_tokens)


def _filled_cache(model: Any, spec: ModelSpec, case: Case, device: Device) -> Any:
    """A cache of `length` random keys and values: cheaper than a prefill, and
    neither speed nor traffic depends on their values."""
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    generator = torch.Generator(device=device.torch_device).manual_seed(INPUT_SEED)
    with torch.inference_mode():
        for layer in range(spec.n_layers):
            cached = [
                torch.randn(
                    (case.batch, heads, case.length, size),
                    generator=generator,
                    dtype=model.dtype,
                    device=device.torch_device,
                )
                for heads, size in spec.attention.cache_shapes
            ]
            cache.update(*cached, layer)
    return cache


def _next_tokens(logits: Any) -> Tokens:
    """Greedy tokens of the last position. `logits` is [batch, 1, vocabulary]."""
    chosen = logits[:, -1].argmax(dim=-1)
    return Tokens(produced=1, digest=_digest(chosen))


def _digest(tokens: Any) -> str:
    return sha256(str(tokens.tolist()).encode()).hexdigest()[:16]


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
        return Tokens(produced=produced.shape[1], digest=_digest(produced))

    return Step(reset=lambda: None, run=run, tokens=tokens, first_token_s=clock.seconds)
