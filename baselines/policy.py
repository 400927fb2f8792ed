"""The thresholds of the judgement, in one place, each with its reason."""

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`alpha`: the chance that identical code is called slower, per comparison.
    `min_effect`: the relative change below which nothing is claimed; half of
    the smallest change that matters (1 % of device time).
    `min_sessions`: fewer stored sessions do not judge; two say nothing of spread.
    """

    alpha: float = 0.001
    min_effect: float = 0.005
    min_sessions: int = 3

    @property
    def digest(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


POLICY = Policy()
