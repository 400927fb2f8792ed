"""How long a channel is waited for."""

import math
from dataclasses import dataclass

from baselines.codec import FormatError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All in seconds: an answer takes `timeout_s` at most; rate limits are waited for no
    longer than `patience_s` in all; the second try comes after `backoff_s`, each further
    one after twice as long, `tries` in all; between writes there are `pace_s`, as GitHub asks.
    Raises FormatError."""

    timeout_s: int = 15
    patience_s: float = 300.0
    backoff_s: float = 0.5
    tries: int = 4
    pace_s: float = 1.0

    def __post_init__(self) -> None:
        if self.timeout_s < 1:
            raise FormatError(f"--timeout {self.timeout_s}: 1 s or more is needed")
        if not (math.isfinite(self.patience_s) and self.patience_s >= 0):
            raise FormatError(f"--patience {self.patience_s}: seconds from 0 on are needed")

    @property
    def waits_s(self) -> tuple[float, ...]:
        """Before each further try."""
        return tuple(self.backoff_s * 2**n for n in range(self.tries - 1))
