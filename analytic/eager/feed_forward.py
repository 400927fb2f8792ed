"""The MLP and the experts of an eager pass."""

from analytic.eager.writer import FP32, Writer
from analytic.layers import Mlp, Moe
from analytic.tape import Tensor, Touch

# Launches of activations that are more than one: NewGELU's eight (GPT-2).
ACTIVATION_LAUNCHES = {"gelu_new": 8}
# _grouped_mm needs sm80; below, transformers loops over the experts in Python.
GROUPED_CAPABILITY = (8, 0)


def write_mlp(writer: Writer, mlp: Mlp, x: Tensor) -> Tensor:
    """Gate and up (fused or not), activation, product, down; returns the output."""
    tape, tokens = writer.tape, writer.shape.tokens
    size = tokens * mlp.d_ff * writer.width
    first = writer.linear(mlp.up[0], x, tokens)
    if not mlp.gated:
        active = _activated(writer, mlp.activation, first, size)
        tape.free(first)
    elif len(mlp.up) == 1:  # a fused gate_up: halves of one tensor
        gate = _activated(writer, mlp.activation, first, size)
        active = tape.elementwise("act_fn", [gate, Touch(first, size)], "gated", size, freed=[gate, first])
    else:
        gate = _activated(writer, mlp.activation, first, size)
        tape.free(first)
        up = writer.linear(mlp.up[1], x, tokens)
        active = tape.elementwise("act_fn", [gate, up], "gated", size, freed=[gate, up])
    out = writer.linear(mlp.down, active, tokens)
    tape.free(active)
    return out


def _activated(writer: Writer, activation: str, x: Tensor, size: int) -> Tensor:
    launches = ACTIVATION_LAUNCHES.get(activation, 1)
    result = writer.tape.elementwise("act_fn", [Touch(x, size)], "activation", size)
    for _ in range(launches - 1):
        result = writer.tape.elementwise("act_fn", [result], "activation", size, freed=[result])
    return result


def write_experts(writer: Writer, moe: Moe, x: Tensor) -> Tensor:
    """Router, the chosen experts, and their weighted sum; returns the output."""
    tape, width, tokens = writer.tape, writer.width, writer.shape.tokens
    router = Tensor("router.weight", moe.router_params * width, kept=True)
    logits = Tensor("router logits", tokens * moe.n_experts * width)
    writer.gemm("router", (tokens, moe.n_experts, moe.d_model), x, router, [logits])
    chances = tape.elementwise("router", [logits], "routing", tokens * moe.n_experts * FP32, freed=[logits])
    top = Tensor("top k", tokens * moe.top_k * (FP32 + 8))
    tape.run("router", "reduce", [chances], top, freed=[chances])
    if writer.gpu.compute_capability >= GROUPED_CAPABILITY:
        mixed = _grouped(writer, moe, x)
    else:
        mixed = _looped(writer, moe, x)
    weighted = tape.elementwise("experts", [mixed, top], "weighted experts", mixed.bytes, freed=[mixed, top])
    out = Tensor("experts output", tokens * moe.d_model * width)
    tape.run("experts", "reduce", [weighted], out, freed=[weighted])
    return out


def _grouped(writer: Writer, moe: Moe, x: Tensor) -> Tensor:
    """_grouped_mm, transformers' default: tokens sorted by expert, each used expert
    read once. (generate() may decode by batched_mm instead, which copies the chosen
    experts' weights out for every token.)"""
    tape, width = writer.tape, writer.width
    pairs, experts = writer.shape.tokens * moe.top_k, moe.distinct(writer.shape.tokens)
    d, f = moe.d_model, moe.d_expert
    up_weight = Tensor("experts.gate_up_proj", round(experts * 2 * d * f) * width, kept=True)
    down_weight = Tensor("experts.down_proj", round(experts * d * f) * width, kept=True)
    tokens_in = tape.copied("experts", [x], "tokens by expert", pairs * d * width)
    up = Tensor("experts up", pairs * 2 * f * width)
    writer.gemm("experts", (pairs, 2 * f, d), tokens_in, up_weight, [up])
    half = up.bytes // 2
    active = _activated(writer, moe.activation, up, half)
    gated = tape.elementwise("experts", [active, Touch(up, half)], "experts gated", half, freed=[active, up])
    down = Tensor("experts down", pairs * d * width)
    writer.gemm("experts", (pairs, d, f), gated, down_weight, [down])
    tape.free(gated, tokens_in)
    return down


def _looped(writer: Writer, moe: Moe, x: Tensor) -> Tensor:
    """The Python loop over used experts, where there is no grouped product."""
    tape, width, shape = writer.tape, writer.width, writer.shape
    used = max(1, round(moe.distinct(shape.tokens)))
    share = shape.tokens * moe.top_k / used
    d, f = moe.d_model, moe.d_expert
    out = Tensor("experts down", shape.tokens * moe.top_k * d * width)
    rows = max(1, round(share))
    for _ in range(used):
        up_w = Tensor("expert.gate_up_proj", 2 * d * f * width, kept=True)
        down_w = Tensor("expert.down_proj", d * f * width, kept=True)
        tokens_in = tape.copied(
            "experts", [Touch(x, min(x.bytes, rows * d * width))], "its tokens", rows * d * width
        )
        up = Tensor("expert up", rows * 2 * f * width)
        writer.gemm("experts", (rows, 2 * f, d), tokens_in, up_w, [up])
        active = _activated(writer, moe.activation, up, up.bytes // 2)
        gated = tape.elementwise(
            "experts", [active, Touch(up, up.bytes // 2)], "expert gated", up.bytes // 2, freed=[active, up]
        )
        part = Tensor("expert down", rows * d * width)
        writer.gemm("experts", (rows, d, f), gated, down_w, [part])
        tape.run("experts", "elementwise", [part], Touch(out, part.bytes), freed=[part, gated, tokens_in])
    return out
