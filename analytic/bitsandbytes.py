"""Whether bitsandbytes multiplies packed 4-bit weights or unpacks them first.

The alphabet: M tokens, N outputs (rows), K inputs (cols). Sources: bitsandbytes
0.50.2 (backends/cuda/ops.py, autograd/_functions.py, nn/modules.py), 0.49.2 for
the older rule. NVIDIA only: on ROCm other limits hold.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from analytic.errors import SpecError, unknown
from analytic.precision import DTYPE_BYTES, NF4_BLOCK

#: The version that is assumed, (major, minor).
VERSION = (0, 50)

FUSED_GEMM = (0, 50)  # from here on packed weights are multiplied with many tokens
_MOST = 1536  # no shape is fused beyond
_FLOOR = 4  # every shape is fused up to here
_MANY = 8  # tensor cores pay from here on, and each chip has its own limits
_NEVER_MANY = _MANY - 1
_SMALL = 4 * 1024 * 1024  # weights; fewer cost less than the launch of a second kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """`fused`: the product reads the packed weights; otherwise they are written out
    in the compute dtype first. `reason` is for people; `version` is bitsandbytes'."""

    fused: bool
    reason: str
    version: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """A product in tiles of 64 outputs, spread over the SMs."""

    tokens: int
    rows: int
    cols: int
    sms: int

    @property
    def tiles(self) -> int:
        return ceil(self.rows / 64)

    # A quotient of integers and a literal such as 0.6 are both rounded to the
    # nearest float, so that comparing them is as exact as with integers.
    @property
    def waves(self) -> float:
        return self.tiles / self.sms

    @property
    def depth(self) -> float:
        """Inputs per output: above 1 each tile has a long way through K."""
        return self.cols / self.rows

    @property
    def half_wave(self) -> bool:
        """Half of an odd number of SMs is rounded down."""
        return self.tiles >= self.sms // 2


def _any(_: _Problem) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _Tier:
    """Up to `limit` tokens are fused where `when` holds and no earlier tier does."""

    limit: int
    when: Callable[[_Problem], bool] = _any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chip:
    """Tiers for small weights, and for others with `few` (under 8) or `many` tokens."""

    small: tuple[_Tier, ...]
    few: tuple[_Tier, ...] = (_Tier(_NEVER_MANY),)
    many: tuple[_Tier, ...]

    def limit(self, problem: _Problem) -> int:
        """The most tokens that this shape is fused with."""
        if problem.rows * problem.cols < _SMALL:
            return _first(self.small, problem)
        many = _first(self.many, problem)
        # Where tensor cores never pay, plain cores still may.
        return _first(self.few, problem) if min(problem.tokens, many) < _MANY else many


def _first(tiers: tuple[_Tier, ...], problem: _Problem) -> int:
    return next(tier.limit for tier in tiers if tier.when(problem))


def _uniform(*tiers: _Tier) -> _Chip:
    return _Chip(small=tiers, few=tiers, many=tiers)


def _short(p: _Problem) -> bool:
    """Over so soon that its launch is what counts."""
    return p.depth < 0.5


# Small weights. GDDR's low bandwidth makes the detour through memory dear, HBM's
# makes it cheap; deep products on GDDR do better with a GEMM that splits K.
_SMALL_GDDR = (
    _Tier(320, lambda p: _short(p) and (p.waves >= 1 or p.tiles * p.cols <= 320 * p.sms)),
    _Tier(192, _short),
    _Tier(32, lambda p: p.waves <= 1 / 4 and p.depth < 1),
    _Tier(23, lambda p: p.waves <= 1 / 4),
    _Tier(16, lambda p: p.waves <= 1 / 2),
    _Tier(_FLOOR),
)
_SMALL_SM75 = (
    _Tier(64, lambda p: _short(p) and p.waves < 3 and p.cols >= 1024),
    _Tier(96, lambda p: _short(p) and p.waves < 3 and p.cols >= 704),
    _Tier(320, _short),
    # More tokens than 8, and not fewer, reach tensor cores here.
    _Tier(64, lambda p: p.waves < 1 and p.tokens > 8),
    *_SMALL_GDDR,
)
_SMALL_HBM = (
    _Tier(32, lambda p: p.waves <= 1 / 4),
    _Tier(16, lambda p: p.waves <= 1 / 2),
    _Tier(_FLOOR),
)
_SMALL_SM80 = (
    _Tier(_MOST, lambda p: _short(p) and p.waves < 1 / 3),
    _Tier(512, _short),
    _Tier(384, lambda p: p.waves <= 1 / 4 and p.depth < 1),
    _Tier(128, lambda p: 1 / 8 < p.waves <= 1 / 4),
    *_SMALL_HBM,
)
_SMALL_SM90 = (
    _Tier(512, lambda p: _short(p) and p.waves < 1 / 3),
    _Tier(320, _short),
    *_SMALL_HBM,
)

_MANY_SM89 = (
    _Tier(256, lambda p: p.waves >= 3),
    _Tier(128, lambda p: p.waves >= 2),
    _Tier(128, lambda p: p.waves >= 0.8 and (p.depth > 2 or p.tiles >= 200)),
    _Tier(64, lambda p: p.waves >= 0.8 and p.depth < 1),
    _Tier(128, lambda p: p.waves >= 0.8 and p.sms >= 60),
    _Tier(32, lambda p: p.waves >= 0.8),
    _Tier(64, lambda p: p.half_wave and p.depth > 2),
    _Tier(32, lambda p: p.half_wave and p.tiles < 64),
    _Tier(8, lambda p: p.half_wave),
    _Tier(12, lambda p: p.tiles <= 48 and p.depth >= 3),
    _Tier(10, lambda p: p.tiles <= 48 and p.depth > 1),
    _Tier(16, lambda p: p.tiles < 48 or p.depth > 2),
    _Tier(8),
)
_SM89 = _Chip(small=_SMALL_GDDR, many=_MANY_SM89)
_CHIPS = {
    (7, 5): _Chip(
        small=_SMALL_SM75,
        many=(
            _Tier(128, lambda p: p.waves >= 3 and p.depth < 1),
            _Tier(64, lambda p: p.half_wave),
            _Tier(32),
        ),
    ),
    (8, 0): _Chip(
        small=_SMALL_SM80,
        few=(
            _Tier(5, lambda p: p.tiles >= 48 and p.depth > 1 and p.waves < 0.75),
            _Tier(5, lambda p: p.tiles >= 48 and p.depth == 1 and p.waves < 0.6),
            _Tier(_NEVER_MANY),
        ),
        many=(
            _Tier(128, lambda p: p.waves >= 3),
            _Tier(64, lambda p: p.waves >= 1 and p.depth < 1),
            _Tier(32, lambda p: p.waves >= 1),
            _Tier(_NEVER_MANY, lambda p: p.waves > 1 / 4 and p.depth >= 3),
            _Tier(_NEVER_MANY, lambda p: p.tiles >= 48 and p.depth == 1 and p.waves < 0.6),
            _Tier(128, lambda p: p.depth < 1 or (p.depth == 1 and p.waves < 1 / 2)),
            _Tier(_NEVER_MANY, lambda p: p.depth > 1 and 1 / 3 <= p.waves < 1 / 2),
            _Tier(16),
        ),
    ),
    (8, 6): _Chip(
        small=_SMALL_GDDR,
        many=(_Tier(128, lambda p: p.waves >= 1), _Tier(64, lambda p: p.half_wave), _Tier(16)),
    ),
    (8, 7): _uniform(_Tier(_FLOOR)),  # not calibrated upstream
    (12, 0): _Chip(
        small=_SMALL_GDDR,
        many=(
            _Tier(256, lambda p: p.waves >= 3),
            _Tier(128, lambda p: p.waves >= 2),
            _Tier(96, lambda p: p.waves >= 0.8 and p.depth >= 1),
            _Tier(64, lambda p: p.waves >= 0.8),
            _Tier(64, lambda p: p.half_wave and p.depth >= 1 / 2 and p.tiles >= 128),
            _Tier(16, lambda p: not p.half_wave and p.depth > 2 and p.tiles > 64),
            _Tier(8),
        ),
    ),
    # Unified memory is slow enough to stay packed for long.
    (12, 1): _Chip(small=_SMALL_GDDR, many=(_Tier(256, lambda p: p.waves >= 1), *_MANY_SM89)),
}
# Chips that share their limits whatever the minor number.
_FAMILIES = {
    9: _Chip(
        small=_SMALL_SM90,
        few=(
            _Tier(5, lambda p: p.tiles >= 36 and p.depth > 1 and p.waves < 0.75),
            _Tier(5, lambda p: p.tiles >= 36 and p.depth == 1 and 0.6 <= p.waves < 0.75),
            _Tier(_NEVER_MANY),
        ),
        many=(
            _Tier(64, lambda p: p.waves >= 3),
            _Tier(48, lambda p: p.waves >= 2),
            _Tier(32, lambda p: p.waves >= 1),
            _Tier(16, lambda p: p.half_wave and (p.depth < 1 or p.waves >= 0.75)),
            _Tier(_NEVER_MANY),
        ),
    ),
    10: _uniform(
        _Tier(32, lambda p: p.waves >= 3), _Tier(8, lambda p: p.waves >= 1 and p.depth < 1), _Tier(_FLOOR)
    ),
    11: _uniform(_Tier(_FLOOR)),  # not calibrated upstream
}
_NO_TENSOR_CORES = _uniform(_Tier(_NEVER_MANY))


def _chip(capability: tuple[int, int], dtype: str) -> _Chip:
    # Only fp16 has a tensor-core kernel on sm75, and fp32 has none anywhere.
    if dtype == "fp32" or capability < (7, 5) or (capability[0] == 7 and dtype != "fp16"):
        return _NO_TENSOR_CORES
    # A chip unknown to bitsandbytes goes by sm89.
    return _CHIPS.get(capability) or _FAMILIES.get(capability[0], _SM89)


def linear_path(
    *,
    compute_capability: tuple[int, int],
    sm_count: int,
    tokens: int,
    rows: int,
    cols: int,
    dtype: str,
    version: tuple[int, int] = VERSION,
) -> Path:
    """How bitsandbytes multiplies `tokens` vectors with a 4-bit matrix.

    `rows` are outputs, `cols` inputs, `dtype` the compute dtype; `sm_count` is
    torch's multi_processor_count. More tokens can be fused again where fewer are
    not (A100, 4096 x 8192: 6 and 7 are not, 8 to 16 are). Raises SpecError for
    a size below 1 and for an unknown dtype.
    """
    check_sizes(tokens=tokens, rows=rows, cols=cols, sm_count=sm_count)
    if dtype not in DTYPE_BYTES:
        raise unknown("compute dtype", dtype, DTYPE_BYTES)
    problem = _Problem(tokens=tokens, rows=rows, cols=cols, sms=sm_count)
    if version < FUSED_GEMM:
        limit, where = 1, f"bitsandbytes {version[0]}.{version[1]}"
    elif tokens <= _FLOOR:
        limit, where = _FLOOR, "any GPU"
    else:
        limit = min(_MOST, _chip(compute_capability, dtype).limit(problem))
        where = f"sm{compute_capability[0]}{compute_capability[1]}, {problem.waves:.2f} wave"
    fused = tokens <= limit and cols % NF4_BLOCK == 0
    if tokens <= limit and not fused:
        why = f"K {cols} is no multiple of {NF4_BLOCK}"
    else:
        why = f"M {tokens} {'<=' if fused else '>'} {limit}, {where}"
    what = "one fused kernel" if fused else f"dequantise, then {dtype} GEMM"
    return Path(fused=fused, reason=f"{why}: {what}", version=version)


def check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SpecError(f"{name} is {value!r}; an integer of at least 1 is needed")
