"""What pinned sessions say of one metric of one case: its mean, and how far off it
further sessions may lie by chance. Numbers alone: what they are of is not known here."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from baselines.interval import Spread, moderated, own_spread, pool, squares, t_quantile
from baselines.policy import Policy

# Two modes lie apart by so many SDs within them, of ten sessions. One mode of ten normal
# sessions does so in fewer than 1 % of cases, and two modes 13 % apart of 1 % each in
# more than 99 %; of fewer sessions chance makes wider gaps.
MODES_APART = 4.5
_MODES_SESSIONS = 10

# How far cards of a kind lie apart, before a store knows: H100s were measured to differ by
# 0.1 to 0.4 % in most cases, and by 1.6 and 2.7 % in the worst. What cards differ by is
# common to all cases, so that further cases do not make further cards.
_CARDS_SD, _CARDS_DF = 0.01, 4

# A case without a spread of its own may take the suite's where that is worth the degrees
# of freedom of three sessions: of less, the cases differ too much to speak for another.
_LENT_DF = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One session: the log of its median, in log seconds, and its card's UUID."""

    log: float
    card: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """What a suite says of any of its cases: the spread between sessions of a card, and
    between cards; None where it says nothing."""

    sessions: Spread | None
    cards: Spread | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """Sessions that lie together: their mean in log seconds, and how many they are."""

    log: float
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """`mean` of the logs of `sessions` sessions. `sd` is what one further session varies
    by, in log units, known with `df` degrees of freedom; `floor`, in log units, is the
    least that is claimed. `base_variance` is of what every further session shares: the error
    of the mean, and of another card how far cards differ. `cards` is 0 where those that
    are compared are of one card. `modes` are two where the sessions fall into two groups.
    """

    mean: float
    sessions: int
    sd: float
    df: int
    base_variance: float
    floor: float
    cards: int
    modes: tuple[Mode, ...]

    def standard_error(self, fresh: int) -> float:
        """Of the mean of `fresh` further sessions less the mean of those that are stored."""
        return math.sqrt(self.sd**2 / fresh + self.base_variance)

    def screen_margin(self, policy: Policy, *, fresh: int = 1) -> float:
        """Beyond this, in log units, the mean of `fresh` sessions makes a suspect. Half
        the floor at least: what is less cannot come to be claimed."""
        chance = t_quantile(1 - policy.screen_alpha, self.df) * self.standard_error(fresh)
        return max(chance, self.floor / 2)

    def claim_margin(self, policy: Policy, *, fresh: int = 1, tests: int = 1) -> float:
        """Beyond this, in log units, the mean of `fresh` sessions is called a change,
        one of `tests` that may be (Bonferroni); the floor at least."""
        chance = t_quantile(1 - policy.claim_alpha / max(1, tests), self.df) * self.standard_error(fresh)
        return max(chance, self.floor)

    def sees(self, policy: Policy, *, tests: int = 1) -> float:
        """The minimum detectable effect: the least slowdown, as a share, that is claimed
        with the probability `policy.seen_power`: suspected, confirmed by the fresh
        processes and by all together. Each is missed by a third of what may be missed."""
        reach = t_quantile(1 - (1 - policy.seen_power) / 3, self.df)
        every = 1 + policy.rounds
        needed = [self.claim_margin(policy, fresh=every, tests=tests) + reach * self.standard_error(every)]
        if policy.rounds:
            needed.append(self.screen_margin(policy) + reach * self.standard_error(1))
            needed.append(self.floor + reach * self.standard_error(policy.rounds))
        return math.expm1(max(needed))


def priors(cases: Iterable[Sequence[Sample]]) -> Priors:
    """Of the cases' sessions, pooled."""
    within, between = [], []
    for samples in cases:
        by_card = _by_card(samples)
        own = _within_cards(by_card)
        if own is not None:
            within.append(own)
        if (cards := _between_cards(by_card, own)) is not None:
            between.append(cards)
    sessions = pool(within)
    return Priors(sessions=sessions, cards=_cards(between))


def _cards(between: Sequence[Spread]) -> Spread | None:
    """How far cards lie apart: what the cases saw, with the weight of the cards that were
    measured, and what is known of cards of a kind. None of one card."""
    if not between:
        return None
    # The median of a variance that may be zero is no estimate: the mean of all.
    seen, cards = fmean(s.sd**2 for s in between), max(s.df for s in between)
    pooled = (cards * seen + _CARDS_DF * _CARDS_SD**2) / (cards + _CARDS_DF)
    return Spread(sd=math.sqrt(pooled), df=cards + _CARDS_DF)


def lent(suite: Priors) -> Spread | None:
    """The spread of a case that has a single session; None where the suite cannot say."""
    spread = suite.sessions
    return spread if spread is not None and spread.df >= _LENT_DF else None


def yardstick(
    samples: Sequence[Sample], *, card: str | None, suite: Priors, policy: Policy, floor: float
) -> Yardstick | None:
    """What `samples` say of further sessions of `card`; None where they are too few, or
    all of one other card. `floor` is in log units.

    Sessions of the card itself are compared with alone, where they are enough. Else two
    cards or more are needed: the mean is that of the cards, and the card's own place
    among them is part of what may vary. A single session has no spread of its own; a
    policy that judges by one takes the suite's.
    """
    by_card = _by_card(samples)
    own = _within_cards(by_card)
    spread = moderated(own, suite.sessions) if own else lent(suite) if policy.min_sessions == 1 else None
    if spread is None or len(samples) < policy.min_sessions:
        return None
    same = by_card.get(card, ()) if card is not None else [s.log for s in samples]
    if card is not None and len(by_card) == 1 and None in by_card:
        same = by_card[None]
    if len(same) >= policy.min_sessions:
        return _of_one_card(same, spread, floor)
    if len(by_card) < 2 or suite.cards is None:
        return None
    means = [fmean(logs) for logs in by_card.values()]
    error = fmean(1 / len(logs) for logs in by_card.values()) / len(means)
    return Yardstick(
        mean=fmean(means),
        sessions=len(samples),
        sd=spread.sd,
        df=min(spread.df, suite.cards.df),
        base_variance=spread.sd**2 * error + suite.cards.sd**2 * (1 + 1 / len(means)),
        floor=floor,
        cards=len(means),
        modes=(),
    )


def _of_one_card(logs: Sequence[float], spread: Spread, floor: float) -> Yardstick:
    return Yardstick(
        mean=fmean(logs),
        sessions=len(logs),
        sd=spread.sd,
        df=spread.df,
        base_variance=spread.sd**2 / len(logs),
        floor=floor,
        cards=0,
        modes=two_modes(logs, floor=floor),
    )


def two_modes(logs: Sequence[float], *, floor: float) -> tuple[Mode, ...]:
    """The two groups that the sessions fall into, each of two at least, the faster first;
    empty where they are one. Groups that lie nearer than `floor` do not count."""
    ordered = sorted(logs)
    splits = range(2, len(ordered) - 1)
    if not splits:
        return ()
    at = max(splits, key=lambda i: ordered[i] - ordered[i - 1])
    low, high = ordered[:at], ordered[at:]
    gap = high[0] - low[-1]
    within = math.sqrt((squares(low) + squares(high)) / (len(ordered) - 2))
    apart = MODES_APART * max(1.0, (_MODES_SESSIONS / len(ordered)) ** 2)
    if gap <= floor or gap <= apart * within:
        return ()
    return tuple(Mode(log=fmean(group), sessions=len(group)) for group in (low, high))


def _by_card(samples: Sequence[Sample]) -> Mapping[str | None, list[float]]:
    found: dict[str | None, list[float]] = {}
    for sample in samples:
        found.setdefault(sample.card, []).append(sample.log)
    return found


def _within_cards(by_card: Mapping[str | None, Sequence[float]]) -> Spread | None:
    """The spread about each card's own mean."""
    spreads = [own for logs in by_card.values() if (own := own_spread(logs)) is not None]
    if not spreads:
        return None
    df = sum(s.df for s in spreads)
    return Spread(sd=math.sqrt(sum(s.df * s.sd**2 for s in spreads) / df), df=df)


def _between_cards(by_card: Mapping[str | None, Sequence[float]], within: Spread | None) -> Spread | None:
    """How far cards differ beyond what their sessions do; None of one card."""
    if within is None or len(by_card) < 2:
        return None
    means = [fmean(logs) for logs in by_card.values()]
    error = within.sd**2 * fmean(1 / len(logs) for logs in by_card.values())
    return Spread(sd=math.sqrt(max(0.0, variance(means) - error)), df=len(means) - 1)
