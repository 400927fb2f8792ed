"""Attention of an eager pass: projections, rotary embedding, cache, scores."""

from analytic.attention import Resolution
from analytic.eager.scores import Scores
from analytic.eager.writer import FP32, Writer
from analytic.layers import Attention
from analytic.tape import Tensor, Touch

# The L2 fetches sectors of 32 bytes.
SECTOR_BYTES = 32


def write_attention(
    writer: Writer, attention: Attention, resolution: Resolution, x: Tensor, rotary: Tensor | None
) -> Tensor:
    """The kernels from the normed input to the output projection; returns its
    output. `rotary` holds this pass's cosines and sines."""
    if attention.latent:
        q, keys, values = _latent(writer, attention, x, rotary)
    else:
        q, k, v = _projected(writer, attention, x)
        if rotary and attention.rotary:
            q = _rotated(writer, attention, q, attention.n_heads, rotary)
            k = _rotated(writer, attention, k, attention.cached_heads, rotary)
        keys = _cached(writer, attention, "keys", k, attention.cached_heads * attention.d_qk)
        values = _cached(writer, attention, "values", v, attention.cached_heads * attention.d_v)
    mixed = _scored(writer, attention, resolution, q, (keys, values))
    out = writer.linear(attention.output, mixed, writer.shape.tokens)
    writer.tape.free(q, mixed)
    return out


def _projected(writer: Writer, attention: Attention, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v, with norms on their heads where there are."""
    tokens = writer.shape.tokens
    if len(attention.inputs) == 1:
        q, k, v = _fused(writer, attention, x)
    else:
        q, k, v = (writer.linear(linear, x, tokens) for linear in attention.inputs)
    if attention.norms:
        q_norm, k_norm = attention.norms
        normed_q, normed_k = writer.norm(q_norm, q, tokens), writer.norm(k_norm, k, tokens)
        writer.tape.free(q, k)
        q, k = normed_q, normed_k
    return q, k, v


def _fused(writer: Writer, attention: Attention, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One linear whose output is split into views, which cost nothing. Falcon's new
    generation copies its keys and values out to all heads."""
    tokens, width = writer.shape.tokens, writer.width
    q = Tensor("query", tokens * attention.n_heads * attention.d_qk * width)
    k = Tensor("key", tokens * attention.n_kv_heads * attention.d_qk * width)
    v = Tensor("value", tokens * attention.n_kv_heads * attention.d_v * width)
    writer.linear_into(attention.inputs[0], x, tokens, [q, k, v])
    if attention.cached_heads == attention.n_kv_heads:
        return q, k, v
    ratio = attention.cached_heads // attention.n_kv_heads
    wide_k = writer.tape.copied("cache", [k], "key for all heads", k.bytes * ratio)
    wide_v = writer.tape.copied("cache", [v], "value for all heads", v.bytes * ratio)
    writer.tape.free(k, v)
    return q, wide_k, wide_v


def _rotated(writer: Writer, attention: Attention, x: Tensor, heads: int, rotary: Tensor) -> Tensor:
    """apply_rotary_pos_emb: x cos + rotate_half(x) sin in five kernels, and a sixth
    that joins the dimensions left alone."""
    tape, name = writer.tape, x.name
    size = writer.shape.tokens * heads * attention.rotary * writer.width
    half = size // 2
    part, half_part = (
        _slice(writer, x, attention.rotary, size),
        _slice(writer, x, attention.rotary // 2, half),
    )
    cos = tape.elementwise("rope", [part, rotary], f"{name} cos", size)
    negated = tape.elementwise("rope", [half_part], f"{name} negated half", half)
    turned = Tensor(f"{name} rotated half", size)
    tape.run("rope", "copy", [negated, half_part], turned, freed=[negated])
    sin = tape.elementwise("rope", [turned, rotary], f"{name} sin", size, freed=[turned])
    out = tape.elementwise("rope", [cos, sin], f"rotated {name}", size, freed=[cos, sin])
    if size == x.bytes:
        tape.free(x)
        return out
    joined = Tensor(f"{name} with its rest", x.bytes)
    rest = _slice(writer, x, attention.d_qk - attention.rotary, x.bytes - size)
    tape.run("rope", "copy", [out, rest], joined, freed=[out, x])
    return joined


def _slice(writer: Writer, x: Tensor, elements: int, size: int) -> Touch:
    """`size` bytes of a tensor in rows of `elements`: a row that ends within a sector
    fetches the whole of it."""
    row = elements * writer.width
    fetched = size * (row + SECTOR_BYTES) // row if row % SECTOR_BYTES else size
    return Touch(x, min(x.bytes, fetched))


def _cached(writer: Writer, attention: Attention, name: str, new: Tensor, elements: int) -> Tensor:
    """DynamicCache.update: torch.cat copies the whole cache of the layer. `elements`
    per token; returns the copy, which is the cache from then on."""
    shape, width = writer.shape, writer.precision.kv_bytes
    past = shape.batch * attention.cached_tokens(shape.context_len) * elements * width
    full = Tensor(f"cached {name}", past + shape.tokens * elements * width, cache=True)
    old = [Tensor(f"cached {name} before", past, cache=True)] if past else []
    # torch.cat streams what is contiguous; views (of a fused output, or of a
    # transposed one) go through its strided kernel.
    contiguous = shape.new_tokens == 1 and len(attention.inputs) > 1
    writer.tape.run("cache", "stream" if contiguous else "copy", [*old, new], full, freed=[*old, new])
    return full


def _scored(
    writer: Writer, attention: Attention, resolution: Resolution, q: Tensor, cached: tuple[Tensor, Tensor]
) -> Tensor:
    """The scores' kernels, after K and V are copied out to all heads where they must be."""
    tape, repeated = writer.tape, cached
    copies = resolution.repeats and attention.cached_heads < attention.n_heads
    if copies:
        ratio = attention.n_heads // attention.cached_heads
        keys, values = cached
        repeated = (
            tape.copied("attention", [keys], f"repeated {keys.name}", keys.bytes * ratio),
            tape.copied("attention", [values], f"repeated {values.name}", values.bytes * ratio),
        )
    keys, values = repeated
    out = Scores(
        writer=writer, attention=attention, resolution=resolution, q=q, keys=keys, values=values
    ).write()
    if copies or attention.latent:  # made for this pass alone
        tape.free(keys, values)
    return out


def _latent(
    writer: Writer, attention: Attention, x: Tensor, rotary: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """DeepSeek-V2's MLA as transformers runs it: the latent is cached, then all of it
    is expanded to keys and values of every head."""
    latent = attention.latent
    assert latent is not None  # noqa: S101 - the caller's branch
    tape, shape, width = writer.tape, writer.shape, writer.width
    tokens, heads = shape.tokens, attention.n_heads
    norms = {norm.name: norm for norm in attention.norms}
    down = x
    for linear in attention.inputs[:-1]:
        up = writer.linear(linear, down, tokens)
        if down is not x:
            tape.free(down)
        down = up
        if linear.name == "q_a_proj":
            down = writer.norm(norms["q_a_layernorm"], up, tokens)
            tape.free(up)
    q = down
    compressed = writer.linear(attention.inputs[-1], x, tokens)
    normed = writer.norm(norms["kv_a_layernorm"], compressed, tokens)
    rope_width = tokens * latent.rope * width
    turned_k = Tensor("rotated key", rope_width)
    turned_q = Tensor("rotated query part", tokens * heads * latent.rope * width)
    for source, turned in ((q, turned_q), (compressed, turned_k)):
        wide = turned.bytes // width * FP32
        upcast = tape.elementwise("rope", [Touch(source, turned.bytes)], "rope part in fp32", wide)
        product = tape.elementwise(
            "rope", [upcast, *([rotary] if rotary else [])], "rope product", wide, freed=[upcast]
        )
        tape.run("rope", "elementwise", [product], turned, freed=[product])
    full = _cached(writer, attention, "latent", normed, latent.rank)
    full_rope = _cached(writer, attention, "rope keys", turned_k, latent.rope)
    query = Tensor("query", q.bytes)
    tape.run("rope", "copy", [Touch(q, q.bytes - turned_q.bytes), turned_q], query)
    tape.free(q, turned_q, compressed)
    kept = shape.batch * shape.attended(attention)
    expanded = writer.linear(latent.expand, full, kept)
    keys = Tensor("expanded keys", kept * heads * attention.d_qk * width)
    nope = kept * heads * latent.nope * width
    tape.run("cache", "copy", [Touch(expanded, nope)], Touch(keys, nope))
    tape.run("cache", "copy", [full_rope], Touch(keys, keys.bytes - nope))
    values = expanded  # a view of the expansion's other part
    return query, keys, values
