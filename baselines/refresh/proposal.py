"""New sessions beside the baseline whose place they are to take, and what may be said
against them."""

from dataclasses import dataclass
from enum import Enum

from analytic import Case
from baselines.cards import cards_of, kept_sessions
from baselines.policy import Policy
from baselines.store import Baseline
from baselines.suite import Stored, Suite, device_yardstick
from baselines.yardstick import Yardstick


class Kind(Enum):
    """What an objection says, and the option that accepts it."""

    WORSE = '--accept-regression "reason"'
    BLIND = "--accept-blind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """In words, with both numbers and what to do."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What all proposals are measured by: the suite of what is stored under their hard
    key, that of the new sessions alone, and for how many cases a claim is corrected."""

    stored: Suite
    fresh: Suite
    policy: Policy
    tests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What is to be stored of a case. `old` is what is stored now; `fresh` are the new
    sessions alone; `new` is what will be stored: these, with the stored sessions of other
    cards where they are kept. `dirty`: the new sessions' tree was not its commit's."""

    case: Case
    old: Stored | None
    fresh: Stored
    new: Baseline
    dirty: bool = False

    @property
    def before(self) -> Stored | None:
        """What is stored, where the new sessions can be compared with it."""
        if self.old is None or self.old.baseline.hard != self.fresh.baseline.hard:
            return None
        return self.old

    @property
    def card(self) -> str | None:
        """Of the new sessions, which are all of one."""
        return self.fresh.baseline.sessions[0].soft.gpu_uuid

    @property
    def adds_a_card(self) -> bool:
        """Whether a card is added by the same code: what differs then is the card, which
        is what it is added for."""
        if self.before is None or self.dirty:
            return False
        held = self.before.baseline
        kept = kept_sessions(held, self.fresh.baseline)
        return (
            len(kept) == len(held.sessions)
            and len(cards_of(self.new)) > len(cards_of(held))
            and {s.commit for s in kept} == {s.commit for s in self.fresh.baseline.sessions}
        )

    def yardstick(self, stored: Stored, suite: Suite, policy: Policy) -> Yardstick | None:
        """For device times of the new sessions' card."""
        return device_yardstick(stored, suite, policy, card=self.card)
