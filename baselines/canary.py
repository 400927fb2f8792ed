"""Was the GPU slow, and not the code? This run's measured ceilings against those of the sessions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analytic import Ceilings, text
from baselines.interval import own_spread, t_quantile
from baselines.policy import Policy

# A ceiling that fell by less says nothing: copies differ by 0.6 % between processes.
MIN_FALL = 0.01
# The chance that a ceiling of a GPU as fast as ever is said to have fallen.
ALPHA = 0.001

_PRODUCT = " GEMM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """Ceilings that fell by more than their own noise, in words by how much each.
    `excused` is by how much, as a log, those that bind a case fell together: a case
    that was slower by so much may be the GPU's doing; 0 where one of them held."""

    words: str
    excused: float


def fallen(
    now: Ceilings | None,
    sessions: Sequence[Ceilings | None],
    *,
    dtypes: Sequence[str],
    limiter: str,
    policy: Policy,
) -> Fall | None:
    """Copy, read and the products of `dtypes`, each against the sessions that hold
    it; None where none fell, or too few sessions can tell. The sessions are of the
    same card. `limiter` says which of them bind the case: its "compute" the
    products, its "memory" copy and read.

    The launch gap is the host's and the resolution the clock's: neither says how
    fast the GPU was.
    """
    if now is None:
        return None
    stored = [_lines(s, dtypes) for s in sessions if s is not None]
    falls: dict[str, tuple[float, str]] = {}
    for name, rate in _lines(now, dtypes).items():
        logs = [math.log(lines[name]) for lines in stored if name in lines]
        own = own_spread(logs)
        if own is None or len(logs) < policy.min_sessions:
            continue
        mean = math.fsum(logs) / len(logs)
        noise = t_quantile(1 - ALPHA, own.df) * own.sd * math.sqrt(1 + 1 / len(logs))
        margin = max(noise, -math.log1p(-MIN_FALL))
        fall = mean - math.log(rate)
        if fall > margin:
            falls[name] = (fall, _words(name, rate, math.exp(mean), margin, len(logs)))
    if not falls:
        return None
    binding = [name for name in _lines(now, dtypes) if name.endswith(_PRODUCT) == (limiter == "compute")]
    return Fall(
        words="; ".join(words for _, words in falls.values()),
        excused=min((falls[name][0] if name in falls else 0.0 for name in binding), default=0.0),
    )


def _lines(ceilings: Ceilings, dtypes: Sequence[str]) -> dict[str, float]:
    """By name: bytes per second, and FLOP per second of each dtype."""
    lines = {"copy": ceilings.copy_bytes_per_s, "read": ceilings.read_bytes_per_s}
    products = ceilings.gemm_flops_per_s
    return lines | {f"{d}{_PRODUCT}": products[d] for d in dict.fromkeys(dtypes) if d in products}


def _words(name: str, now: float, then: float, margin: float, sessions: int) -> str:
    unit = "FLOP/s" if name.endswith(_PRODUCT) else "B/s"
    return (
        f"{name} {text.scaled(now, unit, digits=3)}, {text.percent(1 - now / then)} below the "
        f"{text.scaled(then, unit, digits=3)} of {sessions} sessions, which may vary by "
        f"{text.percent(-math.expm1(-margin))}"
    )
