"""What was seen of a slowdown held against what is expected of it, in words."""

from collections.abc import Sequence

from analytic import text
from baselines.attribution import Moved, signed
from baselines.record import Record
from baselines.verdict import Status
from perf_tests.proof.expectations import COUNTS, DEVICE, HOST_COUNTS, Expectation, Move
from perf_tests.proof.judged import JUDGED, comparable_card, count, said
from perf_tests.proof.seen import Seen

# What the gate promises to see: a slowdown of this true share must be found slower.
PROMISE = 0.01
# Device time that must not move, moves by no more than this, or by so many of the
# sessions' own SDs where that is more.
STILL_SHARE, STILL_SDS = 0.003, 3.0
# What is seen may differ from the true size by this share of it, by what the gate
# would not claim, and by this much for each device operation that was added: a replay
# times from one kernel's start to the next, CUPTI from a kernel's start to its end.
SIZE_SHARE = 0.25
DEVICE_OP_S = 1e-6


def violations(
    seen: Seen, record: Record, sessions: Sequence[Record], expected: Expectation
) -> tuple[str, ...]:
    """Of the expectation of its case; empty where it is met."""
    return (
        *_device_violations(seen, record, sessions, expected),
        *_count_violations(seen, record, sessions, expected),
        *_operator_violations(seen, record, sessions, expected),
    )


def must_be_claimed(seen: Seen, expected: Expectation) -> bool:
    """Whether the gate must call it slower: where its true size is surely what the gate
    promises to see; of an unknown size, where its device time must grow."""
    if expected.move(DEVICE) is Move.STILL:
        return False
    if seen.size is None or seen.size.low_s is None:
        return expected.move(DEVICE) is Move.GROWS
    return seen.size.low_s >= PROMISE * seen.base_s


def still_limit(seen: Seen) -> float:
    """By what share a device time may move that must not."""
    return max(STILL_SHARE, STILL_SDS * seen.spread)


def _device_violations(
    seen: Seen, record: Record, sessions: Sequence[Record], expected: Expectation
) -> list[str]:
    if not comparable_card(record, sessions):
        return ["measured on another card than the sessions: its time is not judged"]
    if seen.status not in JUDGED:
        return [f"device time was not judged: {seen.status}"]
    move, change = expected.move(DEVICE), text.signed_percent(seen.change)
    if move is Move.STILL:
        limit = still_limit(seen)
        moved = seen.status is Status.REGRESSED or abs(seen.change) > limit
        return [f"device time must not move by {text.percent(limit, digits=2)}; {change}"] if moved else []
    if must_be_claimed(seen, expected) and seen.status is not Status.REGRESSED:
        return [f"device time must grow; {change} is {said(seen.status)}"]
    if move is Move.GROWS and seen.added_s <= 0:
        return [f"device time must grow; it did by {change}"]
    return _size_violations(seen)


def _size_violations(seen: Seen) -> list[str]:
    """Where what was seen is not the true size."""
    size = seen.size
    if size is None or size.added_s is None or size.low_s is None:
        return []
    tolerance_s = (
        max(SIZE_SHARE * abs(size.added_s), seen.limit * seen.base_s)
        + size.noise_s
        + DEVICE_OP_S * abs(seen.device_ops)
    )
    if abs(seen.added_s - size.added_s) <= tolerance_s:
        return []
    saw, true, within = (text.seconds(s) for s in (seen.added_s, size.added_s, tolerance_s))
    return [f"saw {saw}, which is not the true {true} (within {within})"]


def _count_violations(
    seen: Seen, record: Record, sessions: Sequence[Record], expected: Expectation
) -> list[str]:
    found = []
    if not seen.counts_grew and any(expected.move(name) is Move.GROWS for name in HOST_COUNTS):
        found.append("the gate does not find that a count grew")
    for name in COUNTS:
        move = expected.move(name)
        now, then = count(record, name), {count(session, name) for session in sessions}
        if move is Move.FREE:
            continue
        if now is None or None in then:
            found.append(f"{name} was not counted, and {move}")
            continue
        known = [value for value in then if value is not None]
        growth = now - max(known)
        if move is Move.STILL and now not in known:
            found.append(f"{name} must not move; {max(known)} -> {now}")
        elif move is Move.GROWS and growth <= 0:
            found.append(f"{name} must grow; {max(known)} -> {now}")
        wanted = expected.per_layer.get(name, 0) * record.model.n_layers
        if move is Move.GROWS and wanted and growth != wanted:
            found.append(f"{name} must grow by {wanted}; it did by {growth}")
    return found


def _operator_violations(
    seen: Seen, record: Record, sessions: Sequence[Record], expected: Expectation
) -> list[str]:
    if any(one.measurement.kernels is None for one in (record, *sessions)):
        return ["kernels were not told apart by operator"]
    found = []
    by_name = {one.name: one for one in seen.moved}
    for name in expected.operators:
        one = by_name.get(name)
        if one is None or min(one.change_s, one.device_ops) < 0:
            found.append(f"{name} must grow; {moved_words(one) if one else 'it did not move'}")
    known = (*expected.operators, *expected.free_operators)
    found += [f"{one.name} must not move; {moved_words(one)}" for one in seen.moved if one.name not in known]
    return found


def moved_words(one: Moved) -> str:
    return f"{one.name} {signed(one.change_s)}, {one.device_ops:+d} device ops"
