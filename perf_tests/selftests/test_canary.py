"""A GPU that was slow is not taken for code that became slower."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from analytic import Ceilings
from baselines.canary import MIN_FALL, fallen
from baselines.policy import POLICY
from baselines.record import Counts, Record
from baselines.store import baseline_of
from baselines.suite import Stored
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import CPU_CEILINGS, DECODE, record, soft_key
from perf_tests.selftests.verdicts import BAND, verdict_of

DEVICE_S = 0.0078
FACTORS = (0.998, 0.999, 1.0, 1.001, 1.002)
USUAL = Ceilings(
    device="H100",
    copy_bytes_per_s=3.01e12,
    read_bytes_per_s=2.76e12,
    gemm_flops_per_s={"fp16": 750e12, "bf16": 777e12, "fp32": 50e12},
    launch_gap_s=9e-6,
    event_resolution_s=32e-9,
)


def scaled(factor: float, *, like: Ceilings = USUAL, **factors: float) -> Ceilings:
    """Every line times `factor`, or times the one that is given for it."""
    return replace(
        like,
        copy_bytes_per_s=like.copy_bytes_per_s * factors.get("copy", factor),
        read_bytes_per_s=like.read_bytes_per_s * factors.get("read", factor),
        gemm_flops_per_s={d: r * factors.get(d, factor) for d, r in like.gemm_flops_per_s.items()},
    )


SESSIONS = [scaled(f) for f in FACTORS]


def words(now: Ceilings, dtypes: tuple[str, ...] = ("fp16",)) -> str:
    found = fallen(now, SESSIONS, dtypes=dtypes, limiter="memory", policy=POLICY)
    return found.words if found else ""


class TestFallen:
    def test_the_line_is_named_with_both_numbers(self) -> None:
        assert words(scaled(1.0, copy=0.902)) == (
            "copy 2.72 TB/s, 9.8 % below the 3.01 TB/s of 5 sessions, which may vary by 1.2 %"
        )

    def test_every_line_that_fell(self) -> None:
        said = words(scaled(1.0, read=0.95, fp16=0.9))

        assert said == (
            "read 2.62 TB/s, 5.0 % below the 2.76 TB/s of 5 sessions, which may vary by 1.2 %; "
            "fp16 GEMM 675 TFLOP/s, 10.0 % below the 750 TFLOP/s of 5 sessions, which may vary by 1.2 %"
        )

    @pytest.mark.parametrize("factor", [1.0, 0.99, 0.989, 1.2])
    def test_what_the_sessions_show_themselves_is_no_fall(self, factor: float) -> None:
        assert words(scaled(factor)) == ""

    @pytest.mark.parametrize(("factor", "falls"), [(0.991, False), (0.989, True)])
    def test_sessions_that_agree_exactly_do_not_make_it_nervous(
        self,
        factor: float,
        falls: bool,  # noqa: FBT001 - a parameter of the table
    ) -> None:
        found = fallen(scaled(factor), [USUAL] * 5, dtypes=(), limiter="memory", policy=POLICY)

        assert MIN_FALL == 0.01
        assert (found is not None) is falls

    @pytest.mark.parametrize(
        ("dtypes", "falls"), [(("fp16", "fp16"), True), (("bf16",), False), (("int8",), False)]
    )
    def test_only_the_cases_own_dtypes_count(
        self,
        dtypes: tuple[str, ...],
        falls: bool,  # noqa: FBT001 - a parameter of the table
    ) -> None:
        assert bool(words(scaled(1.0, fp16=0.9), dtypes)) is falls

    def test_the_hosts_lines_do_not_count(self) -> None:
        assert words(replace(USUAL, launch_gap_s=90e-6, event_resolution_s=1e-6)) == ""

    @pytest.mark.parametrize("known", [0, 1, 2])
    def test_too_few_sessions_say_nothing(self, known: int) -> None:
        sessions = [*SESSIONS[:known], *[None] * 5]

        assert fallen(scaled(0.5), sessions, dtypes=("fp16",), limiter="memory", policy=POLICY) is None

    def test_without_ceilings_of_its_own_nothing_is_said(self) -> None:
        assert fallen(None, SESSIONS, dtypes=("fp16",), limiter="memory", policy=POLICY) is None

    def test_a_noisy_line_falls_by_more_before_it_is_said(self) -> None:
        noisy = [scaled(f, read=f**10) for f in FACTORS]
        found = fallen(scaled(0.95), noisy, dtypes=(), limiter="memory", policy=POLICY)

        assert found is not None
        assert found.words.startswith("copy ")
        assert "read" not in found.words


def one(
    device_s: float = DEVICE_S, reached: Ceilings = USUAL, *, gpu: str = "h100-sxm", **changed: object
) -> Record:
    return record(DECODE, gpu=gpu, device_s=device_s, measured_ceilings=reached, **changed)  # type: ignore[arg-type]


def verdict(
    measured: Record,
    *,
    session_ceilings: Mapping[int, Ceilings] | None = None,
    counts: Counts | None = None,
) -> Verdict:
    """Against five sessions of the same GPU, with SESSIONS or other ceilings."""
    held = session_ceilings or dict(enumerate(SESSIONS))
    return verdict_of(measured, of_sessions(measured, held, counts), bands=())


def of_sessions(measured: Record, held: Mapping[int, Ceilings], counts: Counts | None) -> Stored:
    sessions = [
        replace(one(DEVICE_S * f, gpu=measured.gpu, counts=counts), run=f"run-{i}", ceilings=held.get(i))
        for i, f in enumerate(FACTORS)
    ]
    baseline = baseline_of(sessions, written="2026-11-22T12:00:00+00:00", command="a test")
    return Stored(baseline=baseline, place="the/store.json", digest=None, regime="launch")


class TestVerdict:
    def test_a_slow_gpu_is_not_a_regression(self) -> None:
        found = verdict(one(DEVICE_S * 1.08, scaled(0.9)))

        assert found.status is Status.INVALID
        assert found.reasons[0].startswith(
            "the GPU was slow, not the code: copy 2.71 TB/s, 10.0 % below the 3.01 TB/s of 5 sessions, "
            "which may vary by 1.2 %; read "
        )
        assert "device time 8.424 ms: +8.00 % against 7.800 ms" in found.reasons[0]

    @pytest.mark.parametrize(
        ("slower", "status"), [(1.11, Status.INVALID), (1.15, Status.REGRESSED), (2.0, Status.REGRESSED)]
    )
    def test_it_excuses_no_more_than_it_was_slow_by(self, slower: float, status: Status) -> None:
        """A GPU 10 % slower makes a case 11.1 % longer, give or take what the case varies by."""
        found = verdict(one(DEVICE_S * slower, scaled(0.9)))

        assert found.status is status
        assert any(r.startswith("the GPU was slow") for r in found.reasons)

    @pytest.mark.parametrize(("slower", "status"), [(1.2, Status.INVALID), (1.5, Status.BELOW_BAND)])
    def test_it_excuses_a_low_fraction_by_as_much(self, slower: float, status: Status) -> None:
        """0.547 of the bound, with a band from 0.5: a GPU at 0.8 of its speed reaches 0.456."""
        measured = one(DEVICE_S * slower, scaled(0.8))
        stored = of_sessions(measured, dict(enumerate(SESSIONS)), None)
        found = verdict_of(measured, stored, bands=[replace(BAND, low=0.5)])

        assert found.status is status

    def test_what_is_as_slow_on_a_gpu_as_fast_as_ever_is_the_code(self) -> None:
        slow, healthy = one(DEVICE_S * 1.08, scaled(0.9)), one(DEVICE_S * 1.08)
        stored = of_sessions(slow, dict(enumerate(SESSIONS)), None)

        assert verdict_of(slow, stored, bands=(), fresh=[slow] * 3).status is Status.INVALID
        assert verdict_of(slow, stored, bands=(), fresh=[healthy] * 3).status is Status.REGRESSED

    def test_it_excuses_no_counts_and_no_broken_clock(self) -> None:
        slow = one(DEVICE_S * 1.08, scaled(0.9))
        counts = Counts(launches=100)
        more = replace(slow, measurement=replace(slow.measurement, counts=replace(counts, launches=120)))
        unsynchronised = replace(slow, measurement=replace(slow.measurement, wall_s=(0.001,) * 3))

        assert verdict(slow).status is Status.INVALID
        assert verdict(more, counts=counts).status is Status.REGRESSED
        assert verdict(unsynchronised).status is Status.IMPOSSIBLE

    @pytest.mark.parametrize("held", ["copy", "read"])
    def test_what_does_not_bind_the_case_excuses_nothing(self, held: str) -> None:
        """Decode streams: that products, or one of the two streams, were slower is said, and no excuse."""
        products = verdict(one(DEVICE_S * 1.02, scaled(1.0, fp16=0.9)))
        one_stream = verdict(one(DEVICE_S * 1.08, scaled(0.9, **{held: 1.0})))

        assert products.status is one_stream.status is Status.REGRESSED
        assert any(r.startswith("the GPU was slow: fp16 GEMM 675 TFLOP/s") for r in products.reasons)
        assert any(r.startswith("the GPU was slow: ") for r in one_stream.reasons)

    def test_without_a_fall_it_is_a_regression(self) -> None:
        found = verdict(one(DEVICE_S * 1.08))

        assert found.status is Status.REGRESSED
        assert not [r for r in found.reasons if "the GPU was slow" in r]

    @pytest.mark.parametrize(("factor", "status"), [(1.0, Status.WARN), (0.9, Status.IMPROVED)])
    def test_where_nothing_regressed_it_is_said(self, factor: float, status: Status) -> None:
        found = verdict(one(DEVICE_S * factor, scaled(1.0, copy=0.902)))

        assert found.status is status
        assert [r for r in found.reasons if r.startswith("the GPU was slow: copy 2.72 TB/s, 9.8 % below")]

    def test_sessions_from_before_ceilings_were_kept_excuse_nothing(self) -> None:
        found = verdict(one(DEVICE_S * 1.08, scaled(0.9)), session_ceilings={0: USUAL, 1: USUAL})

        assert found.status is Status.REGRESSED

    def test_another_card_is_not_called_slow(self) -> None:
        another = replace(soft_key(), gpu_uuid="GPU-another")

        assert not [r for r in verdict(one(reached=scaled(0.9), soft=another)).reasons if "GPU was slow" in r]

    def test_a_cpus_ceilings_excuse_nothing(self) -> None:
        slow = replace(CPU_CEILINGS, copy_bytes_per_s=CPU_CEILINGS.copy_bytes_per_s / 2)
        measured = record("decode-b1-c128-fp32-eager", gpu="cpu", device_s=0.05, measured_ceilings=slow)
        sessions = [
            replace(record("decode-b1-c128-fp32-eager", gpu="cpu", device_s=0.04 * f), run=f"run-{i}")
            for i, f in enumerate(FACTORS)
        ]
        baseline = baseline_of(sessions, written="2026-11-22T12:00:00+00:00", command="a test")
        stored = Stored(baseline=baseline, place="the/store.json", digest=None, regime="memory")
        found = verdict_of(measured, stored, bands=())

        assert found.status is Status.REGRESSED
        assert not [r for r in found.reasons if "the GPU was slow" in r]
