"""Roofs: what a machine can do at most, by datasheet or by measurement."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from analytic.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofs:
    """A memory roof in bytes/s and one compute roof in FLOP/s per dtype."""

    label: str
    bytes_per_s: float
    flops_per_s: Mapping[str, float]

    def peak(self, dtype: str) -> float:
        """The compute roof of `dtype`, FLOP/s. Raises SpecError without one."""
        try:
            return self.flops_per_s[dtype]
        except KeyError:
            raise SpecError(
                f"{self.label} has no {dtype} compute roof; it has: {', '.join(sorted(self.flops_per_s))}"
            ) from None

    def ridge_point(self, dtype: str) -> float:
        """The operational intensity (FLOP/byte) at which the two roofs meet."""
        return self.peak(dtype) / self.bytes_per_s

    def attainable(self, intensity: float, dtype: str) -> float:
        """FLOP/s attainable at an operational intensity in FLOP/byte
        (Williams, Waterman, Patterson 2009)."""
        return min(self.peak(dtype), intensity * self.bytes_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """What this machine reached today: lower lines under the datasheet's roofs.

    `copy_bytes_per_s` counts bytes read plus bytes written; `read_bytes_per_s`
    is a matrix streamed once by a matrix-vector product; `gemm_flops_per_s`
    holds one rate per dtype. `launch_gap_s` is what the host needs for each
    kernel launch of eager transformers code, `event_resolution_s` the smallest
    difference of times that the device's clock shows; both in seconds, None where
    they were not measured. Raises SpecError for what is not positive.
    """

    device: str
    copy_bytes_per_s: float
    read_bytes_per_s: float
    gemm_flops_per_s: Mapping[str, float]
    launch_gap_s: float | None = None
    event_resolution_s: float | None = None

    def __post_init__(self) -> None:
        times = {"launch gap": self.launch_gap_s, "event resolution": self.event_resolution_s}
        for name, time_s in times.items():
            if time_s is not None and not 0 < time_s < inf:
                raise SpecError(f"the {name} of {self.device} is {time_s} s; a positive time is needed")
        rates = {"copy": self.copy_bytes_per_s, "read": self.read_bytes_per_s, **self.gemm_flops_per_s}
        for name, rate in rates.items():
            if rate <= 0:
                raise SpecError(f"the ceiling {name} of {self.device} is {rate}; a rate is positive")

    @property
    def roofs(self) -> Roofs:
        return Roofs(
            label="measured ceilings",
            bytes_per_s=max(self.copy_bytes_per_s, self.read_bytes_per_s),
            flops_per_s=self.gemm_flops_per_s,
        )

    def raised(self, other: "Ceilings") -> "Ceilings":
        """The better of both, line by line (the higher rate, the lower gap): a
        ceiling is what was ever reached."""
        dtypes = {*self.gemm_flops_per_s, *other.gemm_flops_per_s}
        gaps = (self.launch_gap_s, other.launch_gap_s)
        resolutions = (self.event_resolution_s, other.event_resolution_s)
        return Ceilings(
            device=self.device,
            copy_bytes_per_s=max(self.copy_bytes_per_s, other.copy_bytes_per_s),
            read_bytes_per_s=max(self.read_bytes_per_s, other.read_bytes_per_s),
            gemm_flops_per_s={
                d: max(self.gemm_flops_per_s.get(d, 0.0), other.gemm_flops_per_s.get(d, 0.0))
                for d in sorted(dtypes)
            },
            launch_gap_s=_least(gaps),
            event_resolution_s=_least(resolutions),
        )


def _least(times: Iterable[float | None]) -> float | None:
    return min((time_s for time_s in times if time_s is not None), default=None)
