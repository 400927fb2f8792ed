"""Softmax(q k / sqrt(d)) v, by each of the backends."""

from dataclasses import dataclass

from analytic.attention import Resolution
from analytic.eager.writer import FP32, Writer
from analytic.layers import Attention
from analytic.tape import Gemm, Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Queries, and the keys and values of all that they attend to."""

    writer: Writer
    attention: Attention
    resolution: Resolution
    q: Tensor
    keys: Tensor
    values: Tensor

    def write(self) -> Tensor:
        """The kernels of the resolved backend; returns their output, [tokens, heads x d_v]."""
        if self.resolution.backend == "eager":
            return self._eager()
        if self.resolution.backend == "math":
            return self._math()
        return self._fused()

    @property
    def _elements(self) -> int:
        """Of the score matrix: queries x keys of every head."""
        shape = self.writer.shape
        attended = shape.attended(self.attention)
        return shape.batch * self.attention.n_heads * shape.new_tokens * attended

    def _output(self, name: str, width: int) -> Tensor:
        attention = self.attention
        return Tensor(name, self.writer.shape.tokens * attention.n_heads * attention.d_v * width)

    def _gemm(self, depth: int, math: str) -> Gemm:
        """Scores of every head over `depth` dimensions."""
        shape = self.writer.shape
        return Gemm(
            m=shape.new_tokens,
            n=shape.attended(self.attention),
            k=depth,
            count=shape.batch * self.attention.n_heads,
            math=math,
        )

    def _fused(self) -> Tensor:
        """Flash or memory-efficient attention: the scores stay on the chip."""
        writer, attention, tape = self.writer, self.attention, self.writer.tape
        out = self._output("attention output", writer.width)
        gemm = self._gemm(attention.d_qk + attention.d_v, writer.precision.model)
        tape.run("attention", "attention", [self.q, self.keys, self.values], out, gemm=gemm)
        if writer.shape.new_tokens == 1 or not 0 < attention.rotary < attention.d_qk:
            return out
        # Its queries were joined by torch.cat, head by head, and so is the output:
        # transpose(1, 2).contiguous() copies it.
        by_token = tape.copied("attention", [out], "attention output by token", out.bytes)
        tape.free(out)
        return by_token

    def _eager(self) -> Tensor:
        """eager_attention_forward: every step writes the score matrix again."""
        writer, attention, tape = self.writer, self.attention, self.writer.tape
        width, dtype = writer.width, writer.precision.model
        size = self._elements * width
        scores = Tensor("scores", size)
        gemm = self._gemm(attention.d_qk, dtype)
        tape.run("attention", "gemm", [self.q, self.keys], scores, gemm=gemm)
        passes = ["scaled scores"]
        if attention.softcap:
            passes += ["scores / cap", "tanh of scores", "capped scores"]
        if self.resolution.masked or writer.shape.new_tokens > 1:
            passes.append("masked scores")
        for name in passes:
            scores = tape.elementwise("attention", [scores], name, size, freed=[scores])
        wide = self._elements * FP32
        chances = tape.elementwise("attention", [scores], "probabilities in fp32", wide, freed=[scores])
        if width != FP32:
            chances = tape.elementwise("attention", [chances], "probabilities", size, freed=[chances])
        mixed, out = self._output("mixed values", width), self._output("attention output", width)
        gemm = self._gemm(attention.d_v, dtype)
        tape.run("attention", "gemm", [chances, self.values], mixed, gemm=gemm, freed=[chances])
        tape.run("attention", "copy", [mixed], out, freed=[mixed])
        return out

    def _math(self) -> Tensor:
        """SDPA's math kernel (_scaled_dot_product_attention_math): 16-bit inputs go to
        fp32, q and k are scaled, the scores are written, masked and normalised."""
        writer, attention, tape = self.writer, self.attention, self.writer.tape
        inputs = [self._upcast(tensor) for tensor in (self.q, self.keys, self.values)]
        scaled = [tape.elementwise("attention", [t], f"scaled {t.name}", t.bytes) for t in inputs[:2]]
        size = self._elements * FP32
        scores = Tensor("scores", size)
        tape.run("attention", "gemm", scaled, scores, gemm=self._gemm(attention.d_qk, "fp32"), freed=scaled)
        if writer.shape.new_tokens > 1:
            scores = tape.elementwise("attention", [scores], "masked scores", size, freed=[scores])
        chances = tape.elementwise("attention", [scores], "probabilities", size, freed=[scores])
        mixed, out = self._output("mixed values", FP32), self._output("attention output", writer.width)
        gemm = self._gemm(attention.d_v, "fp32")
        tape.run("attention", "gemm", [chances, inputs[2]], mixed, gemm=gemm, freed=[chances])
        made = [t for t in inputs if t not in (self.q, self.keys, self.values)]
        tape.run("attention", "copy", [mixed], out, freed=[mixed, *made])
        return out

    def _upcast(self, tensor: Tensor) -> Tensor:
        width = self.writer.width
        if width == FP32:
            return tensor
        size = tensor.bytes // width * FP32
        return self.writer.tape.elementwise("attention", [tensor], f"{tensor.name} in fp32", size)
