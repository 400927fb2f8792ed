"""A decode step beside its stored sessions, and the verdict that it is given."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from analytic import Case
from baselines.allowed import Allowed
from baselines.expectations import Band
from baselines.judge import Judgement, judge
from baselines.judging import derive_run
from baselines.policy import POLICY, Policy
from baselines.record import Record
from baselines.run import RunFolder
from baselines.store import baseline_of
from baselines.suite import Stored
from baselines.verdict import Verdict
from perf_tests.selftests.records import record, run_folder

DECODE = "decode-b1-c512-fp16-eager"
PLACE = "baselines/data/h100-sxm/mistral-7b-v0.1/decode-b1-c512-fp16-eager.json"

# The bound of the decode step is 4.265 ms: 7.8 ms are 0.547 of it.
DEVICE_S = 0.0078
BAND = Band(
    gpu="h100-sxm",
    model="mistral-7b-*",
    cases="*",
    metric="lower_s/device_s",
    low=0.47,
    high=0.62,
    reason="streams at 80 %",
    source="a test",
)
CPU_BAND = replace(BAND, gpu="cpu", model="mistral-cpu-140m", metric="lower_s/wall_s", low=0.02, high=1.5)
BANDS = (BAND, CPU_BAND)


def decode(device_s: float | None = DEVICE_S, *, case: Case | None = None, **changed: object) -> Record:
    found = record(DECODE, device_s=device_s, **changed)  # type: ignore[arg-type]
    return found if case is None else replace(found, case=case)


def confirmed(path: Path, records: Sequence[Record], *, rounds: int = POLICY.rounds) -> RunFolder:
    """A run's folder in which fresh processes measured every case just so again."""
    for number in range(1, rounds + 1):
        run_folder(path / "confirmations" / str(number), records)
    return run_folder(path, records)


def history(
    like: Record,
    *,
    factors: Sequence[float] = (0.998, 0.999, 1.0, 1.001, 1.002),
    place: str = PLACE,
    regime: str = "launch",
) -> Stored:
    """Sessions of `like` whose device times differ by `factors`."""
    sampled = like.measurement
    sessions = [
        replace(
            like,
            run=f"run-{i}",
            measurement=replace(
                sampled, device_s=None if sampled.device_s is None else tuple(s * f for s in sampled.device_s)
            ),
        )
        for i, f in enumerate(factors)
    ]
    baseline = baseline_of(sessions, written="2026-11-22T12:00:00+00:00", command="a test")
    return Stored(baseline=baseline, place=place, digest="d" * 16, regime=regime)


STORED = history(decode())


def judged(
    measured: Sequence[Record],
    stored: Mapping[str, Stored],
    *,
    fresh: Mapping[str, Sequence[Record]] | None = None,
    damaged: Mapping[str, str] | None = None,
    bands: Sequence[Band] = BANDS,
    allowed: Sequence[Allowed] = (),
    policy: Policy = POLICY,
    unconfirmed: str = "",
) -> Judgement:
    """What the gate says of the records. Fresh processes measure them just so once more,
    unless others are given."""
    if fresh is None:
        fresh = {one.case.id: [one] * policy.rounds for one in measured}
    return judge(
        derive_run(tuple(measured)),
        fresh={case: derive_run(tuple(records)) for case, records in fresh.items()},
        stored=stored,
        damaged=damaged or {},
        suite=tuple(stored.values()),
        bands=bands,
        allowed=allowed,
        policy=policy,
        unconfirmed=unconfirmed,
    )


def verdict_of(
    measured: Record,
    stored: Stored | None = STORED,
    *,
    fresh: Sequence[Record] | None = None,
    **given: Any,
) -> Verdict:
    """Of one record against its baseline; as for `judged`."""
    case_id = measured.case.id
    (verdict,) = judged(
        [measured],
        {case_id: stored} if stored else {},
        fresh=None if fresh is None else {case_id: fresh},
        **given,
    ).verdicts
    assert verdict.case == case_id
    return verdict
