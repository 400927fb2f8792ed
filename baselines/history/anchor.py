"""The anchor of a series: the time that its drift is held against."""

from baselines.record import Record
from baselines.store import Store


def anchor_of(store: Store, record: Record, metric: str) -> float | None:
    """Seconds, by the geometric mean over sessions, of what was accepted first; of the
    stored baseline itself where nobody knows what that was. None where none is stored
    under the record's hard key, or without that metric. Raises FormatError for a baseline
    that cannot be read.
    """
    baseline = store.load(record)
    if baseline is None or baseline.hard != record.hard:
        return None
    anchor = baseline.anchor or baseline.accepted
    return anchor.device_s if metric == "device_s" else anchor.wall_s
