"""Which attention implementation a pass really runs, and why.

`auto` is what transformers 5.23 chooses by default (SDPA, which torch dispatches
further) on a given GPU generation. Sources, read in the installed files:
transformers/integrations/sdpa_attention.py (use_gqa_in_sdpa), masking_utils.py
(_ignore_causal_mask_sdpa), torch 2.11's sdp_utils. 5.17 differs in two places: it
copies K and V out for a single query with a mask too, and runs Gemma 2 in SDPA,
without its cap.
"""

from dataclasses import dataclass

from analytic.errors import SpecError, unknown
from analytic.gpu_spec import FLASH_CAPABILITY
from analytic.layers import Attention
from analytic.passes import Pass

#: eager: transformers' own matmuls. math, efficient and flash: torch's SDPA kernels.
BACKENDS = ("eager", "math", "efficient", "flash")
CHOICES = (*BACKENDS, "auto")

# The largest head that SDPA's flash kernels and enable_gqa take.
FLASH_HEAD = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The backend of one kind of layer in one pass, and the reason in words.

    `masked` says that an explicit mask goes along; `repeats` that keys and
    values are copied out to all query heads first.
    """

    backend: str
    reason: str
    masked: bool
    repeats: bool

    @property
    def materialised(self) -> bool:
        """Whether the score matrix is written to memory."""
        return self.backend in ("eager", "math")


def resolve(
    requested: str,
    attention: Attention,
    shape: Pass,
    *,
    compute_capability: tuple[int, int],
    dtype: str,
) -> Resolution:
    """The backend that `requested` ("auto" or one by name) leads to.

    Raises SpecError for an unknown name, and for one that cannot run this
    attention: flash attention below sm80, in fp32, or with capped scores.
    """
    if requested not in CHOICES:
        raise unknown("attention", requested, CHOICES)
    masked = _masked(attention, shape)
    backend, reason = (requested, "as asked for")
    if requested == "auto":
        backend, reason = _automatic(attention, masked, compute_capability, dtype)
    else:
        _require(requested, attention, compute_capability, dtype, masked=masked)
    return Resolution(
        backend=backend,
        reason=reason,
        masked=masked,
        repeats=_repeats(backend, attention, shape, masked=masked),
    )


def _masked(attention: Attention, shape: Pass) -> bool:
    """Transformers leaves the mask out where is_causal says it all: one query, or as
    many as keys, and no window that has begun to bite."""
    if attention.alibi:
        return True
    kv = shape.attended(attention)
    plain = shape.new_tokens in {1, kv}
    within = attention.window is None or kv < attention.window
    return not (plain and within)


def _repeats(backend: str, attention: Attention, shape: Pass, *, masked: bool) -> bool:
    """Whether K and V are copied out to all heads. SDPA's flash and math kernels take
    fewer by enable_gqa, which transformers asks for without a mask; a single query
    is folded into the heads instead."""
    if attention.cached_heads == attention.n_heads:
        return False
    if backend in ("eager", "math"):
        return True
    asked = not masked and _one_head_size(attention) and backend == "flash"
    return not asked and shape.new_tokens > 1


def _one_head_size(attention: Attention) -> bool:
    return attention.d_qk == attention.d_v <= FLASH_HEAD


def _automatic(
    attention: Attention,
    masked: bool,  # noqa: FBT001 - one fact of four
    capability: tuple[int, int],
    dtype: str,
) -> tuple[str, str]:
    sm = f"sm{capability[0]}{capability[1]}"
    if attention.softcap:
        return "eager", "capped scores: transformers refuses SDPA → eager"
    if attention.broadcast:
        return "math", f"{sm} + one key/value head that SDPA must broadcast → math"
    gqa = attention.cached_heads < attention.n_heads
    heads = "GQA" if gqa else "MHA"
    mask = "mask" if masked else "no mask"
    facts = f"{sm} + {heads} + {mask}"
    if capability >= FLASH_CAPABILITY and dtype != "fp32" and not masked and _one_head_size(attention):
        return "flash", f"{facts} + {dtype} heads of {attention.d_qk} → flash"
    if gqa and not masked and _one_head_size(attention):
        # enable_gqa is asked for, which the memory-efficient kernel does not know.
        detail = "" if capability < FLASH_CAPABILITY else f" + {dtype}"
        return "math", f"{facts}{detail} → math"
    if not _one_head_size(attention):
        facts += f" + heads of {attention.d_qk} and {attention.d_v}"
    return "efficient", f"{facts} → efficient"


def _require(
    backend: str, attention: Attention, capability: tuple[int, int], dtype: str, *, masked: bool
) -> None:
    if backend == "eager":
        return
    if attention.softcap:
        raise SpecError(f"--attention {backend}: capped scores (softcap) run only in eager attention")
    if backend != "flash":
        return
    if capability < FLASH_CAPABILITY:
        raise SpecError(
            f"--attention flash: sm{capability[0]}{capability[1]} has no flash attention (sm80 and later)"
        )
    if dtype == "fp32":
        raise SpecError("--attention flash: flash attention takes fp16 and bf16, not fp32")
    if attention.alibi or not _one_head_size(attention):
        why = "a bias matrix (alibi)" if attention.alibi else f"heads of {attention.d_qk} and {attention.d_v}"
        raise SpecError(f"--attention flash: SDPA's flash kernels do not take {why}")
    if masked:
        raise SpecError(
            "--attention flash: SDPA's flash kernels take no mask, which a chunk on a cache and a window "
            "that has begun to bite need"
        )
