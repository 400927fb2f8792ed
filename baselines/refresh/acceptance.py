"""May new sessions take the place of a baseline? What speaks against it, what it takes to
accept it all the same, and what is only said. Reads no files."""

from collections.abc import Sequence
from dataclasses import dataclass

from baselines.allowed import Allowed
from baselines.cards import cards_of
from baselines.policy import Policy
from baselines.refresh.blind import blind
from baselines.refresh.proposal import Kind, Objection, Proposed, Scale
from baselines.refresh.worse import grown, software_changed, worse
from baselines.store import differing
from baselines.suite import Suite, suite_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What whoever refreshes accepts: sessions that are worse, for a `reason`; a baseline
    that cannot see what its case promises; a tree that is not its commit's. `add` keeps
    the stored sessions of other cards; with `dry_run` nothing is stored."""

    reason: str | None = None
    accept_blind: bool = False
    allow_dirty: bool = False
    add: bool = False
    dry_run: bool = False

    def accepts(self, kind: Kind) -> bool:
        return self.accept_blind if kind is Kind.BLIND else self.reason is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """A proposal, what speaks against it, and what else is said of it."""

    proposed: Proposed
    objections: tuple[Objection, ...]
    notes: tuple[str, ...]

    @property
    def is_worse(self) -> bool:
        """Whether it takes a reason to accept it."""
        return any(o.kind is Kind.WORSE for o in self.objections)

    def refusals(self, terms: Terms) -> list[str]:
        return [o.text for o in self.objections if not terms.accepts(o.kind)]


def assess(
    proposals: Sequence[Proposed], stored: Suite, policy: Policy, *, allowed: Sequence[Allowed]
) -> list[Assessed]:
    """In the order of the proposals. `stored` is of all baselines under their hard key,
    refreshed or not; `allowed` are the changes of counts that are declared."""
    scale = Scale(
        stored=stored,
        fresh=suite_of([one.fresh for one in proposals]),
        policy=policy,
        tests=len(proposals),
    )
    return [
        Assessed(
            proposed=one,
            objections=(*worse(one, scale, allowed=allowed), *blind(one, scale)),
            notes=tuple(_notes(one, policy)),
        )
        for one in proposals
    ]


def _notes(one: Proposed, policy: Policy) -> list[str]:
    found = []
    if one.old is None:
        found.append("new")
    elif one.before is None:
        keys = ", ".join(differing(one.old.baseline.hard, one.fresh.baseline.hard))
        found.append(f"another hard key, so not compared, and an anchor of its own: {keys}")
    elif software_changed(one):
        found += [f"{change} under other software" for change in grown(one)]
    found += _cards(one)
    if (few := len(one.new.sessions)) < policy.min_sessions:
        found.append(f"does not judge yet: {few} of {policy.min_sessions} sessions")
    return found


def _cards(one: Proposed) -> list[str]:
    """What becomes of the cards that are stored."""
    if one.before is None or one.card is None:
        return []
    before, after = cards_of(one.before.baseline), cards_of(one.new)
    if len(after) > 1:
        return [f"{one.card} {'replaced' if one.card in before else 'added'}"]
    gone = before - after
    return [f"no longer of {', '.join(sorted(gone))} (--add keeps other cards)"] if gone else []
