"""How a step grows with its length: cases alike but for the context or the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

from analytic import Phase, text
from baselines.derived import Derived
from baselines.markdown import code, table

_HEADERS = ("case", "length", "bound", "device", "wall", "tokens/s", "against the shortest")


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthSeries:
    """Cases alike but for the length, the shortest first."""

    members: tuple[Derived, ...]

    @property
    def name(self) -> str:
        """What they share: "decode b1 fp16 eager"."""
        case = self.members[0].record.case
        return f"{case.phase.value} b{case.batch} {case.precision} {case.engine}"


def length_series(derived: Sequence[Derived]) -> tuple[LengthSeries, ...]:
    """Of prefill and decode, where there are several lengths; generate() has a figure of its own."""
    alike: dict[object, list[Derived]] = {}
    for d in derived:
        case = d.record.case
        if case.phase is not Phase.GENERATE:
            alike.setdefault((case.model, case.phase, case.batch, case.precision, case.engine), []).append(d)
    return tuple(
        LengthSeries(members=tuple(sorted(group, key=lambda d: d.record.case.length)))
        for group in alike.values()
        if len(group) > 1
    )


def length_table(series: Sequence[LengthSeries]) -> str:
    """Time by length, and tokens/s against the shortest of its series: a decode step reads
    more of the cache, a prefill fills the GPU. Empty without series."""
    rows = [
        (
            code(d.record.case.id),
            f"{d.record.case.length:,}",
            text.seconds(d.bound.lower_s),
            text.seconds(d.device_s),
            text.seconds(d.wall_s),
            text.tokens_per_s(d.tokens_per_s),
            text.ratio(d.tokens_per_s / one.members[0].tokens_per_s),
        )
        for one in series
        for d in one.members
    ]
    return table(_HEADERS, rows) if rows else ""
