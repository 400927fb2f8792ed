"""The launches of one linear that bitsandbytes quantised, and what each moves.

Sources: bitsandbytes 0.50.2, backends/cuda/ops.py, autograd/_functions.py and
nn/modules.py, seen so on an H100 by torch's profiler; 0.49.2 for older steps.
"""

from dataclasses import dataclass
from math import ceil

from analytic.bitsandbytes import FUSED_GEMM, Path, check_sizes
from analytic.errors import SpecError
from analytic.precision import DTYPE_BYTES, NF4_BLOCK, NF4_NESTED_BLOCK, NF4_NESTED_TABLE_BYTES, Precision

Tensors = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One launch: the tensors that it reads and writes, each once, with their bytes.

    Scalars are left out, and what a kernel reads again while it is cached.
    `kernel` is False for a copy between host and device; after a step that
    `syncs` the host waits until the device has done all its work.
    """

    kind: str
    reads: Tensors
    writes: Tensors
    kernel: bool = True
    syncs: bool = False

    @property
    def bytes(self) -> int:
        return sum(size for _, size in (*self.reads, *self.writes))


def steps(
    precision: Precision,
    path: Path | None,
    *,
    rows: int,
    cols: int,
    tokens: int,
    bias: bool = False,
) -> tuple[Step, ...]:
    """What one quantised linear launches, in order; `path` is None for int8.

    Activations come and go in the model's dtype. Seen so on an H100 with 0.50.2
    and torch 2.11, by torch's profiler. Not counted: what a library's GEMM adds
    (split-K, memset). Raises SpecError for a precision that is not quantised,
    for 4 bit without a path, and for a size below 1.
    """
    check_sizes(rows=rows, cols=cols, tokens=tokens)
    if precision.name == "int8":
        return _int8_steps(precision, rows, cols, tokens, bias=bias)
    if not precision.quantised or path is None:
        raise SpecError(f"precision {precision.name} with path {path!r} is no linear of bitsandbytes")
    width, model = DTYPE_BYTES[precision.compute], precision.model_bytes
    x, y = tokens * cols, tokens * rows
    output = (("output", y * width),)
    added = (("bias", rows * width),) if bias else ()
    old = path.version < FUSED_GEMM
    packed = ("weight", ceil(rows * cols / 2))
    nested = precision.name == "nf4-dq"
    absmax = ("absmax", 4 * ceil(rows * cols / NF4_BLOCK))
    done: list[Step] = []
    if precision.compute != precision.model:
        done.append(_cast("input", x, model, width))
    scales: Tensors = (absmax,)
    if nested and path.fused and not old:
        scales = _nested(rows, cols)
    elif nested:
        done.append(Step(kind="dequantise_absmax", reads=_nested(rows, cols), writes=scales))
        done.append(Step(kind="add_offset", reads=scales, writes=scales))
    product: Tensors = (packed, *scales)
    if not path.fused:
        # Up to 0.49 into the dtype that the weights were quantised from.
        first = model if old else width
        unpacked = ("unpacked", rows * cols * first)
        done.append(Step(kind="dequantise", reads=product, writes=(unpacked,)))
        if first != width:
            done.append(_cast("unpacked", rows * cols, first, width))
        product = (("unpacked", rows * cols * width),)
    kind = "gemm" if not path.fused else "gemv_4bit" if old else "gemm_4bit"
    apart = added if kind == "gemv_4bit" else ()
    reads = (*product, ("input", x * width), *(() if apart else added))
    done.append(Step(kind=kind, reads=reads, writes=output))
    if apart:
        done.append(Step(kind="add_bias", reads=(*output, *apart), writes=output))
    if precision.compute != precision.model:
        done.append(_cast("output", y, width, model))
    return tuple(done)


def _nested(rows: int, cols: int) -> Tensors:
    """The absmax as double quantisation stores it, with code book and offset."""
    blocks = ceil(rows * cols / NF4_BLOCK)
    outer = 4 * ceil(blocks / NF4_NESTED_BLOCK) + NF4_NESTED_TABLE_BYTES
    return (("absmax_8bit", blocks), ("absmax_nested", outer))


def _cast(name: str, count: int, old: int, new: int) -> Step:
    return Step(kind=f"cast_{name}", reads=((name, count * old),), writes=((name, count * new),))


def _int8_steps(precision: Precision, rows: int, cols: int, tokens: int, *, bias: bool) -> tuple[Step, ...]:
    """LLM.int8() with transformers' threshold of 6.0 where no activation reaches it;
    one that does adds the product of its column in fp16.

    All is in fp16 but input, bias and output, which have the model's dtype.
    """
    x, y, model = tokens * cols, tokens * rows, precision.model_bytes
    half, quantised, sums = ("input", 2 * x), ("int8_input", x), ("int32_output", 4 * y)
    output, row_stats, scale = ("output", 2 * y), ("row_stats", 4 * tokens), ("scale", 4 * rows)
    vector = ("bias", rows * model)
    fp16 = precision.model == "fp16"
    done = [] if fp16 else [_cast("input", x, model, 2)]
    done += [
        Step(kind="abs", reads=(half,), writes=(("magnitude", 2 * x),)),
        Step(kind="compare", reads=(("magnitude", 2 * x),), writes=(("outliers", x),)),
        Step(kind="any", reads=(("outliers", x),), writes=()),
        Step(kind="copy_any_to_host", reads=(), writes=(), kernel=False, syncs=True),
        Step(kind="quantise_rows", reads=(half,), writes=(quantised, row_stats)),
    ]
    if tokens > 1:
        # The zero for the outlier columns comes from the host, though there are none.
        done.append(Step(kind="copy_zero_to_device", reads=(), writes=(), kernel=False, syncs=True))
    if cols % 4 == 0:
        done.append(Step(kind="int8_gemm", reads=(("weight", rows * cols), quantised), writes=(sums,)))
    else:
        # cuBLASLt has no int8 product for such rows: it is done in fp32.
        wide = (("unpacked", 4 * rows * cols), ("fp32_input", 4 * x))
        product = ("fp32_output", 4 * y)
        done += [
            Step(kind="cast_input", reads=(quantised,), writes=wide[1:]),
            Step(kind="cast_weight", reads=(("weight", rows * cols),), writes=wide[:1]),
            Step(kind="gemm", reads=wide, writes=(product,)),
            Step(kind="cast_output", reads=(product,), writes=(sums,)),
            Step(kind="copy_output", reads=(sums,), writes=(sums,), kernel=False),
        ]
    inside = (vector,) if bias and fp16 else ()
    done.append(Step(kind="dequantise_output", reads=(sums, row_stats, scale, *inside), writes=(output,)))
    if bias and not fp16:
        done.append(Step(kind="add_bias", reads=(output, vector), writes=(output,)))
    if not fp16:
        done.append(_cast("output", y, 2, model))
    return tuple(done)
