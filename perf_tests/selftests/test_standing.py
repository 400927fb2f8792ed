"""How a GPU and model stand after a run: what fails, by how much, in what and since when."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from analytic import Promise
from baselines.codec import FormatError
from baselines.history.entry import Observation, observations_of
from baselines.history.since import Since, failing_since, read_since, write_since
from baselines.judging import derive_run, judge_folder
from baselines.record import Counts, Record
from baselines.run import RunFolder, Verdicts
from baselines.store import Store
from baselines.verdict import Status, Verdict
from perf_tests.selftests.pages import judged, said
from perf_tests.selftests.records import DECODE, kernel, record, run_folder, run_info, soft_key
from perf_tests.selftests.refreshes import PREFILL, five, refresh
from reports.standing import Problem, Standing, read_run, standings_of

# After the sessions of the baseline, which are of 2026-11-22.
FIRST = dt.datetime(2026, 12, 1, 2, tzinfo=dt.UTC)
STARTED = "2026-12-20T02:00:00+00:00"


def observed(night: int, status: Status | None, *, dirty: bool = False) -> Observation:
    one = record(DECODE, device_s=0.008, wall_s=0.04)
    (found,) = observations_of(run_info([one]), [one], ())
    return replace(
        found,
        key=f"night-{night}",
        run=f"night-{night}",
        run_started=FIRST + dt.timedelta(days=night),
        commit=f"c{night}",
        status=None if status is None else status.value,
        dirty=dirty,
    )


class TestFailingSince:
    def test_the_first_of_the_failures_at_the_end(self) -> None:
        statuses = (Status.REGRESSED, Status.PASS, Status.REGRESSED, Status.BELOW_BAND)
        found = failing_since([observed(i, s) for i, s in enumerate(statuses)])

        assert found == Since(night="2026-12-03", good="c1", bad="c2")
        assert found.commits == "commits c1..c2"

    @pytest.mark.parametrize("status", [Status.INVALID, Status.SUSPECT, Status.AMBIGUOUS, None])
    def test_what_was_not_judged_says_nothing(self, status: Status | None) -> None:
        found = failing_since([observed(0, Status.PASS), observed(1, status), observed(2, Status.REGRESSED)])

        assert found == Since(night="2026-12-03", good="c0", bad="c2")

    def test_a_dirty_tree_says_nothing(self) -> None:
        found = failing_since(
            [observed(0, Status.PASS), observed(1, Status.PASS, dirty=True), observed(2, Status.REGRESSED)]
        )

        assert found is not None
        assert found.good == "c0"

    def test_a_warning_on_another_card_says_nothing(self) -> None:
        """Its baseline does not judge there: what regressed before it has not recovered."""
        other = replace(observed(2, Status.WARN), soft=replace(soft_key(), gpu_uuid="GPU-1"))
        nights = [
            observed(0, Status.PASS),
            observed(1, Status.REGRESSED),
            other,
            observed(3, Status.REGRESSED),
        ]

        assert failing_since(nights) == Since(night="2026-12-02", good="c0", bad="c1")

    def test_the_order_is_that_of_the_runs(self) -> None:
        found = failing_since(
            [observed(2, Status.REGRESSED), observed(0, Status.PASS), observed(1, Status.PASS)]
        )

        assert found is not None
        assert found.good == "c1"

    def test_what_passed_last_does_not_fail(self) -> None:
        assert failing_since([observed(0, Status.REGRESSED), observed(1, Status.PASS)]) is None
        assert failing_since([observed(0, Status.REGRESSED), observed(1, Status.WARN)]) is None
        assert failing_since([]) is None

    def test_without_a_night_that_passed_only_the_first_bad_commit_is_known(self) -> None:
        found = failing_since([observed(0, Status.REGRESSED), observed(1, Status.REGRESSED)])

        assert found == Since(night="2026-12-01", good=None, bad="c0")
        assert found.commits == "commit c0 or before"


def with_kernels(one: Record) -> Record:
    time_s = (one.measurement.device_s or (0.0,))[0]
    counts = Counts(launches=100)
    return replace(
        one, measurement=replace(one.measurement, kernels=(kernel("gemm", *(time_s,) * 3),), counts=counts)
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    assert refresh(tmp_path / "store", five(tmp_path / "base", change=with_kernels)) == 0
    return Store(tmp_path / "store")


def run_of(path: Path, store: Store, *records: Record, not_run: dict[str, str] | None = None) -> RunFolder:
    """A run of these, measured just so in three fresh processes, and judged."""
    for number in (1, 2, 3):
        run_folder(path / "confirmations" / str(number), records)
    folder = run_folder(path, records, not_run=not_run)
    folder.write_info(replace(folder.info(), started=STARTED))
    found = judge_folder(folder, store)
    folder.write_verdicts(
        Verdicts(policy_digest=found.policy_digest, verdicts=found.verdicts, shift=found.shift)
    )
    return folder


def standings(
    folder: RunFolder, verdicts: Sequence[Verdict], store: Store, history: Sequence[Observation] = ()
) -> tuple[Standing, ...]:
    """Of a run's folder, beside observations of other runs."""
    info, records = folder.info(), folder.records()
    observations = (*history, *observations_of(info, records, verdicts))
    return standings_of(
        read_run(folder, info, derive_run(records), verdicts, store, observations=observations)
    )


def stand(folder: RunFolder, store: Store, history: Sequence[Observation] = ()) -> Standing:
    (found,) = standings(folder, folder.verdicts(), store, history)
    return found


def problem(folder: RunFolder, store: Store, history: Sequence[Observation] = ()) -> Problem:
    (found,) = stand(folder, store, history).problems
    return found


SLOW = with_kernels(record(DECODE, wall_s=0.016, device_s=0.0083))
SAME = with_kernels(record(PREFILL, wall_s=0.016, device_s=0.00802))


class TestProblem:
    def test_it_is_the_verdicts_own_change_in_numbers(self, tmp_path: Path, store: Store) -> None:
        found = problem(run_of(tmp_path / "run", store, SLOW, SAME), store)

        # The stored sessions take 8.00 to 8.04 ms.
        assert (found.metric, found.then_s, found.now_s) == (
            "device time",
            pytest.approx(0.00802, rel=1e-4),
            pytest.approx(0.0083, rel=1e-9),
        )
        assert found.change == pytest.approx(0.0083 / 0.00802 - 1, rel=1e-3)
        assert found.operators == ("q_proj +280.0 µs",)
        assert found.since == Since(night="2026-12-20", good="abc1234", bad="abc1234")
        assert found.words.startswith(
            "device time +3.49 % (8.020 ms → 8.300 ms); most in q_proj +280.0 µs; since"
        )

    def test_a_count_that_grew_is_told(self, tmp_path: Path, store: Store) -> None:
        more = replace(
            with_kernels(record(DECODE, wall_s=0.016, device_s=0.00802)),
            measurement=replace(SAME.measurement, counts=Counts(launches=103)),
        )
        found = problem(run_of(tmp_path / "run", store, more, SAME), store)

        assert found.counts == ("launches 100 -> 103",)
        # Its time is within noise, and is not said to be why.
        assert (found.metric, found.change, found.operators) == (None, None, ())
        assert found.words.startswith("launches 100 -> 103; since ")

    def test_a_baseline_that_was_changed_since_says_nothing_of_its_size(
        self, tmp_path: Path, store: Store
    ) -> None:
        folder = run_of(tmp_path / "run", store, SLOW, SAME)
        assert (
            refresh(store.root, five(tmp_path / "later", first_s=0.0081), "--accept-regression", "meant") == 0
        )
        found = problem(folder, store)

        assert (found.change, found.operators) == (None, ())
        assert found.words.startswith("device time 8.300 ms: +3.49 % against 8.020 ms")

    def test_under_its_band_it_keeps_its_size(self, tmp_path: Path, store: Store) -> None:
        """The worst slowdowns fall under their band, which is the worse verdict."""
        half = with_kernels(record(DECODE, wall_s=0.016, device_s=0.012))
        found = problem(run_of(tmp_path / "run", store, half, SAME), store)

        assert found.status is Status.BELOW_BAND
        assert found.change == pytest.approx(0.012 / 0.00802 - 1, rel=1e-3)
        assert found.operators == ("q_proj +3.980 ms",)
        assert found.words.startswith("lower_s/device_s 0.355 < 0.47, below the band ")
        assert (
            "; device time +49.63 % (8.020 ms → 12.000 ms); most in q_proj +3.980 ms; since " in found.words
        )

    def test_a_wall_that_is_not_claimed_takes_no_other_times_place(
        self, tmp_path: Path, store: Store
    ) -> None:
        """It is promised, and differs by more; but by less than chance allows of a wall."""
        slow = replace(SLOW, case=replace(SLOW.case, promise=Promise(wall=0.5)))
        slow = replace(slow, measurement=replace(slow.measurement, wall_s=(0.0172,) * 3))
        found = problem(run_of(tmp_path / "run", store, slow, SAME), store)

        assert (found.metric, found.operators) == ("device time", ("q_proj +280.0 µs",))

    def test_what_failed_before_the_baseline_was_accepted_says_nothing(
        self, tmp_path: Path, store: Store
    ) -> None:
        folder = run_of(tmp_path / "run", store, SLOW, SAME)
        before = [
            replace(observed(i, s), run_started=dt.datetime(2026, 11, 1 + i, tzinfo=dt.UTC))
            for i, s in enumerate((Status.PASS, Status.REGRESSED, Status.REGRESSED))
        ]

        assert problem(folder, store, before).since == Since(
            night="2026-12-20", good="abc1234", bad="abc1234"
        )

    def test_the_history_says_since_when(self, tmp_path: Path, store: Store) -> None:
        folder = run_of(tmp_path / "run", store, SLOW, SAME)
        found = problem(folder, store, [observed(0, Status.PASS), observed(3, Status.REGRESSED)])

        assert found.since == Since(night="2026-12-04", good="c0", bad="c3")

    def test_runs_after_this_one_say_nothing(self, tmp_path: Path, store: Store) -> None:
        folder = run_of(tmp_path / "run", store, SLOW, SAME)
        found = problem(folder, store, [observed(0, Status.PASS), observed(40, Status.PASS)])

        assert found.since == Since(night="2026-12-20", good="c0", bad="abc1234")

    def test_another_card_or_case_says_nothing(self, tmp_path: Path, store: Store) -> None:
        folder = run_of(tmp_path / "run", store, SLOW, SAME)
        others = [
            replace(observed(i, Status.PASS), **{name: "another"}) for i, name in enumerate(("case", "hard"))
        ]

        assert problem(folder, store, others).since == Since(
            night="2026-12-20", good="abc1234", bad="abc1234"
        )

    def test_elsewhere_the_folder_tells_what_the_history_said(self, tmp_path: Path, store: Store) -> None:
        """On a hosted runner there is no history to ask."""
        folder = run_of(tmp_path / "run", store, SLOW, SAME)
        known = problem(folder, store, [observed(0, Status.PASS), observed(3, Status.REGRESSED)]).since
        assert known is not None
        write_since(folder.path, {DECODE: known})

        assert problem(folder, store).since == known
        assert read_since(folder.path) == {DECODE: known}
        # A history that knows of more failures goes before.
        assert problem(folder, store, [observed(1, Status.REGRESSED)]).since == Since(
            night="2026-12-02", good="abc1234", bad="c1"
        )

    def test_all_together_are_one_problem(self, tmp_path: Path) -> None:
        cases = [f"decode-b{b}-c{c}-fp16-eager" for b in (1, 2, 4) for c in (128, 512)]
        assert refresh(tmp_path / "store", five(tmp_path / "base", cases=cases)) == 0
        store = Store(tmp_path / "store")
        slow = [record(case, wall_s=0.016, device_s=0.0083) for case in cases]
        found = problem(run_of(tmp_path / "run", store, *slow), store)

        assert found.status is Status.SHIFTED
        assert "6 of 6 cases moved together" in found.words
        assert found.since == Since(night="2026-12-20", good="abc1234", bad="abc1234")


def test_a_night_that_is_no_date_is_refused(tmp_path: Path) -> None:
    write_since(tmp_path, {DECODE: Since(night="2026-12-01", good="a", bad="b")})
    path = tmp_path / "since.json"
    path.write_text(path.read_text(encoding="utf-8").replace("2026-12-01", "<!-- -->"), encoding="utf-8")

    with pytest.raises(FormatError, match="is no date; one such as 2026-11-22 is needed"):
        read_since(tmp_path)


class TestStanding:
    def test_cases_are_failing_settled_or_open(self, tmp_path: Path, store: Store) -> None:
        folder = run_of(
            tmp_path / "run", store, SLOW, SAME, not_run={"decode-b8-c512-fp16-eager": "needs 99 GiB"}
        )
        found = stand(folder, store)

        assert [p.case for p in found.problems] == [DECODE]
        # Above its band: a warning, but judged by history.
        assert found.settled == (PREFILL,)
        assert found.open == {"decode-b8-c512-fp16-eager": "not_measured: needs 99 GiB"}
        assert found.judged

    def test_another_cards_baseline_settles_nothing(self, tmp_path: Path, store: Store) -> None:
        """Its difference is shown, not judged: a regression does not recover by it."""
        card = replace(soft_key(), gpu_uuid="GPU-1")
        folder = run_of(tmp_path / "run", store, *(replace(one, soft=card) for one in (SLOW, SAME)))
        found = stand(folder, store)

        assert found.settled == ()
        assert set(found.open) == {DECODE, PREFILL}
        assert not found.judged

    def test_a_run_that_nobody_judged_is_open(self, tmp_path: Path, store: Store) -> None:
        folder = run_folder(tmp_path / "run", [SLOW])

        assert stand(folder, store).open == {DECODE: "not judged"}

    def test_a_plan_of_two_models_is_told_apart(self, tmp_path: Path, store: Store) -> None:
        other = record(PREFILL, model="llama-3-8b", wall_s=0.016, device_s=0.01)
        folder = judged(
            run_folder(tmp_path / "run", [SLOW, other], not_run={"decode-b8-c512-fp16-eager": "too large"}),
            said(Status.PASS, DECODE),
            said(Status.INVALID, PREFILL, "too hot"),
        )
        mistral, llama = standings(folder, folder.verdicts(), store)

        assert (mistral.model, mistral.open) == (
            SLOW.case.model,
            {"decode-b8-c512-fp16-eager": "not_measured: too large"},
        )
        assert (llama.model, llama.settled, llama.open) == ("llama-3-8b", (), {PREFILL: "invalid: too hot"})

    def test_a_run_that_measured_nothing_stands_nowhere(self, tmp_path: Path, store: Store) -> None:
        folder = run_folder(tmp_path / "run", [], not_run={DECODE: "no GPU"})

        assert standings(folder, (), store) == ()
