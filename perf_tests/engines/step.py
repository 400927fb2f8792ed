"""One timed step, and what the steps of every engine are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from analytic import Case, ModelSpec
from baselines.record import Tokens
from perf_tests.device import Device

INPUT_SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`reset` prepares a step and is not timed; `run` is timed and returns what
    `tokens` reads the output from. `first_token_s` gives, after the device is
    synchronised, one time per generate() so far. `close`, called once when the case
    is done, frees what would outlive the step."""

    reset: Callable[[], None]
    run: Callable[[], Any]
    tokens: Callable[[Any], Tokens]
    first_token_s: Callable[[], list[float]] | None = None
    close: Callable[[], None] = lambda: None


def input_ids(spec: ModelSpec, case: Case, device: Device, *, length: int) -> Any:
    """Token ids [batch, length], the same on every device: random, never zeros."""
    import torch

    generator = torch.Generator().manual_seed(INPUT_SEED)
    ids = torch.randint(0, spec.vocab_size, (case.batch, length), generator=generator)
    return ids.to(device.torch_device)


def fill_cache(cache: Any, model: Any, spec: ModelSpec, case: Case, device: Device) -> None:
    """Puts `length` random keys and values into an empty cache: cheaper than a
    prefill, and neither speed nor traffic depends on their values."""
    import torch

    generator = torch.Generator(device=device.torch_device).manual_seed(INPUT_SEED)
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


def next_tokens(logits: Any) -> Tokens:
    """Greedy tokens of the last position. `logits` is [batch, 1, vocabulary]."""
    chosen = logits[:, -1].argmax(dim=-1)
    return Tokens(produced=1, digest=digest(chosen))


def digest(tokens: Any) -> str:
    return sha256(str(tokens.tolist()).encode()).hexdigest()[:16]
