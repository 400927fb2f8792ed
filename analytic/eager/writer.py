"""What every part of an eager pass needs: the tape, the sizes, and linears."""

from collections.abc import Sequence

from analytic.bitsandbytes import VERSION, Path, linear_path
from analytic.gpus import GpuSpec
from analytic.layers import Linear, Norm
from analytic.passes import Pass
from analytic.precision import DTYPE_BYTES, Precision
from analytic.quantised_linear import Step, steps
from analytic.tape import Gemm, Tape, Tensor, Touch

FP32 = DTYPE_BYTES["fp32"]

# The operator that all norms count as.
NORMS = "norms"

# What a quantised linear stores; its other tensors are made on the way.
STORED = ("weight", "absmax", "absmax_8bit", "absmax_nested", "scale", "bias")
# Its launches that multiply, and the kinds that are not elementwise.
PRODUCTS = ("gemm", "gemm_4bit", "gemv_4bit", "int8_gemm")
KINDS = {
    "gemm": "gemm",
    "gemm_4bit": "gemm_4bit",
    "gemv_4bit": "gemm_4bit",
    "int8_gemm": "gemm",
    "dequantise": "dequantise",
    "any": "reduce",
    "quantise_rows": "reduce",
    "copy_any_to_host": "copy",
    "copy_zero_to_device": "copy",
    "copy_output": "copy",
}


class Writer:
    """Writes kernels of one pass on one GPU. `width` is the bytes of an activation."""

    def __init__(
        self,
        shape: Pass,
        precision: Precision,
        gpu: GpuSpec,
        *,
        bitsandbytes: tuple[int, int] = VERSION,
    ) -> None:
        self.tape = Tape()
        self.shape = shape
        self.precision = precision
        self.gpu = gpu
        self.bitsandbytes = bitsandbytes
        self.width = precision.model_bytes

    def linear(self, linear: Linear, x: Tensor | Touch, tokens: int) -> Tensor:
        """One linear on `tokens` vectors; returns its output."""
        out = Tensor(f"{linear.name} output", tokens * linear.rows * self.width)
        self.linear_into(linear, x, tokens, [out])
        return out

    def linear_into(self, linear: Linear, x: Tensor | Touch, tokens: int, outs: Sequence[Tensor]) -> None:
        """One linear whose output is, together, `outs`: a fused one's parts."""
        if self.precision.converts(linear):
            self._quantised(linear, x, tokens, outs)
            return
        weight = Tensor(f"{linear.name}.weight", linear.params * self.width, kept=True)
        self.gemm(linear.name, (tokens, linear.rows, linear.cols), x, weight, outs)

    def gemm(
        self,
        operator: str,
        sizes: tuple[int, int, int],
        x: Tensor | Touch,
        weight: Tensor,
        outs: Sequence[Tensor],
    ) -> None:
        """`sizes` are (m, n, k): m vectors of k times a weight of n rows."""
        m, n, k = sizes
        gemm = Gemm(m=m, n=n, k=k, count=1, math=self.precision.model)
        self.tape.run(operator, "gemm", [x, weight], *outs, gemm=gemm)

    def _quantised(self, linear: Linear, x: Tensor | Touch, tokens: int, outs: Sequence[Tensor]) -> None:
        """The kernels that bitsandbytes launches; temporary tensors die with the linear."""
        listed = steps(
            self.precision,
            None
            if self.precision.name == "int8"
            else four_bit_path(linear, tokens, self.precision, self.gpu, bitsandbytes=self.bitsandbytes),
            rows=linear.rows,
            cols=linear.cols,
            tokens=tokens,
            bias=linear.bias,
        )
        # A name stands for one tensor, but for those that a cast makes anew.
        tensors: dict[tuple[str, int], Tensor] = {}
        for step in listed:
            reads = [
                x if n == "input" and s == x.bytes else self._named(tensors, linear, n, s)
                for n, s in step.reads
            ]
            last = step is listed[-1]
            writes = outs if last else [self._named(tensors, linear, n, s) for n, s in step.writes]
            gemm = self._product(linear, tokens, step)
            self.tape.run(linear.name, KINDS.get(step.kind, "elementwise"), reads, *writes, gemm=gemm)
        self.tape.free(*tensors.values())

    def _named(self, tensors: dict[tuple[str, int], Tensor], linear: Linear, name: str, size: int) -> Tensor:
        key = (name, size)
        if key not in tensors:
            tensors[key] = Tensor(f"{linear.name} {name}", size, kept=name in STORED)
        return tensors[key]

    def _product(self, linear: Linear, tokens: int, step: Step) -> Gemm | None:
        if step.kind not in PRODUCTS:
            return None
        math = "int8" if step.kind == "int8_gemm" else self.precision.compute
        return Gemm(m=tokens, n=linear.rows, k=linear.cols, count=1, math=math)

    def norm(self, norm: Norm, x: Tensor, tokens: int) -> Tensor:
        """A norm's kernels; returns its output. `x` stays."""
        vectors = tokens * norm.vectors
        size, wide = vectors * norm.width * self.width, vectors * norm.width * FP32
        weight = Tensor(f"{norm.name}.weight", norm.param_count * self.width, kept=True)
        out = Tensor(f"{norm.name} output", size)
        tape = self.tape
        if norm.kind == "layer":
            tape.run(NORMS, "reduce", [x, weight], out)
            return out
        upcast = x
        if self.width != FP32:
            upcast = tape.elementwise(NORMS, [x], f"{norm.name} in fp32", wide)
        squares = tape.elementwise(NORMS, [upcast], f"{norm.name} squares", wide)
        mean = Tensor(f"{norm.name} mean", vectors * FP32)
        tape.run(NORMS, "reduce", [squares], mean, freed=[squares])
        mean_eps = tape.elementwise(NORMS, [mean], f"{norm.name} mean + eps", vectors * FP32, freed=[mean])
        scale = tape.elementwise(NORMS, [mean_eps], f"{norm.name} scale", vectors * FP32, freed=[mean_eps])
        temporary = [scale] if upcast is x else [scale, upcast]
        scaled = tape.elementwise(NORMS, [upcast, scale], f"{norm.name} scaled", wide, freed=temporary)
        if norm.kind == "gemma":
            return self._gemma_weight(norm, weight, scaled, out)
        if self.width == FP32:
            tape.run(NORMS, "elementwise", [weight, scaled], out, freed=[scaled])
            return out
        rounded = tape.elementwise(NORMS, [scaled], f"{norm.name} rounded", size, freed=[scaled])
        tape.run(NORMS, "elementwise", [weight, rounded], out, freed=[rounded])
        return out

    def _gemma_weight(self, norm: Norm, weight: Tensor, scaled: Tensor, out: Tensor) -> Tensor:
        """Gemma multiplies by weight + 1 in fp32 and rounds last."""
        tape, vector = self.tape, norm.width * FP32
        upcast = tape.elementwise(NORMS, [weight], f"{norm.name} weight in fp32", vector)
        one = tape.elementwise(NORMS, [upcast], f"{norm.name} weight + 1", vector, freed=[upcast])
        product = tape.elementwise(
            NORMS, [scaled, one], f"{norm.name} product", scaled.bytes, freed=[scaled, one]
        )
        if self.width == FP32:
            return product
        tape.run(NORMS, "elementwise", [product], out, freed=[product])
        return out


def four_bit_path(
    linear: Linear, tokens: int, precision: Precision, gpu: GpuSpec, *, bitsandbytes: tuple[int, int]
) -> Path:
    """How bitsandbytes multiplies `tokens` vectors with a 4-bit linear on `gpu`."""
    return linear_path(
        compute_capability=gpu.compute_capability,
        sm_count=gpu.sm_count,
        tokens=tokens,
        rows=linear.rows,
        cols=linear.cols,
        dtype=precision.compute,
        version=bitsandbytes,
    )
