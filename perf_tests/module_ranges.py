"""Which operator launched a kernel: profiler ranges around the modules of an eager model.

The model is not changed: hooks and two patched functions open a range each, and
all are gone at the end. Ranges nest, and a kernel belongs to the innermost, so a
linear's kernels are its own and those of the attention around it are the attention's.
Operators have the names of the analytic tape (analytic/eager), so that a bound can
stand beside each.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

from analytic import ModelSpec

RANGE_PREFIX = "roofgate.operator:"

# What no model's tape holds: the kernels that unpack a quantised linear's weights
# or its product, and those that no module or function here accounts for.
DEQUANTISE, OTHER = "dequantise", "other"

# The functions of a modeling file that rotate; each has one of them or none.
_ROTATIONS = ("apply_rotary_pos_emb", "apply_rotary_emb")
_ACTIVATIONS = ("act", "act_fn", "activation_fn")

# bitsandbytes 0.49 and 0.50, csrc/kernels.cu and its Triton twins. The fused 4-bit
# products (gemm_4bit_…, kgemm_4bit_inference_naive) unpack too, and are the linear's own.
_UNPACKING = re.compile(r"\bk?dequant(ize)?(Blockwise|_)", re.IGNORECASE)


def kernel_operator(operator: str, kernel_name: str) -> str:
    """The operator of a kernel that was launched within `operator`'s range."""
    return DEQUANTISE if _UNPACKING.search(kernel_name) else operator


@contextmanager
def module_ranges(model: Any, spec: ModelSpec) -> Iterator[None]:
    """While open, every step of `model`, a causal language model of transformers with
    the layers of `spec`, leaves a range named RANGE_PREFIX + operator in a profile."""
    layout = _Layout(model, spec)
    with ExitStack() as stack:
        for module, operator in layout.operators():
            _hook(stack, module, operator)
        _patch_functions(stack, layout.attentions())
        yield


class _Layout:
    """Where the operators of a spec lie in a model, by the paths of its modules."""

    def __init__(self, model: Any, spec: ModelSpec) -> None:
        self._model, self._spec = model, spec
        self._modules = dict(model.named_modules())
        layers = [stack.layer for stack in spec.stacks]
        attention = {linear.name for layer in layers for linear in layer.attention.linears}
        dense = {linear.name for layer in layers if layer.dense for linear in layer.dense.linears}
        self._linears = attention | dense | {linear.name for linear in spec.projections}
        self._attentions = {_parent(p) for p in self._modules if _linear(p, attention)}
        self._holders = self._held(dense)

    def attentions(self) -> list[Any]:
        return [self._modules[path] for path in self._attentions]

    def operators(self) -> Iterator[tuple[Any, str]]:
        """Every module that gets a range, with its operator. Dropout and containers
        get none: what they launch is the module's around them."""
        embedded, head = self._model.get_input_embeddings(), self._model.get_output_embeddings()
        # Gemma 2 caps its logits around the head; masks and positions are made within the base.
        around = self._spec.head_name if self._spec.logit_softcap else OTHER
        special = {
            id(self._model): around,
            id(self._model.base_model): OTHER,
            id(head): self._spec.head_name,
            id(embedded): "embed_tokens",
        }
        for path, module in self._modules.items():
            operator = (
                special.get(id(module))
                or _linear(path, self._linears)
                or self._holders.get(path)
                or _by_kind(path, module)
            )
            if operator is not None:
                yield module, operator

    def _held(self, dense: Iterable[str]) -> dict[str, str]:
        """What holds the linears: attention, MLP, and the layer around them, which
        adds; in a mixture, the block that holds router and experts."""
        layers = {_parent(path) for path in self._attentions}
        held: dict[str, str] = {}
        for path in self._modules:
            parent = _parent(path)
            if _linear(path, dense) and parent not in layers | self._attentions:
                held[parent] = "act_fn"  # the product of gate and up
            elif path.endswith(".experts"):
                held |= {path: "experts", parent: "experts"}
                held |= {f"{parent}.{name}": "router" for name in ("gate", "router")}
        return held | dict.fromkeys(self._attentions, "attention") | dict.fromkeys(layers, "residual")


def _linear(path: str, names: Iterable[str]) -> str | None:
    """The linear at a path, by its last name or, where two would share it (GPT-2's
    "attn.c_proj" and "mlp.c_proj"), by its last two; None for what is no linear."""
    parts = path.split(".")
    return next((name for name in (".".join(parts[-2:]), parts[-1]) if name in names), None)


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _by_kind(path: str, module: Any) -> str | None:
    """The operator of a module that is told by what it is."""
    import torch

    kind = type(module).__name__
    if kind.endswith("Norm"):
        return "norms"
    if kind.endswith("RotaryEmbedding"):
        return "rope"
    if isinstance(module, torch.nn.Embedding):
        return "embed_positions"  # the tokens' own is known by then
    if path.rpartition(".")[2] in _ACTIVATIONS:
        return "act_fn"
    return None


def _hook(stack: ExitStack, module: Any, operator: str) -> None:
    """Opens a range before `module` runs and closes it after, raising or not."""
    from torch.profiler import record_function

    # A list, for a module may be entered again before it is left.
    opened: list[Any] = []

    def enter(*_: Any) -> None:
        opened.append(record_function(RANGE_PREFIX + operator))
        opened[-1].__enter__()

    def leave(*_: Any) -> None:
        if opened:
            opened.pop().__exit__(None, None, None)

    stack.callback(module.register_forward_pre_hook(enter).remove)
    stack.callback(module.register_forward_hook(leave, always_call=True).remove)


def _patch_functions(stack: ExitStack, attentions: Iterable[Any]) -> None:
    """Rotation and cache are functions: they are wrapped where their callers look them up."""
    from transformers.cache_utils import Cache

    stack.enter_context(patch.object(Cache, "update", _ranged("cache", Cache.update)))
    for file in sorted({type(attention).__module__ for attention in attentions}):
        for name in _ROTATIONS:
            if function := getattr(sys.modules[file], name, None):
                stack.enter_context(patch.object(sys.modules[file], name, _ranged("rope", function)))


def _ranged(operator: str, function: Callable[..., Any]) -> Callable[..., Any]:
    from torch.profiler import record_function

    @wraps(function)
    def ranged(*arguments: Any, **named: Any) -> Any:
        with record_function(RANGE_PREFIX + operator):
            return function(*arguments, **named)

    return ranged
