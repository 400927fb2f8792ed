"""Every status of a verdict, and the words and numbers that it is given with."""

from dataclasses import replace
from pathlib import Path

import pytest

from analytic import Promise, SpecError
from baselines.judging import derive_run, judge_folder
from baselines.policy import POLICY, Policy
from baselines.store import Store
from baselines.verdict import Outcome, Status, Verdict, not_measured
from perf_tests.selftests.records import conditions, gpu_state, hard_key, record, run_folder, soft_key
from perf_tests.selftests.verdicts import (
    BAND,
    BANDS,
    CPU_BAND,
    DECODE,
    DEVICE_S,
    PLACE,
    STORED,
    confirmed,
    decode,
    history,
    judged,
    verdict_of,
)

PREFILL = "prefill-b1-p512-fp16-eager"
GENERATE = "generate-b1-p128-n32-fp16-eager"
CPU = "decode-b1-c128-fp32-eager"
CALM = [f"decode-b1-c{n}-fp16-eager" for n in range(500, 506)]


class TestPass:
    def test_as_before_and_in_its_band(self) -> None:
        verdict = verdict_of(decode())

        assert verdict.status is Status.PASS
        assert verdict.reasons == (
            "lower_s/device_s 0.547 lies in the band 0.47 to 0.62 (streams at 80 %)",
            (
                "device time 7.800 ms: +0.00 % against 7.800 ms, the mean of 5 sessions; "
                "from +0.79 % on it would be seen"
            ),
            "wall time 40.000 ms: +0.00 % against 40.000 ms (not judged: the case promises nothing of it)",
        )
        assert verdict.baseline_digest == "d" * 16
        assert verdict.sees_device == pytest.approx(0.0079, abs=5e-5)
        assert verdict.sees_wall == pytest.approx(0.005)

    @pytest.mark.parametrize("factor", [0.996, 0.998, 1.002, 1.0035])
    def test_a_change_that_the_sessions_show_themselves(self, factor: float) -> None:
        assert verdict_of(decode(DEVICE_S * factor)).status is Status.PASS

    @pytest.mark.parametrize("factor", [0.6, 1.4, 10.0])
    def test_the_wall_is_shown_and_never_judged(self, factor: float) -> None:
        verdict = verdict_of(decode(wall_s=0.040 * factor))

        assert verdict.status is Status.PASS
        shown = f"{100 * (factor - 1):+.2f} % against 40.000 ms (not judged"
        assert [r for r in verdict.reasons if shown in r]

    def test_generate_has_a_wall_only(self) -> None:
        measured = record(GENERATE, wall_s=1.0)
        stored = history(measured)
        verdict = verdict_of(measured, stored, bands=[replace(BAND, metric="lower_s/wall_s", low=0.05)])

        assert verdict.status is Status.PASS


class TestImpossible:
    def test_a_measured_record_at_0_3_of_its_time(self) -> None:
        verdict = verdict_of(decode(DEVICE_S * 0.3))

        assert verdict.status is Status.IMPOSSIBLE
        assert verdict.reasons[0] == (
            "device time 2.340 ms < 4.250 ms, the least that h100-sxm datasheet allows: the measurement is broken"
        )

    def test_less_what_the_l2_can_hold(self) -> None:
        """Between the least (50 MB come from the L2) and the bound all is well."""
        (derived,) = derive_run((decode(0.00426),))

        assert derived.least_s == pytest.approx(4.2496e-3, rel=1e-4)
        assert derived.bound.lower_s == pytest.approx(4.2652e-3, rel=1e-4)
        assert verdict_of(decode(0.00426), None).status is Status.NO_BASELINE
        assert verdict_of(decode(0.00424), None).status is Status.IMPOSSIBLE

    def test_exactly_the_least_is_possible(self) -> None:
        (derived,) = derive_run((decode(),))

        assert verdict_of(decode(derived.least_s), None).status is Status.NO_BASELINE

    def test_a_wall_that_was_not_synchronised(self) -> None:
        """The launch returned before the kernels ran: device time is right, the wall is not."""
        verdict = verdict_of(decode(wall_s=0.001298), None)

        assert verdict.status is Status.IMPOSSIBLE
        assert verdict.reasons[0].startswith("wall time 1.298 ms < 4.250 ms")

    def test_the_wall_where_there_is_no_device_time(self) -> None:
        verdict = verdict_of(decode(None, wall_s=0.003), None)

        assert verdict.status is Status.IMPOSSIBLE
        assert verdict.reasons[0].startswith("wall time 3.000 ms < 4.250 ms")

    def test_device_time_counts_even_where_the_wall_is_long(self) -> None:
        assert verdict_of(decode(0.003, wall_s=0.5), None).status is Status.IMPOSSIBLE

    def test_the_median_counts_not_the_fastest_sample(self) -> None:
        samples = [0.003, 0.5, DEVICE_S]
        (derived,) = derive_run((record(DECODE, wall_s=[0.9, 0.04, 0.03], device_s=samples),))

        assert (derived.wall_s, derived.device_s) == (0.04, DEVICE_S)
        assert verdict_of(record(DECODE, device_s=samples)).status is Status.PASS

    def test_a_cpu_may_beat_its_own_ceilings(self) -> None:
        measured = record(CPU, gpu="cpu", model="mistral-cpu-140m", wall_s=1e-6)
        verdict = verdict_of(measured, history(measured))

        assert verdict.status is Status.WARN
        assert "above the band 0.02 to 1.5" in verdict.reasons[0]

    def test_a_busy_cpu_fails_nothing(self) -> None:
        """Seen: two suites at once on two cores, a step a hundred times slower."""
        measured = record(CPU, gpu="cpu", model="mistral-cpu-140m", wall_s=2.0)
        verdict = verdict_of(measured, history(measured))

        assert verdict.status is Status.WARN
        assert "< 0.02, below the band 0.02 to 1.5" in verdict.reasons[0]
        assert verdict.outcome(strict=True) is Outcome.PASSES

    def test_a_cpu_without_ceilings_has_no_bound(self) -> None:
        measured = replace(
            record(CPU, gpu="cpu", model="mistral-cpu-140m", wall_s=0.05),
            ceilings=None,
        )
        with pytest.raises(SpecError, match=r"decode-b1-c128-fp32-eager: a CPU has no datasheet"):
            verdict_of(measured, None)


class TestBand:
    def test_below_it(self) -> None:
        verdict = verdict_of(decode(DEVICE_S * 1.6), None)

        assert verdict.status is Status.BELOW_BAND
        assert verdict.reasons[0] == (
            "lower_s/device_s 0.342 < 0.47, below the band 0.47 to 0.62 (streams at 80 %)"
        )

    def test_above_it_asks_for_a_higher_band(self) -> None:
        measured = decode(0.0060)
        verdict = verdict_of(measured, history(measured))

        assert verdict.status is Status.WARN
        assert verdict.reasons[0] == (
            "lower_s/device_s 0.711 > 0.62, above the band 0.47 to 0.62 (streams at 80 %): raise the band"
        )

    def test_its_ends_belong_to_it(self) -> None:
        (derived,) = derive_run((decode(),))
        fraction = derived.device_fraction
        assert fraction is not None

        assert verdict_of(decode(), bands=[replace(BAND, low=fraction)]).status is Status.PASS
        assert verdict_of(decode(), bands=[replace(BAND, high=fraction)]).status is Status.PASS

    def test_none_covers_the_case(self) -> None:
        verdict = verdict_of(decode(), bands=[CPU_BAND])

        assert verdict.status is Status.WARN
        assert verdict.reasons[0] == (
            f"no band for h100-sxm × mistral-7b-v0.1 × {DECODE}: the fraction is shown, not judged"
        )

    def test_on_the_wall(self) -> None:
        """4.265 of 40 ms are 0.107, whatever the kernels took."""
        wall = replace(BAND, metric="lower_s/wall_s", low=0.10, high=0.20)
        low = replace(wall, low=0.11)

        assert verdict_of(decode(), bands=[wall]).status is Status.PASS
        assert verdict_of(decode(), bands=[low]).status is Status.BELOW_BAND

    def test_on_device_time_that_was_not_measured(self) -> None:
        measured = decode(None, device_note="CUPTI needs permission")
        verdict = verdict_of(measured, history(measured))

        assert "no device time to hold against the band: CUPTI needs permission" in verdict.reasons


class TestHistory:
    def test_three_per_cent_slower(self) -> None:
        verdict = verdict_of(decode(DEVICE_S * 1.03))

        assert verdict.status is Status.REGRESSED
        # Both numbers, the file, and what to do if it is meant.
        assert verdict.reasons[0] == (
            "device time 8.034 ms: +3.00 % against 7.800 ms, the mean of 5 sessions "
            "(+3.00 %, +3.00 %, +3.00 % in 3 fresh processes): +3.00 % in all, more than the 0.50 % that "
            "chance and the floor allow; "
            f"baseline {PLACE}; if this is meant: commit it, and "
            f'python -m baselines refresh --sessions 5 -m gpu -k {DECODE} --accept-regression "why"'
        )

    def test_what_changed_beside_it_is_named(self) -> None:
        soft = replace(soft_key(), driver="595.10", torch="2.12.0")
        verdict = verdict_of(decode(DEVICE_S * 1.03, soft=soft))

        assert verdict.status is Status.REGRESSED
        assert (
            "; changed since: driver '580.159' -> '595.10'; torch '2.11.0' -> '2.12.0'; if"
            in verdict.reasons[0]
        )

    def test_what_one_of_the_sessions_had_too_is_no_change(self) -> None:
        """And what none had is told since the last."""
        sessions = STORED.baseline.sessions
        soft = [replace(soft_key(), driver=d) for d in ("580.159", "580.1", "580.2", "580.3", "580.4")]
        kept = tuple(replace(one, soft=key) for one, key in zip(sessions, soft, strict=True))
        stored = replace(STORED, baseline=replace(STORED.baseline, sessions=kept))
        slower = decode(DEVICE_S * 1.03)
        newer = decode(DEVICE_S * 1.03, soft=replace(soft_key(), driver="595.10"))

        assert "changed since" not in verdict_of(slower, stored).reasons[0]
        assert "; changed since: driver '580.4' -> '595.10'; if" in verdict_of(newer, stored).reasons[0]

    def test_another_soft_key_is_still_judged(self) -> None:
        soft = replace(soft_key(), host="host-b", driver="581.0")

        assert verdict_of(decode(soft=soft)).status is Status.PASS

    def test_another_card_of_the_kind_is_shown_and_not_judged(self) -> None:
        """Seen on three H100s: NF4 decode differs by 1.5 % between cards."""
        other = replace(soft_key(), gpu_uuid="GPU-7")
        verdict = verdict_of(decode(DEVICE_S * 1.03, soft=other))

        assert verdict.status is Status.WARN
        assert verdict.reasons[0] == (
            f"device time 8.034 ms: +3.00 % against 7.800 ms on another card ({soft_key().gpu_uuid}; this is "
            "GPU-7): shown, not judged; store 3 sessions of this card too (refresh --add)"
        )

    def test_another_card_without_stored_device_times(self) -> None:
        other = replace(soft_key(), gpu_uuid="GPU-7")
        verdict = verdict_of(decode(soft=other), history(decode(None)))

        assert verdict.status is Status.NO_BASELINE
        assert "hold no device time; take them: python -m baselines refresh" in verdict.reasons[0]

    def test_a_saturated_gpu_is_noisier_and_pooled_apart(self) -> None:
        """The power cap moves the clock of a GPU that never pauses; decode's spread
        does not judge it, nor the other way round."""
        wide = (0.97, 0.985, 1.0, 1.015, 1.03)
        calm = {c: history(record(c, device_s=DEVICE_S)) for c in CALM}
        capped = {
            c: history(record(c, device_s=0.12), factors=wide, regime="compute")
            for c in ("prefill-b8-p512-fp16-eager", "prefill-b8-p2048-fp16-eager")
        }
        slower = (
            record(CALM[0], device_s=DEVICE_S * 1.02),
            record(next(iter(capped)), device_s=0.12 * 1.02, wall_s=0.13),
        )
        stored = {**calm, **capped}
        steady, saturated = judged(slower, stored, bands=()).verdicts

        assert steady.status is Status.REGRESSED
        assert saturated.status is Status.AMBIGUOUS
        assert "from +10.38 % on it would be seen, and 1.0 % is promised" in saturated.reasons[0]

    def test_three_per_cent_faster_asks_to_be_kept(self) -> None:
        verdict = verdict_of(decode(DEVICE_S * 0.97))

        assert verdict.status is Status.IMPROVED
        assert verdict.reasons[0] == (
            "device time 7.566 ms: -3.00 % against 7.800 ms, the mean of 5 sessions; keep it: "
            f"python -m baselines refresh --sessions 5 -m gpu -k {DECODE}"
        )

    def test_a_change_below_the_floor_is_none(self) -> None:
        """Five equal sessions vary by nothing; half a per cent is still nothing."""
        stored = history(decode(), factors=[1.0] * 5)

        assert verdict_of(decode(DEVICE_S * 1.0049), stored).status is Status.PASS
        assert verdict_of(decode(DEVICE_S * 1.0051), stored).status is Status.REGRESSED
        assert verdict_of(decode(DEVICE_S * 0.9949), stored).status is Status.IMPROVED
        coarse = Policy(min_effect=0.05)
        rough = replace(decode().case, promise=Promise(device=0.06))
        assert verdict_of(decode(DEVICE_S * 1.03, case=rough), stored, policy=coarse).status is Status.PASS

    def test_the_suite_lends_its_spread_to_every_case(self) -> None:
        """Alone, five sessions of one case do not show that 1 % would be seen; others beside
        them do."""
        stored = history(decode(), factors=(0.997, 0.9985, 1.0, 1.0015, 1.003))
        calm = {c: history(record(c, device_s=DEVICE_S)) for c in CALM}
        (together,) = judged([decode()], {DECODE: stored, **calm}).verdicts
        alone = verdict_of(decode(), stored)

        assert alone.status is Status.AMBIGUOUS
        assert "from +1.10 % on it would be seen, and 1.0 % is promised" in alone.reasons[0]
        assert together.status is Status.PASS
        assert together.sees_device == pytest.approx(0.0076, abs=1e-4)

    def test_a_case_noisier_than_the_suite_is_judged_by_its_own_spread(self) -> None:
        cases = [f"decode-b1-c{n}-fp16-eager" for n in range(500, 512)]
        stored = {c: history(record(c, device_s=DEVICE_S)) for c in cases}
        stored[cases[0]] = history(record(cases[0], device_s=DEVICE_S), factors=(0.94, 0.97, 1.0, 1.03, 1.06))
        slower = [record(c, device_s=DEVICE_S * 1.03) for c in cases[:3]]
        noisy, *others = judged(slower, stored).verdicts

        assert noisy.status is Status.AMBIGUOUS
        assert {v.status for v in others} == {Status.REGRESSED}

    def test_none_is_stored(self) -> None:
        verdict = verdict_of(decode(), None)

        assert verdict.status is Status.NO_BASELINE
        assert verdict.reasons[0] == "no baseline is stored for this case"
        assert verdict.baseline_digest is None

    @pytest.mark.parametrize("sessions", [1, 2])
    def test_too_few_sessions_do_not_judge(self, sessions: int) -> None:
        stored = history(decode(), factors=[1.0] * sessions)
        verdict = verdict_of(decode(DEVICE_S * 1.10), stored)

        assert verdict.status is Status.NO_BASELINE
        few = f"{sessions} of the 3 sessions needed to judge are in {PLACE}; take them: python -m baselines"
        assert verdict.reasons[0].startswith(f"device time 8.580 ms: +10.00 % against 7.800 ms: {few}")

    def test_three_sessions_judge(self) -> None:
        stored = history(decode(), factors=[0.999, 1.0, 1.001])

        assert verdict_of(decode(DEVICE_S * 1.10), stored).status is Status.REGRESSED

    def test_a_gpu_that_never_gave_a_device_time_sees_nothing_of_it(self) -> None:
        """Three times as long a wall passes no strict gate unseen."""
        measured = decode(None, wall_s=0.120, device_note="CUPTI needs permission")
        verdict = verdict_of(measured, history(decode(None)))

        assert verdict.status is Status.AMBIGUOUS
        assert verdict.outcome(strict=True) is Outcome.FAILS
        assert verdict.reasons[0] == (
            "no device time (CUPTI needs permission), and 1.0 % of it is promised to be seen"
        )

    def test_an_asked_for_case_is_refreshed_by_what_asked_for_it(self) -> None:
        """-k alone would collect the lane's own cases, and none of them."""
        asked = replace(decode().case, why="asked for by --perf-context=512 --perf-batch=1")
        verdict = verdict_of(decode(DEVICE_S * 1.03, case=asked))

        asked = f"refresh --sessions 5 -m gpu -k {DECODE} --perf-context=512 --perf-batch=1"
        assert f"{asked} --accept-regression" in verdict.reasons[0]

    def test_a_case_of_another_store_is_refreshed_into_that(self) -> None:
        stored = replace(STORED, place=f"own store/h100-sxm/mistral-7b-v0.1/{DECODE}.json")
        verdict = verdict_of(decode(DEVICE_S * 1.03), stored)

        command = f"refresh --sessions 5 -m gpu -k {DECODE} --perf-baselines='own store' --accept-regression"
        assert command in verdict.reasons[0]

    def test_lost_device_time_does_not_pass_in_silence(self) -> None:
        """The wall alone judges nothing where history holds device times."""
        verdict = verdict_of(decode(None, device_note="no CUPTI"), bands=[replace(BAND, gpu="t4")])

        assert verdict.status is Status.INCOMPARABLE
        assert verdict.reasons[0] == f"{PLACE} holds device times, this run has none: no CUPTI"


class TestIncomparable:
    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"power_limit_w": 400.0}, "power_limit_w 700.0 -> 400.0"),
            ({"shapes": "fedcba9876543210"}, "shapes '0123456789abcdef' -> 'fedcba9876543210'"),
            ({"device": "NVIDIA H200"}, "device 'NVIDIA H100 80GB HBM3' -> 'NVIDIA H200'"),
            ({"ecc": False}, "ecc True -> False"),
            ({"mig": True}, "mig False -> True"),
            ({"checkpoint": "mistralai/x"}, "checkpoint 'random' -> 'mistralai/x'"),
            ({"attention": "eager", "ecc": None}, "ecc True -> None; attention 'sdpa' -> 'eager'"),
        ],
    )
    def test_another_hard_key(self, changed: dict[str, object], said: str) -> None:
        hard = replace(hard_key(), **changed)  # type: ignore[arg-type]
        verdict = verdict_of(decode(DEVICE_S * 1.10, hard=hard))

        assert verdict.status is Status.INCOMPARABLE
        assert verdict.reasons[0] == (
            f"{PLACE} was taken under another hard key: {said}; replace it: "
            f"python -m baselines refresh --sessions 5 -m gpu -k {DECODE}"
        )

    def test_a_damaged_baseline_is_named(self) -> None:
        verdict = verdict_of(decode(), None, damaged={DECODE: f"{PLACE}: not JSON"})

        assert verdict.status is Status.INCOMPARABLE
        assert verdict.reasons[0] == f"{PLACE}: not JSON"


class TestInvalid:
    """Which conditions spoil a measurement is test_validity.py's subject."""

    def test_every_spoiler_is_named(self) -> None:
        verdict = verdict_of(
            decode(seen=conditions(after=gpu_state("hw_slowdown"), foreign=["process 4242 (3.10 GiB)"]))
        )

        assert verdict.status is Status.INVALID
        assert verdict.reasons[0] == (
            "the GPU was slowed by hw_slowdown in 1 of 2 readings; others used the GPU: process 4242 (3.10 GiB)"
        )

    def test_a_calm_gpu_under_its_power_cap_is_judged(self) -> None:
        seen = conditions(during=[gpu_state("sw_power_cap")], slowed_s={"sw_power_cap": 0.9})

        assert verdict_of(decode(seen=seen)).status is Status.PASS

    def test_without_nvml_it_is_judged(self) -> None:
        assert verdict_of(decode(seen=None)).status is Status.PASS


class TestWorst:
    def test_the_worst_finding_is_the_verdict_and_the_first_reason(self) -> None:
        verdict = verdict_of(decode(DEVICE_S * 1.6))

        assert verdict.status is Status.BELOW_BAND
        assert verdict.reasons[0].startswith("lower_s/device_s 0.342 < 0.47")
        assert verdict.reasons[1].startswith("device time 12.480 ms: +60.00 % against 7.800 ms")
        assert verdict.reasons[2].startswith("wall time")
        assert len(verdict.reasons) == 3

    def test_invalid_outranks_impossible(self) -> None:
        verdict = verdict_of(decode(0.001, seen=conditions(after=gpu_state("hw_slowdown"))))

        assert verdict.status is Status.INVALID
        assert verdict.reasons[1].startswith("device time 1.000 ms < 4.250 ms")

    def test_a_regression_outranks_a_missing_band(self) -> None:
        assert verdict_of(decode(DEVICE_S * 1.03), bands=()).status is Status.REGRESSED

    def test_an_improvement_outranks_a_band_to_raise(self) -> None:
        assert verdict_of(decode(0.0060)).status is Status.IMPROVED

    def test_an_incomparable_baseline_hides_no_failure(self) -> None:
        hard = replace(hard_key(), power_limit_w=400.0)

        assert verdict_of(decode(DEVICE_S * 1.6, hard=hard)).status is Status.BELOW_BAND

    def test_cases_are_judged_apart(self) -> None:
        measured = [decode(DEVICE_S * 0.3), record(PREFILL, device_s=0.014)]
        first, second = judged(measured, {}, damaged={PREFILL: "x"}).verdicts

        assert (first.case, first.status) == (DECODE, Status.IMPOSSIBLE)
        assert (second.case, second.status) == (PREFILL, Status.INCOMPARABLE)


OUTCOMES = {
    # status: (plain, strict), as in the table of the design
    Status.PASS: (Outcome.PASSES, Outcome.PASSES),
    Status.IMPROVED: (Outcome.PASSES, Outcome.PASSES),
    Status.WARN: (Outcome.PASSES, Outcome.PASSES),
    Status.REGRESSED: (Outcome.FAILS, Outcome.FAILS),
    Status.BELOW_BAND: (Outcome.FAILS, Outcome.FAILS),
    Status.IMPOSSIBLE: (Outcome.FAILS, Outcome.FAILS),
    Status.INVALID: (Outcome.SKIPS, Outcome.FAILS),
    Status.INCOMPARABLE: (Outcome.SKIPS, Outcome.FAILS),
    Status.NO_BASELINE: (Outcome.PASSES, Outcome.FAILS),
    Status.SUSPECT: (Outcome.PASSES, Outcome.FAILS),
    Status.AMBIGUOUS: (Outcome.PASSES, Outcome.FAILS),
    # It fails for all of them in one place, and for a reason.
    Status.SHIFTED: (Outcome.PASSES, Outcome.PASSES),
    Status.NOT_MEASURED: (Outcome.PASSES, Outcome.FAILS),
}


@pytest.mark.parametrize("status", Status)
def test_what_a_status_does_to_its_item(status: Status) -> None:
    verdict = Verdict(case=DECODE, status=status, reasons=())
    plain, strict = OUTCOMES[status]

    assert verdict.outcome(strict=False) is plain
    assert verdict.outcome(strict=True) is strict


def test_not_measured_says_why() -> None:
    verdict = not_measured(DECODE, "needs 99 GiB of memory")

    assert (verdict.status, verdict.reasons) == (Status.NOT_MEASURED, ("needs 99 GiB of memory",))


class TestFolder:
    """The same judgement with its files read."""

    def test_a_stored_baseline_is_found_and_named_with_its_digest(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        path = store.write([decode(run=f"r{i}") for i in range(5)], written="today", command="a test")
        found = judge_folder(confirmed(tmp_path / "run", [decode(DEVICE_S * 1.03)]), store, rows=BANDS)
        (verdict,) = found.verdicts

        assert verdict.status is Status.REGRESSED
        assert f"baseline {path}; if this is meant" in verdict.reasons[0]
        assert verdict.baseline_digest is not None
        assert len(verdict.baseline_digest) == 16
        assert found.policy_digest == POLICY.digest
        assert found.policy_digest != Policy(claim_alpha=0.01).digest

    def test_the_shipped_bands_judge_unless_others_are_given(self, tmp_path: Path) -> None:
        """0.342 of the bound is below what an H100 reaches, and above nothing."""
        folder, store = run_folder(tmp_path / "run", [decode(DEVICE_S * 1.6)]), Store(tmp_path / "none")
        (shipped,) = judge_folder(folder, store).verdicts
        (given,) = judge_folder(folder, store, rows=()).verdicts

        assert shipped.status is Status.BELOW_BAND
        assert given.status is Status.NO_BASELINE

    def test_generate_without_its_first_token_cannot_be_judged(self) -> None:
        one = record(GENERATE)
        lacking = replace(one, measurement=replace(one.measurement, first_token_s=None))

        with pytest.raises(SpecError, match="without the time to its first token"):
            derive_run((lacking,))

    def test_a_damaged_file_spoils_only_its_own_case(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        prefill = record(PREFILL, device_s=0.0135)
        for one in (decode(), prefill):
            store.write([replace(one, run=f"r{i}") for i in range(3)], written="today", command="a test")
        path = store.path(decode())
        path.write_text(path.read_text(encoding="utf-8")[:-100], encoding="utf-8")
        judged = judge_folder(run_folder(tmp_path / "run", [decode(), prefill]), store, rows=BANDS)
        first, second = judged.verdicts

        assert first.status is Status.INCOMPARABLE
        assert first.reasons[0].startswith(f"{path}: not JSON, or cut short")
        assert first.damaged
        assert first.outcome(strict=False) is Outcome.FAILS
        assert second.status is Status.PASS

    def test_a_case_is_judged_alike_whatever_else_was_selected(self, tmp_path: Path) -> None:
        """The spread is pooled over the store, not over the cases of the run."""
        store = Store(tmp_path / "store")
        for case_id in (DECODE, *CALM):
            like = record(case_id, device_s=DEVICE_S)
            for_store = [replace(like, run=f"r{i}") for i in range(5)]
            factors = (0.998, 0.999, 1.0, 1.001, 1.002)
            store.write(
                [
                    replace(r, measurement=replace(r.measurement, device_s=(DEVICE_S * f,)))
                    for r, f in zip(for_store, factors, strict=True)
                ],
                written="2026-11-22",
                command="test",
            )
        measured = [record(c, device_s=DEVICE_S * 1.01) for c in (DECODE, *CALM)]
        alone = judge_folder(confirmed(tmp_path / "one", measured[:1]), store, rows=BANDS).verdicts
        together = judge_folder(confirmed(tmp_path / "all", measured[:3]), store, rows=BANDS).verdicts

        assert alone[0].reasons == together[0].reasons
        assert alone[0].status is Status.REGRESSED

    def test_two_lanes_in_one_run_are_judged_apart(self, tmp_path: Path) -> None:
        """Plain pytest measures the CPU first: its baselines say nothing of a GPU's spread."""
        store = Store(tmp_path / "store")
        on_cpu = record(CPU, gpu="cpu", model="mistral-cpu-140m", wall_s=0.05)
        on_gpu = [record(c, device_s=DEVICE_S) for c in CALM]
        for like in (on_cpu, *on_gpu):
            sampled = like.measurement
            sessions = [
                replace(
                    like,
                    run=f"r{i}",
                    measurement=replace(sampled, device_s=sampled.device_s and (DEVICE_S * f,)),
                )
                for i, f in enumerate((0.998, 0.999, 1.0, 1.001, 1.002))
            ]
            store.write(sessions, written="today", command="a test")
        alone = judge_folder(run_folder(tmp_path / "gpu", on_gpu), store, rows=BANDS).verdicts
        both = judge_folder(run_folder(tmp_path / "both", [on_cpu, *on_gpu]), store, rows=BANDS).verdicts

        assert both[1:] == alone
        assert {v.status for v in alone} == {Status.PASS}

    def test_what_cannot_be_bounded_or_is_misnamed_is_no_part_of_the_suite(self, tmp_path: Path) -> None:
        """Seen: a bf16 baseline beside a T4's stopped every verdict."""
        store = Store(tmp_path / "store")
        like = record(DECODE, gpu="t4", device_s=0.08, wall_s=0.09)
        path = store.write([replace(like, run=f"r{i}") for i in range(3)], written="x", command="x")
        folder = run_folder(tmp_path / "run", [like])
        before = judge_folder(folder, store, rows=BANDS).verdicts
        (path.parent / "copy-of.json").write_bytes(path.read_bytes())
        other = "decode-b1-c512-bf16-eager"
        text = path.read_text(encoding="utf-8").replace(DECODE, other)
        (path.parent / f"{other}.json").write_text(text, encoding="utf-8")

        assert judge_folder(folder, store, rows=BANDS).verdicts == before

    def test_planned_cases_without_a_record_were_not_measured(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [decode()], not_run={PREFILL: "needs 99 GiB of memory"})
        first, second = judge_folder(folder, Store(tmp_path / "none"), rows=BANDS).verdicts

        assert first.status is Status.NO_BASELINE
        assert second == not_measured(PREFILL, "needs 99 GiB of memory")

    def test_a_case_that_vanished_was_not_measured(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [decode(), record(PREFILL, device_s=0.0135)])
        (tmp_path / "records" / f"{PREFILL}.json").unlink()
        verdicts = judge_folder(folder, Store(tmp_path / "none"), rows=BANDS).verdicts

        assert [(v.case, v.status) for v in verdicts] == [
            (DECODE, Status.NO_BASELINE),
            (PREFILL, Status.NOT_MEASURED),
        ]
        assert verdicts[1].reasons == ("the case did not finish; see its measure item",)
