"""The anchor of a series: the time that its drift is held against."""

from statistics import geometric_mean

from baselines.record import Record
from baselines.store import Store


def anchor_of(store: Store, record: Record, metric: str) -> float | None:
    """Seconds, by the geometric mean over sessions; None where none is stored under the
    record's hard key. Raises FormatError for a baseline that cannot be read.

    The stored baseline stands for the first one that was accepted: this is the one
    place to change when baselines keep that.
    """
    baseline = store.load(record)
    if baseline is None or baseline.hard != record.hard:
        return None
    medians_s = baseline.device_medians_s if metric == "device_s" else baseline.wall_medians_s
    return geometric_mean(medians_s) if medians_s else None
