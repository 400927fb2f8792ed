"""The band in which the achieved fraction of the bound is expected to lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from analytic import Case
from baselines.codec import FormatError
from baselines.rows import CaseRow, read_rows

TABLE = Path(__file__).parent / "bands.toml"
METRICS = ("lower_s/device_s", "lower_s/wall_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Band(CaseRow):
    """`published` marks a band that rests on other people's figures rather than on a run
    of this harness."""

    metric: str
    low: float
    high: float
    reason: str
    source: str
    published: bool = False


def read_bands(path: Path) -> tuple[Band, ...]:
    """Every band of a file. Raises FormatError that names the file and the row."""
    return read_rows(Band, path, name="band", check=_wrong, defaults={"published": False})


def _wrong(band: Band) -> str:
    if band.metric not in METRICS:
        return f"metric {band.metric!r} is none of {', '.join(METRICS)}"
    if not 0 < band.low < band.high:
        return f"low {band.low} and high {band.high} make no band"
    return ""


@cache
def bands() -> tuple[Band, ...]:
    """The bands that Roofgate ships."""
    return read_bands(TABLE)


def find_band(rows: Sequence[Band], *, gpu: str, case: Case) -> Band | None:
    """The one band for a case. Raises FormatError where two cover it."""
    covering = [band for band in rows if band.covers(gpu, case)]
    if len(covering) > 1:
        patterns = ", ".join(repr(b.cases) for b in covering)
        raise FormatError(f"two bands cover {case.id} of {case.model} on {gpu}: {patterns}")
    return covering[0] if covering else None
