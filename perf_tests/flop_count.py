"""Counts a model's parameters and FLOPs as PyTorch runs it, on the meta device.

transformers builds the model with shapes and no weights, and a forward pass
runs under FlopCounterMode: 2 FLOPs a multiply-add, no causal halving, nothing
for norms, softmax and activation functions. Needs no GPU and hardly any memory,
whatever the size of the model. Imports torch where it is used.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from analytic import SpecError

# Counted by every torch. The default, grouped_mm, is not, and the loop over the
# experts that were hit cannot run without data.
EXPERTS = "batched_mm"

LOGITS_TO_KEEP = {"last": 1, "all": 0}
ATTENTION = "attention"  # score and value products, which have no module of their own

# Not shapes: they would make transformers look for code or kernels elsewhere.
_IGNORED = ("auto_map", "quantization_config")
# Its angles are a matrix product in transformers 5.17, and none in 5.23.
_UNCOUNTED = "rotary_emb"
_LAYER = re.compile(r"(?:^|\.)\d+(?:\.|$)")
_ATTENTIONS = ("self_attn", "self_attention", "attn", "attention")
_CONTAINERS = (*_ATTENTIONS, "mlp", "block_sparse_moe")
# transformers' names that say too little, or were changed.
SYNONYMS = {"gate": "router", "embed_out": "lm_head"}


def require_torch() -> None:
    """Raises SpecError where torch or transformers cannot be imported."""
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise SpecError(f"counting needs torch and transformers: {error}; pip install '.[torch]'") from error


def build(config: Mapping[str, Any], *, attention: str = "eager", experts: str = EXPERTS) -> Any:
    """The causal language model of a config.json, bf16, on the meta device.

    `attention` and `experts` name transformers' implementations of them. Raises
    SpecError for a model_type that transformers does not know, and for a config
    that it refuses.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = {name: value for name, value in config.items() if name not in _IGNORED}
    model_type = fields.pop("model_type", None)
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(
                AutoConfig.for_model(model_type, **fields),
                attn_implementation=attention,
                experts_implementation=experts,
                dtype=torch.bfloat16,  # the only one that grouped_mm takes on the meta device
            )
    except Exception as error:
        raise _refused(f"build model_type {model_type!r}", error) from error
    return model.eval()


def count_parameters(model: Any) -> int:
    """Elements of all parameters; tied ones are one tensor and count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def parameters_by_tensor(model: Any) -> dict[str, int]:
    """Elements of the parameters by tensor ("q_proj.bias"), summed over the layers."""
    sizes: dict[str, int] = defaultdict(int)
    for path, parameter in model.named_parameters():
        sizes[_after_layer(path) or path] += parameter.numel()
    return dict(sizes)


def count_modules(
    model: Any, *, batch: int, new_tokens: int, context_len: int, logits: str = "last"
) -> dict[str, int]:
    """FLOPs of one forward pass of `model`, by the module that spends them.

    The pass takes `new_tokens` of each sequence on a cache of `context_len`, and
    computes the `logits` of the "last" position or of "all". Keys are paths such
    as "model.layers.0.self_attn.q_proj"; a module's FLOPs are without those of
    the modules in it. Raises SpecError where the pass fails.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import DynamicCache

    def tokens(count: int) -> torch.Tensor:
        return torch.zeros(batch, count, dtype=torch.long, device="meta")

    counter = FlopCounterMode(display=False, custom_mapping=_formulas())
    try:
        cache = DynamicCache(config=model.config)
        with torch.no_grad():
            if context_len:  # filled by the model itself, in whatever layout it keeps
                model(tokens(context_len), past_key_values=cache, logits_to_keep=1)
            with counter:
                model(tokens(new_tokens), past_key_values=cache, logits_to_keep=LOGITS_TO_KEEP[logits])
    except Exception as error:
        what = f"run {batch} x {new_tokens} tokens of {type(model).__name__} on {context_len} cached"
        raise _refused(what, error) from error
    root = type(model).__name__
    total = {
        path.removeprefix(root).removeprefix("."): sum(by_kernel.values())
        for path, by_kernel in counter.get_flop_counts().items()
        if path.partition(".")[0] == root
    }
    own = defaultdict(int)
    for path, flops in total.items():
        own[path] += flops
        if path:
            own[_parent(path, total)] -= flops
    return {path: flops for path, flops in own.items() if flops and not path.endswith(_UNCOUNTED)}


def count_flops(model: Any, *, batch: int, new_tokens: int, context_len: int, logits: str = "last") -> int:
    """FLOPs of one forward pass; the arguments are those of count_modules."""
    return sum(
        count_modules(
            model, batch=batch, new_tokens=new_tokens, context_len=context_len, logits=logits
        ).values()
    )


def by_operator(modules: Mapping[str, int]) -> dict[str, int]:
    """What count_modules gives, summed over the layers, by operator.

    An operator has the name of its module in a layer ("q_proj",
    "shared_experts.up_proj"), with the container ("mlp.c_proj") only where two
    would be the same. A module that is a container is "attention".
    """
    inside: dict[str, int] = defaultdict(int)
    for path, flops in modules.items():
        inside[_in_layer(path)] += flops
    short = {name: _short(name) for name in inside}
    names = list(short.values())
    return {name if names.count(short[name]) > 1 else short[name]: flops for name, flops in inside.items()}


def _refused(what: str, error: Exception) -> SpecError:
    """One line of what transformers says: its errors are of many kinds and lengths."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return SpecError(f"transformers cannot {what}: {reason[:300]}")


def _formulas() -> dict[Any, Any]:
    """FLOP formulas that FlopCounterMode may lack, by operator."""
    import torch

    grouped_mm = getattr(torch.ops.aten, "_grouped_mm", None)
    return {} if grouped_mm is None else {grouped_mm: _grouped_mm_flops}


def _grouped_mm_flops(rows: Sequence[int], weights: Sequence[int], *_: Any, **__: Any) -> int:
    """2·S·K·N for rows (S, K), each with its own expert of weights (E, K, N)."""
    return 2 * rows[0] * rows[1] * weights[-1]


def _parent(path: str, paths: Mapping[str, int]) -> str:
    """The nearest module around `path` that was called; "" is the model."""
    while path := path.rpartition(".")[0]:
        if path in paths:
            return path
    return ""


def _after_layer(path: str) -> str:
    """A path from its layer on; "" outside the layers."""
    match = _LAYER.search(path)
    return path[match.end() :] if match else ""


def _in_layer(path: str) -> str:
    """A module's name in its layer, or its last name outside the layers."""
    name = _after_layer(path) or path.rpartition(".")[2]
    if name in _ATTENTIONS:
        return ATTENTION
    container, _, last = name.rpartition(".")
    last = SYNONYMS.get(last, last)
    return f"{container}.{last}" if container else last


def _short(name: str) -> str:
    container, _, rest = name.partition(".")
    return rest if container in _CONTAINERS and rest else name
