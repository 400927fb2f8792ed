"""How each precision stores a weight matrix, and which units multiply it."""

from dataclasses import dataclass
from math import ceil

from analytic.errors import SpecError, unknown
from analytic.layers import Linear

#: Bytes per element of the floating-point types that a model computes in.
DTYPE_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}

# bitsandbytes' block sizes: one absmax per 64 weights; with double
# quantisation the absmax itself is 8 bit, with one fp32 per 256 of them, and
# each matrix carries a 256-entry fp32 code book and an fp32 offset.
# Source: bitsandbytes.functional.quantize_4bit; sizes read off QuantState.
NF4_BLOCK = 64
NF4_NESTED_BLOCK = 256
NF4_NESTED_TABLE_BYTES = 256 * 4 + 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How weights are stored and multiplied.

    `compute` is the dtype of activations and of the matrix product; `model` is
    the dtype of the modules that are not quantised (embedding, norms, lm_head,
    which bitsandbytes leaves alone) and, by default, of the KV cache.
    """

    name: str
    compute: str
    model: str
    kv: str

    @property
    def quantised(self) -> bool:
        return self.name not in DTYPE_BYTES

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Every dtype that a machine needs units for to run it."""
        return (self.compute, self.model, self.kv, self.linear_math)

    @property
    def linear_math(self) -> str:
        """Whose peak bounds a quantised linear: LLM.int8 multiplies in int8,
        4-bit weights are dequantised and multiplied in the compute dtype."""
        return "int8" if self.name == "int8" else self.compute

    @property
    def model_bytes(self) -> int:
        """Bytes per element of a module that is not quantised."""
        return DTYPE_BYTES[self.model]

    @property
    def kv_bytes(self) -> int:
        """Bytes per element of the KV cache."""
        return DTYPE_BYTES[self.kv]

    def converts(self, linear: Linear) -> bool:
        """Whether bitsandbytes replaces this linear: nn.Linear and Conv1D modules
        alone; others, and lm_head, stay as they are."""
        return self.quantised and linear.convertible

    def math_of(self, linear: Linear) -> str:
        """The dtype whose peak bounds a linear."""
        return self.linear_math if self.converts(linear) else self.model

    def stored_bytes(self, linear: Linear) -> int:
        """Stored bytes of a linear, its bias included, which stays in the model's
        dtype. bitsandbytes quantises nn.Linear and Conv1D modules alone; others,
        and lm_head, keep their 16 bit."""
        if not linear.convertible:
            return linear.params * self.model_bytes
        return self.linear_bytes(linear.rows, linear.cols) + linear.bias_params * self.model_bytes

    def linear_bytes(self, rows: int, cols: int) -> int:
        """Stored bytes of one `rows` x `cols` linear of a decoder layer.

        NF4: half a byte a weight plus an fp32 absmax per 64 (4.5 bit). Double
        quantisation: 8-bit absmax (4.127 bit on Mistral-7B). int8: one byte
        plus an fp32 scale per row.
        """
        weights = rows * cols
        if not self.quantised:
            return weights * self.model_bytes
        if self.name == "int8":
            return weights + 4 * rows
        blocks = ceil(weights / NF4_BLOCK)
        packed = ceil(weights / 2)
        if self.name == "nf4":
            return packed + 4 * blocks
        nested = ceil(blocks / NF4_NESTED_BLOCK)
        return packed + blocks + 4 * nested + NF4_NESTED_TABLE_BYTES


QUANTISED = ("int8", "nf4", "nf4-dq")
PRECISIONS = (*DTYPE_BYTES, *QUANTISED)


def find_precision(name: str, *, compute: str | None = None, kv: str | None = None) -> Precision:
    """The precision of that name, with its default or the given dtypes.

    A quantised model computes in fp16 unless told; an unquantised one computes
    in its own dtype. Raises SpecError for an unknown name, and for a compute
    dtype that contradicts an unquantised precision.
    """
    if name not in PRECISIONS:
        raise unknown("precision", name, PRECISIONS)
    for role, dtype in (("compute dtype", compute), ("KV dtype", kv)):
        if dtype is not None and dtype not in DTYPE_BYTES:
            raise unknown(role, dtype, DTYPE_BYTES)
    if name in DTYPE_BYTES:
        if compute not in (None, name):
            raise SpecError(
                f"precision {name} computes in {name}, not in {compute}: leave --compute out, "
                f"or choose a quantised precision ({', '.join(QUANTISED)})"
            )
        return Precision(name=name, compute=name, model=name, kv=kv or name)
    compute = compute or "fp16"
    # The modules left alone stay in 16 bit even where the product is in fp32.
    model = "fp16" if compute == "fp32" else compute
    return Precision(name=name, compute=compute, model=model, kv=kv or model)
