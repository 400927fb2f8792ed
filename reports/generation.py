"""generate() taken apart: what its prefill and its decode each did, in what time."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev

from analytic import Case, Phase
from baselines.derived import Derived


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One generate() case. Times in seconds, medians; FLOPs are counts over the
    batch, of the prefill and of all decode steps, each at its own cache length."""

    derived: Derived
    prefill_s: float
    decode_s: float
    prefill_flops: int
    decode_flops: int

    @property
    def case(self) -> Case:
        return self.derived.record.case

    @property
    def flops(self) -> int:
        return self.prefill_flops + self.decode_flops

    @property
    def wall_sd_s(self) -> float | None:
        """The standard deviation of the samples; None for a single one."""
        samples = self.derived.record.measurement.wall_s
        return stdev(samples) if len(samples) > 1 else None

    @property
    def flops_per_s(self) -> float:
        return self.flops / self.derived.wall_s

    @property
    def prefill_flops_per_s(self) -> float:
        return self.prefill_flops / self.prefill_s

    @property
    def decode_flops_per_s(self) -> float:
        return self.decode_flops / self.decode_s


def generations(derived: Sequence[Derived]) -> tuple[Generation, ...]:
    """The generate() cases among `derived`, in their order."""
    return tuple(_generation(d) for d in derived if d.record.case.phase is Phase.GENERATE)


def _generation(derived: Derived) -> Generation:
    assert derived.first_token_s is not None  # noqa: S101 - derive() checks it
    prefill, *steps = derived.costs
    return Generation(
        derived=derived,
        prefill_s=derived.first_token_s,
        decode_s=derived.wall_s - derived.first_token_s,
        prefill_flops=prefill.flops,
        decode_flops=sum(step.flops for step in steps),
    )
