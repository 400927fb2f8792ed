"""The thresholds of the judgement, in one place, each with its reason."""

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`screen_alpha`: the chance that identical code is suspected, per comparison, and
    measured again; loose, for a suspicion costs a process and not a failure.
    `claim_alpha`: the chance that any of a suite's cases of identical code is called
    slower; it is divided by their number. `rounds`: in how many fresh processes a suspect
    is measured at most; with 0 the one session decides by itself.
    `min_effect`: the relative change of device time below which nothing is claimed,
    half of the smallest that matters (1 %); a wall's is half of what its case promises.
    `min_sessions`: fewer stored sessions do not judge, two say nothing of spread.
    `shift_cases`, `shift_share`: so many cases, and so large a part of them, move
    together before the machine rather than the code is looked at.
    `seen_power`: how often a change must be claimed to count as one that is seen.
    """

    screen_alpha: float = 0.08
    claim_alpha: float = 0.03
    rounds: int = 3
    min_effect: float = 0.005
    min_sessions: int = 3
    shift_cases: int = 5
    shift_share: float = 0.8
    seen_power: float = 0.9

    @property
    def digest(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


POLICY = Policy()
