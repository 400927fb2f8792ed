"""A whole eager pass: embedding, layers, final norm, lm_head."""

from collections.abc import Mapping
from functools import lru_cache

from analytic.attention import Resolution, resolve
from analytic.bitsandbytes import VERSION
from analytic.eager.attention import write_attention
from analytic.eager.feed_forward import write_experts, write_mlp
from analytic.eager.writer import FP32, Writer
from analytic.errors import SpecError
from analytic.gpus import GpuSpec
from analytic.layers import Attention, Layer, Norm
from analytic.models import ModelSpec
from analytic.passes import Pass
from analytic.precision import Precision
from analytic.tape import Recording, Tensor, Touch

# After two layers the cache has forgotten what came before: the third is like all others.
DEPTH = 3

# Launches that prepare position ids: an arange and an addition.
POSITION_LAUNCHES = 2


def resolutions(
    model: ModelSpec, shape: Pass, precision: Precision, gpu: GpuSpec, attention: str
) -> Mapping[Attention, Resolution]:
    """The backend of each kind of attention in the model."""
    kinds = dict.fromkeys(stack.layer.attention for stack in model.stacks)
    return {
        kind: resolve(
            attention,
            kind,
            shape,
            compute_capability=gpu.compute_capability,
            dtype=precision.model,
        )
        for kind in kinds
    }


@lru_cache(maxsize=256)  # one for all that ask: bounds, memory, time
def eager_tape(
    model: ModelSpec,
    shape: Pass,
    precision: Precision,
    gpu: GpuSpec,
    *,
    attention: str = "auto",
    bitsandbytes: tuple[int, int] = VERSION,
    depth: int = DEPTH,
) -> Recording:
    """The kernels of one eager pass on `gpu`, in order. Of each kind of layer up to
    `depth` are written out; the last stands for those that follow.

    Raises SpecError where `attention` cannot run, `gpu` has no units for a dtype, or
    is none of NVIDIA's.
    """
    if not gpu.eager_modelled:
        raise SpecError(f"{gpu.key} ({gpu.arch}): eager execution is modelled for NVIDIA GPUs only")
    for dtype in precision.dtypes:
        gpu.require(dtype)
    backends = resolutions(model, shape, precision, gpu, attention)
    writer = Writer(shape, precision, gpu, bitsandbytes=bitsandbytes)
    stream = _embedded(writer, model)
    writer.tape.hold(stream)  # as inputs_embeds
    rotary = _rotary(writer, model)
    for stack in model.stacks:
        written = min(stack.count, depth)
        for i in range(written):
            writer.tape.times = stack.count - written + 1 if i == written - 1 else 1
            backend = backends[stack.layer.attention]
            stream = _layer(writer, stack.layer, stream, backend, rotary)
    writer.tape.times = 1
    _logits(writer, model, stream)
    return writer.tape.recording()


def _embedded(writer: Writer, model: ModelSpec) -> Tensor:
    tape, tokens, width = writer.tape, writer.shape.tokens, writer.width
    rows = min(tokens, model.vocab_size)
    table = Tensor("embedding rows", rows * model.d_embed * width, kept=True)
    size = tokens * model.d_embed * width
    stream = Tensor("embedded tokens", size)
    tape.run("embed_tokens", "gather", [table], stream)
    for _ in range(POSITION_LAUNCHES):
        tape.run("embed_tokens", "tiny", [], Tensor("position ids", writer.shape.new_tokens * 8))
    if model.projections:
        narrow, stream = stream, writer.linear(model.projections[0], stream, tokens)
        tape.free(narrow)
    if model.position_rows:
        used = min(writer.shape.new_tokens, model.position_rows) * model.d_model * width
        positions = Tensor("positions", used)
        tape.run("embed_positions", "gather", [Tensor("position rows", used, kept=True)], positions)
        stream = tape.elementwise(
            "embed_positions", [stream, positions], "stream", stream.bytes, freed=[stream, positions]
        )
    if model.model_type == "gemma2":  # embeddings are multiplied by sqrt(d_model)
        stream = tape.elementwise("embed_tokens", [stream], "stream", size, freed=[stream])
    return stream


def _rotary(writer: Writer, model: ModelSpec) -> Tensor | None:
    """Cosines and sines of this pass's positions, in nine launches for all layers."""
    dims = max(stack.layer.attention.rotary for stack in model.stacks)
    if not dims:
        return None
    tape, tokens = writer.tape, writer.shape.new_tokens
    wide = tokens * dims * FP32
    angles = tape.elementwise("rope", [], "positions in fp32", tokens * FP32)
    product = tape.elementwise("rope", [angles], "angles", wide // 2, freed=[angles])
    both = tape.copied("rope", [product], "angles twice", wide)
    tape.free(product)
    rotary = Tensor("cosines and sines", 2 * tokens * dims * writer.width, kept=True)
    for _ in range(2):  # cosine and sine: function, scaling, rounding
        value = tape.elementwise("rope", [both], "function", wide)
        scaled = tape.elementwise("rope", [value], "scaled", wide, freed=[value])
        tape.run("rope", "elementwise", [scaled], Touch(rotary, rotary.bytes // 2), freed=[scaled])
    tape.free(both)
    return rotary


def _layer(
    writer: Writer, layer: Layer, stream: Tensor, resolution: Resolution, rotary: Tensor | None
) -> Tensor:
    if layer.parallel:
        return _parallel_layer(writer, layer, stream, resolution, rotary)
    tape, tokens = writer.tape, writer.shape.tokens
    before = [norm for norm in layer.norms if not _after(norm)]
    after = {norm.name: norm for norm in layer.norms if _after(norm)}
    blocks = (
        (before[0], after.get("post_attention_layernorm")),
        (before[1], after.get("post_feedforward_layernorm")),
    )
    given = stream  # the caller holds a layer's input until the layer returns
    for i, (norm, post) in enumerate(blocks):
        normed = writer.norm(norm, stream, tokens)
        if i == 0:
            out = write_attention(writer, layer.attention, resolution, normed, rotary)
        else:
            out = _fed_forward(writer, layer, normed)
        tape.free(normed)
        if post:
            raw, out = out, writer.norm(post, out, tokens)
            tape.free(raw)
        last = [] if stream is given else [stream]
        stream = tape.elementwise("residual", [stream, out], "stream", stream.bytes, freed=[out, *last])
    tape.free(given)
    return stream


def _after(norm: Norm) -> bool:
    """Gemma 2 norms each block's output as well; elsewhere a "post" norm is the next block's."""
    return norm.kind == "gemma" and norm.name.startswith("post_")


def _parallel_layer(
    writer: Writer, layer: Layer, stream: Tensor, resolution: Resolution, rotary: Tensor | None
) -> Tensor:
    """Attention and MLP both read the layer's input; two additions join them."""
    tape, tokens = writer.tape, writer.shape.tokens
    normed = writer.norm(layer.norms[0], stream, tokens)
    attended = write_attention(writer, layer.attention, resolution, normed, rotary)
    if len(layer.norms) > 1:
        tape.free(normed)
        normed = writer.norm(layer.norms[1], stream, tokens)
    fed = _fed_forward(writer, layer, normed)
    tape.free(normed)
    both = tape.elementwise("residual", [fed, attended], "both blocks", fed.bytes, freed=[fed, attended])
    return tape.elementwise("residual", [both, stream], "stream", stream.bytes, freed=[both, stream])


def _fed_forward(writer: Writer, layer: Layer, x: Tensor) -> Tensor:
    if layer.moe is None:
        assert layer.mlp is not None  # noqa: S101 - Layer checks it
        return write_mlp(writer, layer.mlp, x)
    out = write_experts(writer, layer.moe, x)
    if layer.moe.shared is None:
        return out
    shared = write_mlp(writer, layer.moe.shared, x)
    return writer.tape.elementwise(
        "experts", [out, shared], "experts and shared", out.bytes, freed=[out, shared]
    )


def _logits(writer: Writer, model: ModelSpec, stream: Tensor) -> None:
    tape, shape, width = writer.tape, writer.shape, writer.width
    if model.final_norm:
        raw, stream = stream, writer.norm(model.final_norm, stream, shape.tokens)
        tape.free(raw)
    rows = shape.logit_rows
    if len(model.projections) > 1:
        raw, stream = stream, writer.linear(model.projections[1], stream, shape.tokens)
        tape.free(raw)
    head = Tensor(f"{model.head.name}.weight", model.head.params * width, kept=True)
    logits = Tensor("logits", rows * model.vocab_size * width)
    kept = Touch(stream, rows * model.d_embed * width)
    writer.gemm(model.head.name, (rows, model.vocab_size, model.d_embed), kept, head, [logits])
    if model.logit_softcap:
        for name in ("logits / cap", "tanh of logits", "capped logits"):
            logits = tape.elementwise(model.head.name, [logits], name, logits.bytes, freed=[logits])
