"""Suspects: who is measured again, who is cleared, who is confirmed, and what moves all together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analytic import Promise
from baselines.judge import Judgement
from baselines.judging import judge_folder
from baselines.past import Past
from baselines.policy import POLICY, Policy
from baselines.record import Record
from baselines.store import Store
from baselines.suite import Stored
from baselines.verdict import Outcome, Status
from perf_tests.selftests.records import conditions, gpu_state, hard_key, record, run_folder, soft_key
from perf_tests.selftests.verdicts import BANDS, DECODE, DEVICE_S, STORED, decode, history, judged, verdict_of

SLOW, SAME = decode(DEVICE_S * 1.03), decode()


def judgement(measured: Record, fresh: Sequence[Record], **given: object) -> Judgement:
    return judged([measured], {DECODE: STORED}, fresh={DECODE: fresh}, **given)  # type: ignore[arg-type]


class TestRounds:
    def test_a_slower_session_alone_is_a_suspicion(self) -> None:
        found = judgement(SLOW, [])
        (verdict,) = found.verdicts

        assert found.suspects == (DECODE,)
        assert verdict.status is Status.SUSPECT
        assert verdict.reasons[0] == (
            "device time 8.034 ms: +3.00 % against 7.800 ms, the mean of 5 sessions, not confirmed: "
            "no fresh process has measured it again"
        )
        assert verdict.outcome(strict=False) is Outcome.PASSES
        assert verdict.outcome(strict=True) is Outcome.FAILS

    def test_why_there_was_no_fresh_process_is_said(self) -> None:
        (verdict,) = judgement(SLOW, [], unconfirmed="no fresh process could be started: x").verdicts

        assert "not confirmed: no fresh process could be started: x" in verdict.reasons[0]

    @pytest.mark.parametrize("rounds", [1, 2])
    def test_it_stays_one_until_all_rounds_are_done(self, rounds: int) -> None:
        found = judgement(SLOW, [SLOW] * rounds)

        assert found.suspects == (DECODE,)
        assert found.verdicts[0].status is Status.SUSPECT
        assert f"({', '.join(['+3.00 %'] * rounds)} in {rounds} fresh process" in found.verdicts[0].reasons[0]

    def test_then_it_is_confirmed(self) -> None:
        found = judgement(SLOW, [SLOW] * 3)

        assert found.suspects == ()
        assert found.verdicts[0].status is Status.REGRESSED

    @pytest.mark.parametrize("rounds", [1, 2, 3])
    def test_one_odd_process_is_cleared_by_the_first_calm_one(self, rounds: int) -> None:
        found = judgement(SLOW, [SAME] * rounds)

        assert found.suspects == ()
        assert found.verdicts[0].status is Status.PASS
        assert (
            "suspected, and cleared (+0.00 %" in found.verdicts[0].reasons[-2] + found.verdicts[0].reasons[1]
        )

    def test_processes_that_are_hardly_slower_clear_it(self) -> None:
        """All beyond what is suspected, and by less than what is claimed."""
        hardly = decode(DEVICE_S * 1.004)
        found = judgement(decode(DEVICE_S * 1.02), [hardly] * 3)

        assert found.verdicts[0].status is Status.PASS

    def test_nobody_asks_for_calm_or_faster_cases(self) -> None:
        assert judgement(SAME, []).suspects == ()
        faster = judgement(decode(DEVICE_S * 0.97), [])
        assert (faster.suspects, faster.verdicts[0].status) == ((), Status.IMPROVED)

    def test_what_the_gpu_spoilt_is_not_measured_again(self) -> None:
        spoilt = decode(DEVICE_S * 1.03, seen=conditions(after=gpu_state("hw_slowdown")))
        found = judgement(spoilt, [])

        assert found.suspects == ()
        assert found.verdicts[0].status is Status.INVALID

    def test_a_process_on_another_card_or_key_says_nothing(self) -> None:
        other_card = decode(DEVICE_S * 1.03, soft=replace(soft_key(), gpu_uuid="GPU-7"))
        other_key = decode(DEVICE_S * 1.03, hard=replace(hard_key(), power_limit_w=400.0))
        (verdict,) = judgement(SLOW, [other_card, other_key, other_card]).verdicts

        assert verdict.status is Status.SUSPECT
        assert "0 of 3 fresh processes have measured it again, 3 in vain: " in verdict.reasons[0]
        assert "ran on another card, or under another hard key" in verdict.reasons[0]

    def test_without_rounds_the_session_decides(self) -> None:
        found = judgement(SLOW, [], policy=Policy(rounds=0))

        assert (found.suspects, found.verdicts[0].status) == ((), Status.REGRESSED)

    def test_the_folder_keeps_what_fresh_processes_said(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        store.write([decode(run=f"r{i}") for i in range(5)], written="today", command="a test")
        folder = run_folder(tmp_path / "run", [SLOW])
        said = []
        for number in range(1, POLICY.rounds + 1):
            assert folder.next_confirmation().path.name == str(number)
            said.append(judge_folder(folder, store, rows=BANDS).verdicts[0].status)
            run_folder(folder.next_confirmation().path, [SLOW])
        said.append(judge_folder(folder, store, rows=BANDS).verdicts[0].status)

        assert said == [*[Status.SUSPECT] * POLICY.rounds, Status.REGRESSED]

    def test_what_the_gpu_spoilt_in_a_fresh_process_says_nothing(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        store.write([decode(run=f"r{i}") for i in range(5)], written="today", command="a test")
        folder = run_folder(tmp_path / "run", [SLOW])
        spoilt = decode(seen=conditions(after=gpu_state("hw_slowdown")))
        run_folder(folder.next_confirmation().path, [spoilt])
        (verdict,) = judge_folder(folder, store, rows=BANDS).verdicts

        assert verdict.status is Status.SUSPECT
        assert "1 in vain: the GPU was slowed by hw_slowdown" in verdict.reasons[0]


class TestWallThatIsPromised:
    """Judged as device time is, by the spread of walls."""

    WALL = (0.99, 0.995, 1.0, 1.005, 1.01)

    def case(self, wall: float, *, factor: float = 1.0) -> Record:
        promising = replace(decode().case, promise=Promise(wall=wall))
        return decode(wall_s=0.040 * factor, case=promising)

    def stored(self, factors: Sequence[float] = WALL) -> Stored:
        sessions = tuple(
            replace(one, wall_s=(0.040 * f,) * 3)
            for one, f in zip(STORED.baseline.sessions, factors, strict=True)
        )
        return replace(STORED, baseline=replace(STORED.baseline, sessions=sessions))

    def test_a_slower_wall_fails_where_it_is_promised(self) -> None:
        verdict = verdict_of(self.case(0.1, factor=1.15), self.stored())

        assert verdict.status is Status.REGRESSED
        assert verdict.reasons[0].startswith("wall time 46.000 ms: +15.00 % against 39.999 ms")
        assert verdict_of(decode(wall_s=0.046), self.stored()).status is Status.PASS

    def test_half_of_what_is_promised_is_not_claimed(self) -> None:
        assert verdict_of(self.case(0.1, factor=1.04), self.stored()).status is Status.PASS

    def test_a_noisy_wall_is_said_not_to_see_it(self) -> None:
        verdict = verdict_of(self.case(0.05), self.stored((0.9, 0.95, 1.0, 1.05, 1.1)))

        assert verdict.status is Status.AMBIGUOUS
        assert "% on it would be seen, and 5.0 % is promised" in verdict.reasons[0]

    def test_a_bimodal_host_is_said_to_be_one(self) -> None:
        factors = (1.0, 1.13, 1.001, 0.999, 1.131, 1.0, 1.129, 0.9995, 1.002, 1.13)
        ten = history(decode(), factors=[1.0] * 10)
        sessions = tuple(
            replace(one, wall_s=(0.040 * f,) * 3)
            for one, f in zip(ten.baseline.sessions, factors, strict=True)
        )
        verdict = verdict_of(decode(), replace(ten, baseline=replace(ten.baseline, sessions=sessions)))

        assert [r for r in verdict.reasons if "bimodal" in r] == [
            "the stored walls are bimodal: 6 sessions near 40.010 ms, 4 near 45.200 ms (+12.97 %)"
        ]


CASES = [f"decode-b1-c{n}-fp16-eager" for n in range(500, 510)]
SUITE = {c: history(record(c, device_s=DEVICE_S)) for c in CASES}


def together(factors: Sequence[float], **changed: object) -> Judgement:
    measured = [
        record(c, device_s=DEVICE_S * f, **changed)  # type: ignore[arg-type]
        for c, f in zip(CASES, factors, strict=True)
    ]
    return judged(measured, SUITE)


@pytest.mark.parametrize(("suite", "judged"), [(1, 2), (7, 7)])
def test_what_is_claimed_is_corrected_for_the_suite_and_for_what_is_compared(suite: int, judged: int) -> None:
    """A store that only lends its spread may hold fewer baselines than are compared."""
    compared: Any = {case: SimpleNamespace(device=None) for case in CASES[:2]}

    assert Past.of(compared, POLICY, suite=suite).night.judged == judged


class TestShift:
    def test_all_slower_under_the_same_keys_is_one_failure(self) -> None:
        found = together([1.02] * 10)

        assert {v.status for v in found.verdicts} == {Status.SHIFTED}
        assert [v.outcome(strict=False) for v in found.verdicts].count(Outcome.FAILS) == 1
        assert found.shift is not None
        assert found.shift.fails
        assert found.shift.change == pytest.approx(0.02, rel=1e-3)
        assert found.shift.text == (
            "neither GPU nor driver nor a library changed: it is the code, or the machine; "
            "10 of 10 cases moved together: device time +2.00 % in the middle, +2.00 % to +2.00 %"
        )
        first, second = (found.verdicts[i].reasons[0] for i in (0, 1))
        assert first.startswith(f"{found.shift.text}; device time 7.956 ms: +2.00 %")
        assert second.startswith(f"moved with all others, see {CASES[0]}; device time 7.956 ms: +2.00 %")

    def test_one_case_under_the_same_keys_takes_the_excuse_from_all(self) -> None:
        """A baseline that missed a refresh explains none of the others."""
        stale = SUITE[CASES[3]]
        older = tuple(replace(s, soft=replace(s.soft, torch="2.10.0")) for s in stale.baseline.sessions)
        suite = SUITE | {CASES[3]: replace(stale, baseline=replace(stale.baseline, sessions=older))}
        found = judged([record(c, device_s=DEVICE_S * 1.02) for c in CASES], suite)

        assert found.shift is not None
        assert found.shift.fails
        assert found.shift.text.startswith(
            "since 9 baselines of 10 neither GPU nor driver nor a library changed"
        )
        assert [v.outcome(strict=False) for v in found.verdicts].count(Outcome.FAILS) == 1

    def test_what_the_gpu_spoilt_moved_nobody(self) -> None:
        found = together([1.1] * 10, seen=conditions(after=gpu_state("hw_slowdown")))

        assert found.shift is None
        assert {v.outcome(strict=False) for v in found.verdicts} == {Outcome.SKIPS}

    def test_a_promised_wall_moves_with_its_device_time(self) -> None:
        cases = [replace(record(c).case, promise=Promise(wall=0.01)) for c in CASES]
        measured = [
            replace(record(c.id, device_s=DEVICE_S * 1.02, wall_s=0.040 * 1.02), case=c) for c in cases
        ]
        found = judged(measured, SUITE)

        assert {v.status for v in found.verdicts} == {Status.SHIFTED}
        assert [v.outcome(strict=False) for v in found.verdicts].count(Outcome.FAILS) == 1

    @pytest.mark.parametrize("factor", [1.02, 0.98])
    def test_with_another_driver_it_is_shown_and_that_is_named_first(self, factor: float) -> None:
        found = together([factor] * 10, soft=replace(soft_key(), driver="595.10"))

        assert {v.status for v in found.verdicts} == {Status.SHIFTED}
        assert Outcome.FAILS not in [v.outcome(strict=True) for v in found.verdicts]
        assert found.shift is not None
        assert found.shift.text.startswith(
            "changed since the baselines: driver '580.159' -> '595.10'; 10 of 10"
        )

    def test_another_host_name_explains_nothing(self) -> None:
        found = together([1.02] * 10, soft=replace(soft_key(), host="host-b"))

        assert found.shift is not None
        assert found.shift.fails

    def test_all_faster_under_the_same_keys_is_the_codes_merit(self) -> None:
        found = together([0.98] * 10)

        assert found.shift is None
        assert {v.status for v in found.verdicts} == {Status.IMPROVED}

    def test_what_moved_further_than_the_others_regressed(self) -> None:
        found = together([1.02] * 9 + [1.08], soft=replace(soft_key(), driver="595.10"))

        assert [v.status for v in found.verdicts] == [*[Status.SHIFTED] * 9, Status.REGRESSED]

    @pytest.mark.parametrize("factors", [[1.02] * 7 + [1.0] * 3, [1.01, 1.05, 1.1, 1.2, 1.3] * 2])
    def test_some_or_by_very_different_amounts_are_no_shift(self, factors: list[float]) -> None:
        found = together(factors)

        assert found.shift is None
        assert {v.status for v in found.verdicts} <= {Status.REGRESSED, Status.PASS, Status.BELOW_BAND}

    def test_a_few_cases_say_nothing_of_all(self) -> None:
        measured = [record(c, device_s=DEVICE_S * 1.02) for c in CASES[:4]]
        found = judged(measured, SUITE)

        assert found.shift is None
        assert {v.status for v in found.verdicts} == {Status.REGRESSED}

    def test_what_is_only_suspected_is_no_shift(self) -> None:
        measured = [record(c, device_s=DEVICE_S * 1.02) for c in CASES]
        found = judged(measured, SUITE, fresh={})

        assert found.shift is None
        assert found.suspects == tuple(CASES)
