"""Slowdowns: real work put into a loaded model. Nothing sleeps on a clock, no number is touched.

Each wraps `forward` of a module on its instance, so its work runs inside the
module's own call: within whatever hooks stand around it, those of the ranges that
tell operators apart included, and in every graph captured from it. `remove` puts
the model back as it was.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analytic import SpecError

#: Takes what a slowdown put into a model out again.
Remove = Callable[[], None]

PYTHON_CALLS = 200
PROJECTIONS = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowdown:
    """`apply` puts the work into a model. `on_device` says whether the device has
    more to do, so that its size can be timed; if not, it is known by construction."""

    name: str
    does: str
    apply: Callable[[Any], Remove]
    on_device: bool = True


def find_slowdown(name: str) -> Slowdown:
    """Raises SpecError, with the names there are."""
    known = {slowdown.name: slowdown for slowdown in SLOWDOWNS}
    if name not in known:
        raise SpecError(f"there is no slowdown {name!r}; there are {', '.join(known)}")
    return known[name]


def _wrap(module: Any, around: Callable[..., Any]) -> Remove:
    """Has `module` run around(forward, *arguments) in place of its forward."""
    original, own = module.forward, vars(module).get("forward")
    # With its signature: generate() reads a model's to know what it takes.
    module.forward = functools.wraps(original)(functools.partial(around, original))

    def remove() -> None:
        if own is None:
            del module.forward
        else:
            module.forward = own

    return remove


def _layers(model: Any) -> Any:
    layers = getattr(getattr(model, "model", None), "layers", None)
    if layers is None:
        raise SpecError(f"{type(model).__name__} has no model.layers to put a slowdown into")
    return layers


def _all(removals: list[Remove]) -> Remove:
    def remove() -> None:
        for one in reversed(removals):
            one()

    return remove


def _after(model: Any, work: Callable[[], object]) -> Remove:
    """`work` at the end of each layer's own forward."""

    def around(forward: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        out = forward(*arguments, **named)
        work()
        return out

    return _all([_wrap(layer, around) for layer in _layers(model)])


def _kv_copy(model: Any) -> Remove:
    def copying(attention: Any) -> Remove:
        def around(forward: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
            out = forward(*arguments, **named)
            cached = named["past_key_values"].layers[attention.layer_idx]
            cached.keys.clone()
            cached.values.clone()
            return out

        return _wrap(attention, around)

    return _all([copying(layer.self_attn) for layer in _layers(model)])


def _sdpa_math(model: Any) -> Remove:
    def around(forward: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with sdpa_kernel(SDPBackend.MATH):
            return forward(*arguments, **named)

    return _wrap(model, around)


def _lm_head_fp32(model: Any) -> Remove:
    import torch

    head = model.get_output_embeddings()
    if head.weight.dtype not in (torch.float16, torch.bfloat16):
        raise SpecError(f"lm-head-fp32 needs a head in 16 bit; this one is in {head.weight.dtype}")
    weight = head.weight.detach().float()

    def around(_forward: Callable[..., Any], hidden: Any) -> Any:
        return torch.nn.functional.linear(hidden.float(), weight).to(hidden.dtype)

    return _wrap(head, around)


def _sync_per_layer(model: Any) -> Remove:
    import torch

    # On a CPU there is nothing to wait for.
    wait = torch.cuda.synchronize if model.device.type == "cuda" else torch.cpu.synchronize
    return _after(model, wait)


def _tiny_kernel_per_layer(model: Any) -> Remove:
    import torch

    one = torch.zeros(1, device=model.device)
    return _after(model, lambda: one.add_(1.0))


def _python_per_layer(model: Any) -> Remove:
    def called() -> None:
        pass

    def work() -> None:
        for _ in range(PYTHON_CALLS):
            called()

    return _after(model, work)


def again(layers: int, share: float) -> int:
    """How many of a model's MLP projections (three a layer) are `share` of them."""
    return max(1, round(share * layers * len(PROJECTIONS)))


def _mlp(share: float) -> Callable[[Any], Remove]:
    def apply(model: Any) -> Remove:
        layers = _layers(model)
        count = again(len(layers), share)
        removals = []
        for number in range(count):
            here = number * len(layers) // count
            name = PROJECTIONS[number % len(PROJECTIONS)]
            # Half the model away: weights that the L2 cannot still hold.
            donor = getattr(layers[(here + len(layers) // 2) % len(layers)].mlp, name)

            def around(forward: Callable[..., Any], *arguments: Any, donor: Any = donor, **named: Any) -> Any:
                # Not by its call: its work is to count as this module's.
                donor.forward(*arguments, **named)
                return forward(*arguments, **named)

            removals.append(_wrap(getattr(layers[here].mlp, name), around))
        return _all(removals)

    return apply


_MLP_DOES = (
    "{share:.0%} of the MLP's projections (of 32 layers {count} of 96) run twice, in fp16 and in 4 bit "
    "alike: gate_proj, up_proj, down_proj in turn, in layers spread over the model, each with the "
    "weights of the layer half the model away, which no cache holds; the result is thrown away"
)

SLOWDOWNS = (
    Slowdown(
        name="kv-copy",
        does="each layer's keys and values are cloned once, after its attention: what a cache does that "
        "copies where it could append. In a prefill it is the cache just made",
        apply=_kv_copy,
    ),
    Slowdown(
        name="sdpa-math",
        does="the forward runs under sdpa_kernel(MATH): scores as a matrix, in fp32, as SDPA falls back to",
        apply=_sdpa_math,
    ),
    Slowdown(
        name="lm-head-fp32",
        does="lm_head multiplies in fp32: its weights were upcast once, so that each step streams twice the "
        "bytes; the input is cast up and the logits back. The same in 4 bit, whose head is in 16 bit",
        apply=_lm_head_fp32,
    ),
    Slowdown(
        name="sync-per-layer",
        does="torch.cuda.synchronize() at the end of each layer: the host waits, the device has no more to do",
        apply=_sync_per_layer,
        on_device=False,
    ),
    Slowdown(
        name="tiny-kernel-per-layer",
        does="one addition to a tensor of one number at the end of each layer",
        apply=_tiny_kernel_per_layer,
    ),
    Slowdown(
        name="python-per-layer",
        does=f"{PYTHON_CALLS} calls of an empty Python function at the end of each layer",
        apply=_python_per_layer,
        on_device=False,
    ),
    Slowdown(name="mlp-2", does=_MLP_DOES.format(share=0.02, count=again(32, 0.02)), apply=_mlp(0.02)),
    Slowdown(name="mlp-5", does=_MLP_DOES.format(share=0.05, count=again(32, 0.05)), apply=_mlp(0.05)),
)
