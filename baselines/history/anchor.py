"""The anchor of a series: the time that its drift is held against."""

from dataclasses import dataclass

from baselines.record import Record
from baselines.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """In seconds, by the geometric mean over sessions; None where `lacks` says what there
    is not."""

    time_s: float | None
    lacks: str = ""


def anchor_of(store: Store, record: Record, metric: str) -> Anchor:
    """What was accepted first under the record's hard key; the stored baseline itself where
    nobody knows what that was. Raises FormatError for a baseline that cannot be read.
    """
    baseline = store.load(record)
    if baseline is None:
        return Anchor(time_s=None, lacks=f"no baseline of it is stored in {store.root}")
    if baseline.hard != record.hard:
        return Anchor(time_s=None, lacks=f"its baseline in {store.root} is of another hard key")
    first = baseline.anchor or baseline.accepted
    time_s = first.device_s if metric == "device_s" else first.wall_s
    return Anchor(time_s=time_s, lacks="" if time_s else f"the anchor of {first.written} has no device time")
