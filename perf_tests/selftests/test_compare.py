"""python -m baselines compare: two sides judged by the gate's own rule, from records alone."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baselines.__main__ import main
from baselines.record import Counts, KernelTime, Record
from baselines.run import RunFolder
from baselines.sides import sessions_at, side_at
from baselines.store import Store
from baselines.verdict import Outcome, Status
from baselines.versus import Pair, Versus, compare_sides
from perf_tests.selftests.records import DECODE, MODEL, gpu_state, hard_key, record, run_folder
from perf_tests.selftests.records import conditions as seen

DECODES = tuple(f"decode-b1-c{length}-fp16-eager" for length in (128, 256, 384, 512, 640, 768))
DEVICE_S = 0.008
# Of five sessions: 0.16 % between them.
FACTORS = (0.998, 0.999, 1.0, 1.001, 1.002)
LAUNCHES = Counts(launches=1000, python_calls=5000)

Capture = pytest.CaptureFixture[str]
Change = Callable[[Record], Record]


def a_run(
    path: Path,
    factor: float = 1.0,
    *,
    cases: Sequence[str] = (DECODE,),
    change: Change = lambda r: r,
    **given: Any,
) -> Path:
    """A run whose name is its id, and whose device times are `factor` times the usual."""
    run_id = "-".join(path.parts[-2:])
    records = [
        change(record(case, device_s=DEVICE_S * factor, wall_s=0.04, run=run_id, **given)) for case in cases
    ]
    folder = run_folder(path, records)
    folder.write_info(replace(folder.info(), id=run_id))
    return path


def sessions(path: Path, factors: Sequence[float] = FACTORS, **given: Any) -> Path:
    for i, factor in enumerate(factors, start=1):
        a_run(path / f"session-{i}", factor, **given)
    return path


def a_store(path: Path, *, cases: Sequence[str] = DECODES, change: Change = lambda r: r) -> Store:
    store = Store(path)
    for case in cases:
        taken = [change(record(case, device_s=DEVICE_S * f, wall_s=0.04, run=str(f))) for f in FACTORS]
        store.write(taken, written="2026-11-22", command="a test")
    return store


@pytest.fixture
def none(tmp_path: Path) -> Store:
    """A store that lends nothing."""
    return Store(tmp_path / "no-store")


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return sessions(tmp_path / "a")


def versus(a: Path, b: Path, store: Store) -> Versus:
    return compare_sides(side_at(a), sessions_at(b), store=store)


def pair(a: Path, b: Path, store: Store) -> Pair:
    (one,) = versus(a, b, store).pairs
    return one


def compared(a: Path, b: Path, *options: str, store: Path | None = None) -> int:
    lends = store or a.parent / "no-store"
    return main(["compare", str(a), str(b), "--perf-baselines", str(lends), *options])


class TestRuns:
    @pytest.mark.parametrize(
        ("factor", "status"),
        [(1.0, Status.PASS), (1.004, Status.PASS), (1.02, Status.REGRESSED), (0.98, Status.IMPROVED)],
    )
    def test_one_run_decides_by_itself(
        self, factor: float, status: Status, a: Path, none: Store, tmp_path: Path
    ) -> None:
        one = pair(a, a_run(tmp_path / "b", factor), none)

        assert one.verdict.status is status
        assert one.device.a_s == pytest.approx(DEVICE_S, rel=1e-5)
        assert one.device.b_s == pytest.approx(DEVICE_S * factor)
        assert one.device.change == pytest.approx(factor - 1, abs=1e-5)
        assert one.device.sees == one.verdict.sees_device is not None

    def test_both_are_of_one_band_and_still_too_slow(self, none: Store, tmp_path: Path) -> None:
        """Against itself nothing is slower; against its bound it is."""
        slow = sessions(tmp_path / "a", tuple(1.6 * f for f in FACTORS))

        assert pair(slow, a_run(tmp_path / "b", 1.6), none).verdict.status is Status.BELOW_BAND

    def test_what_moves_all_together_is_said_once(self, none: Store, tmp_path: Path, capsys: Capture) -> None:
        a = sessions(tmp_path / "a", cases=DECODES)
        b = a_run(tmp_path / "b", 1.02, cases=DECODES)
        found = versus(a, b, none)

        assert {one.verdict.status for one in found.pairs} == {Status.SHIFTED}
        assert found.shift is not None
        assert len(found.failing(strict=False)) == 1
        assert compared(a, b) == 1
        assert "All moved together: " in capsys.readouterr().out

    def test_another_hard_key_is_not_compared(self, a: Path, none: Store, tmp_path: Path) -> None:
        b = a_run(tmp_path / "b", 1.05, hard=replace(hard_key(), power_limit_w=350.0))
        one = pair(a, b, none)

        assert one.verdict.status is Status.INCOMPARABLE
        assert "power_limit_w 700.0 -> 350.0" in one.verdict.reasons[0]

    def test_another_model_of_the_same_shapes_is_refused(
        self, a: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        """A case's id does not name its model."""
        b = a_run(tmp_path / "b", 1.0, model="mistral-7b-v0.2")

        assert compared(a, b) == 2
        assert f"error: {a} is of {MODEL}, {b} of mistral-7b-v0.2: " in capsys.readouterr().err

    def test_two_models_on_one_side_are_refused(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        a_run(a / "session-6", model="mistral-7b-v0.2")

        assert compared(a, a_run(tmp_path / "b")) == 2
        assert f"error: {a} is of mistral-7b-v0.2, " in capsys.readouterr().err

    def test_another_gpu_is_refused(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        b = a_run(tmp_path / "b", gpu="h200")

        assert compared(a, b) == 2
        assert f"error: {a} is of h100-sxm, {b} of h200: " in capsys.readouterr().err

    def test_what_the_state_of_the_gpu_spoilt_is_left_out_of_a(
        self, a: Path, none: Store, tmp_path: Path
    ) -> None:
        hot = seen(after=gpu_state("hw_thermal_slowdown"), slowed_s={"hw_thermal_slowdown": 0.9})
        a_run(a / "session-6", 1.5, seen=hot)
        found = versus(a, a_run(tmp_path / "b"), none)

        assert found.pairs[0].device.a_s == pytest.approx(DEVICE_S, rel=1e-5)
        (note,) = found.notes
        assert note.startswith(f"{a / 'session-6'}: {DECODE} is left out: ")

    def test_what_moved_is_told_by_operator(self, none: Store, tmp_path: Path, capsys: Capture) -> None:
        def kernel(time_s: float) -> Change:
            one = KernelTime(operator="up_proj", name="gemm", launches=1, device_s=(time_s,) * 3)
            return lambda r: replace(r, measurement=replace(r.measurement, kernels=(one,)))

        a = sessions(tmp_path / "a", change=kernel(0.002))
        b = a_run(tmp_path / "b", 1.02, change=kernel(0.00216))
        (moved,) = pair(a, b, none).moved

        assert (moved.name, moved.change_s) == ("up_proj", pytest.approx(0.00016))
        assert compared(a, b) == 1
        assert f"### What moved: `{DECODE}`" in capsys.readouterr().out
        assert pair(a, a_run(tmp_path / "c", change=kernel(0.002)), none).moved == ()


class TestFewSessions:
    @pytest.mark.parametrize("sessions_of_a", [1, 2])
    def test_without_a_store_the_change_is_shown_and_not_judged(
        self, sessions_of_a: int, none: Store, tmp_path: Path, capsys: Capture
    ) -> None:
        a = sessions(tmp_path / "a", FACTORS[2:][:sessions_of_a])
        b = a_run(tmp_path / "b", 1.02)
        one = pair(a, b, none)

        assert one.verdict.status is Status.NO_BASELINE
        assert one.device.change == pytest.approx(0.02, abs=1e-3)
        assert one.unjudged.startswith(f"device time is shown, not judged: {sessions_of_a} session")
        assert "3 or more would judge it" in one.unjudged
        assert (one.status, one.device_judged) == ("not_judged", False)
        assert (compared(a, b), compared(a, b, "--strict")) == (1, 1)
        said = capsys.readouterr().out
        assert one.unjudged in said.replace("\\", "")
        assert "no_baseline" not in said

    @pytest.mark.parametrize("sessions_of_a", [1, 2])
    @pytest.mark.parametrize(("factor", "fails"), [(1.02, True), (1.002, False)])
    def test_a_store_lends_its_spread(
        self, sessions_of_a: int, factor: float, tmp_path: Path, *, fails: bool
    ) -> None:
        a = sessions(tmp_path / "a", FACTORS[2:][:sessions_of_a])
        b = a_run(tmp_path / "b", factor)
        store = a_store(tmp_path / "store")
        found = versus(a, b, store)

        assert (found.pairs[0].verdict.outcome(strict=False) is Outcome.FAILS) is fails
        assert found.pairs[0].unjudged == ""
        assert found.pairs[0].device.a_s == pytest.approx(DEVICE_S, rel=1e-3)  # A's, not the store's
        assert found.notes[0].endswith(f"that is taken from 6 baselines in {store.root}")
        assert compared(a, b, store=store.root) == int(fails)

    def test_one_session_is_held_wider_than_five(self, a: Path, tmp_path: Path) -> None:
        store, b = a_store(tmp_path / "store"), a_run(tmp_path / "b")
        one, five = pair(a / "session-3", b, store).device.sees, pair(a, b, store).device.sees

        assert one is not None
        assert five is not None
        assert one > five

    def test_a_store_under_another_hard_key_lends_nothing(self, tmp_path: Path) -> None:
        other = replace(hard_key(), power_limit_w=350.0)
        store = a_store(tmp_path / "store", change=lambda r: replace(r, hard=other))
        found = versus(a_run(tmp_path / "a"), a_run(tmp_path / "b", 1.02), store)

        assert found.pairs[0].verdict.status is Status.NO_BASELINE
        assert found.notes == ()

    @pytest.mark.parametrize("lends", [False, True])
    def test_counts_are_compared_exactly_in_any_case(self, tmp_path: Path, *, lends: bool) -> None:
        store = a_store(tmp_path / "store") if lends else Store(tmp_path / "none")
        a = a_run(tmp_path / "a", counts=LAUNCHES)
        b = a_run(tmp_path / "b", counts=replace(LAUNCHES, launches=1001))
        one = pair(a, b, store)

        assert one.verdict.status is Status.REGRESSED
        assert [str(change) for change in one.counts] == ["launches 1,000 -> 1,001"]
        assert compared(a, b, store=store.root) == 1
        assert pair(a, a_run(tmp_path / "c", counts=LAUNCHES), store).counts == ()


class TestNothingJudged:
    """A gate that judged nothing has nothing to let through."""

    def test_too_few_sessions_and_no_store(self, tmp_path: Path, capsys: Capture) -> None:
        a, b = a_run(tmp_path / "a"), a_run(tmp_path / "b", 1.03)

        assert compared(a, b) == 1
        end = capsys.readouterr().out.splitlines()[-1]
        assert end == "Nothing could be judged: B is not accepted (device time judged in 0 of 1 case)"
        assert compared(a, b, "--json") == 1
        answer = json.loads(capsys.readouterr().out)
        assert (answer["judged"], answer["refused"], answer["cases"][0]["status"]) == (
            False,
            [],
            "not_judged",
        )

    def test_equal_counts_say_nothing_of_the_time(self, tmp_path: Path, capsys: Capture) -> None:
        a, b = (a_run(tmp_path / name, counts=LAUNCHES) for name in "ab")

        assert compared(a, b) == 1
        assert "(device time judged in 0 of 1 case, counts judged in 1 of 1 case)" in capsys.readouterr().out

    def test_nothing_comparable(self, a: Path, tmp_path: Path) -> None:
        assert compared(a, a_run(tmp_path / "b", hard=replace(hard_key(), power_limit_w=350.0))) == 1

    def test_one_case_that_is_judged_is_enough(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        b = a_run(tmp_path / "b", cases=[DECODE, DECODES[0]])

        assert compared(a, b) == 0
        out = capsys.readouterr().out
        assert "| not_in_a" in out
        assert out.endswith("Nothing of B is refused (device time judged in 1 of 2 cases)\n")

    def test_without_a_device_clock_counts_are_what_is_judged(self, none: Store, tmp_path: Path) -> None:
        def on_cpu(path: Path, counts: Counts | None) -> Path:
            small = record(
                "decode-b1-c32-fp32-eager", gpu="cpu", model="mistral-cpu-140m", counts=counts, run=path.name
            )
            run_folder(path, [small])
            return path

        a, b = (on_cpu(tmp_path / name, LAUNCHES) for name in "ab")
        assert versus(a, b, none).judged
        assert not versus(a, on_cpu(tmp_path / "c", None), none).judged


class TestSeveralSessions:
    @pytest.mark.parametrize(
        ("factors", "status"),
        [
            ((1.02, 1.02, 1.02, 1.02), Status.REGRESSED),
            ((1.02, 1.0, 1.0, 1.0), Status.PASS),
            ((1.0, 1.0, 1.0, 1.0), Status.PASS),
            ((1.006, 1.006), Status.REGRESSED),
        ],
    )
    def test_the_others_are_the_fresh_processes_of_the_first(
        self, factors: Sequence[float], status: Status, a: Path, none: Store, tmp_path: Path
    ) -> None:
        assert pair(a, sessions(tmp_path / "b", factors), none).verdict.status is status

    def test_they_come_in_the_order_of_their_numbers(self, tmp_path: Path) -> None:
        b = sessions(tmp_path / "b", (1.0,) * 10)

        assert [run.path.name for run in sessions_at(b).runs] == [f"session-{i}" for i in range(1, 11)]

    def test_other_folders_beside_them_are_not_read(self, a: Path, none: Store, tmp_path: Path) -> None:
        a_run(a / "mlp-2", 1.5)

        assert pair(a, a_run(tmp_path / "b"), none).device.a_s == pytest.approx(DEVICE_S, rel=1e-5)

    def test_a_run_that_is_there_twice_is_refused(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        first = RunFolder(a / "session-1").info()
        RunFolder(a / "session-2").write_info(first)

        assert compared(a, a_run(tmp_path / "b")) == 2
        assert f"the same run as {a / 'session-1'}" in capsys.readouterr().err

    def test_sessions_under_two_hard_keys_are_refused(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        a_run(a / "session-6", hard=replace(hard_key(), power_limit_w=350.0))

        assert compared(a, a_run(tmp_path / "b")) == 2
        assert "has another hard key" in capsys.readouterr().err


class TestStore:
    def test_a_run_against_a_store(self, none: Store, tmp_path: Path) -> None:
        store = a_store(tmp_path / "store")

        assert pair(store.root, a_run(tmp_path / "b"), none).verdict.status is Status.PASS
        assert pair(store.root, a_run(tmp_path / "c", 1.02), none).verdict.status is Status.REGRESSED

    @pytest.mark.parametrize(("again", "status"), [(1.0, Status.PASS), (1.02, Status.REGRESSED)])
    def test_confirmations_are_fresh_processes(
        self, again: float, status: Status, none: Store, tmp_path: Path
    ) -> None:
        store, b = a_store(tmp_path / "store"), a_run(tmp_path / "b", 1.02)
        for n in "123":
            a_run(b / "confirmations" / n, again)

        assert pair(store.root, b, none).verdict.status is status
        # Between two runs they are no part of the run.
        assert pair(sessions(tmp_path / "a"), b, none).verdict.status is Status.REGRESSED

    def test_its_other_cases_are_missing_from_b(self, none: Store, tmp_path: Path, capsys: Capture) -> None:
        store, b = a_store(tmp_path / "store"), a_run(tmp_path / "b")
        found = versus(store.root, b, none)

        assert found.only_a == tuple(sorted(set(DECODES) - {DECODE}))
        assert (compared(store.root, b), compared(store.root, b, "--strict")) == (0, 1)
        assert f"Only in A: `{found.only_a[0]}`, " in capsys.readouterr().out

    def test_a_damaged_baseline_fails_and_is_named(self, tmp_path: Path, capsys: Capture) -> None:
        store = a_store(tmp_path / "store")
        path = store.path(record(DECODE))
        path.write_text("{", encoding="utf-8")

        assert compared(store.root, a_run(tmp_path / "b")) == 1
        assert f"{path}: not JSON, or cut short" in capsys.readouterr().out


class TestCommand:
    def test_cases_that_one_side_has_are_listed(self, tmp_path: Path, capsys: Capture) -> None:
        a = sessions(tmp_path / "a", cases=DECODES[2:4])
        b = a_run(tmp_path / "b", cases=DECODES[3:5])

        assert compared(a, b) == 0
        out = capsys.readouterr().out
        assert f"Only in A: `{DECODES[2]}`" in out
        assert f"Only in B: `{DECODES[4]}`" in out
        assert compared(a, b, "--strict") == 1

    def test_the_table_and_the_reasons_of_what_is_no_pass(
        self, a: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        assert compared(a, a_run(tmp_path / "b", 1.02)) == 1
        out = capsys.readouterr().out
        (line,) = (line for line in out.splitlines() if line.startswith(f"| `{DECODE}`"))
        cells = [cell.strip() for cell in line.strip("|").split("|")]

        assert cells[1:5] == ["regressed", "8.000 ms", "8.160 ms", "+2.00 %"]
        assert f"`{DECODE}`: regressed\n\n- device time 8.160 ms: +2.00 % against 8.000 ms" in out
        assert out.endswith(f"Refused: `{DECODE}` (device time judged in 1 of 1 case)\n")

    def test_counts_are_one_line_after_the_time(self, tmp_path: Path, capsys: Capture) -> None:
        a = sessions(tmp_path / "a", cases=DECODES[:2], counts=LAUNCHES)
        more = Counts(launches=1002, python_calls=5010)
        b = a_run(tmp_path / "b", 1.02, cases=DECODES[:2], counts=more)

        assert compared(a, b) == 1
        out = capsys.readouterr().out
        for case in DECODES[:2]:
            block = out.split(f"`{case}`: regressed\n\n")[1].split("\n\n")[0].splitlines()
            assert block[0].startswith("- device time 8.160 ms: +2.00 % against 8.000 ms, ")
            assert block[1].startswith(
                "- the host does more for a step: launches 1,000 -> 1,002, Python calls 5,000 -> 5,010"
            )

    def test_the_head_says_what_the_sides_are(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        assert compared(a, a_run(tmp_path / "b")) == 0
        assert capsys.readouterr().out.splitlines()[:2] == [
            f"- A: {MODEL} on h100-sxm, 1 card, commit abc1234, driver 580.159, 5 runs in {a}",
            f"- B: {MODEL} on h100-sxm, 1 card, commit abc1234, driver 580.159, 1 run in {tmp_path / 'b'}",
        ]
        assert compared(a, a_run(tmp_path / "d", change=lambda r: replace(r, dirty=True))) == 0
        assert "commit abc1234-dirty" in capsys.readouterr().out.splitlines()[1]
        store = a_store(tmp_path / "store")
        assert compared(store.root, a_run(tmp_path / "c"), "--json") == 0
        first, second = json.loads(capsys.readouterr().out)["sides"]
        assert (first["runs"], first["commits"], second["runs"]) == (5, ["abc1234"], 1)

    def test_no_two_columns_have_one_name(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        assert compared(a, a_run(tmp_path / "b")) == 0
        (header,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("| case"))
        names = [cell.strip() for cell in header.strip("|").split("|")]

        assert len(set(names)) == len(names)

    def test_a_row_of_several_processes_says_so(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        said = "B's times are means of up to 3 processes; what is said of a case is of the first, session-1"

        assert compared(a, sessions(tmp_path / "b", (1.0, 1.0, 1.0))) == 0
        assert said in capsys.readouterr().out
        assert compared(a, a_run(tmp_path / "c")) == 0
        assert "processes" not in capsys.readouterr().out

    def test_what_is_not_judged_says_why_once(self, tmp_path: Path, capsys: Capture) -> None:
        a, b = (a_run(tmp_path / name, cases=DECODES[:2]) for name in "ab")

        assert compared(a, b) == 1
        out = capsys.readouterr().out
        assert out.count("All: device time is shown, not judged: 1 session in ") == 1

    def test_a_plain_pass_needs_no_reasons(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        assert compared(a, a_run(tmp_path / "b")) == 0
        out = capsys.readouterr().out

        assert "\n- " not in out.split("\n\n", 1)[1]
        assert out.endswith("Nothing of B is refused (device time judged in 1 of 1 case)\n")

    def test_json_holds_the_same(self, a: Path, none: Store, tmp_path: Path, capsys: Capture) -> None:
        b = a_run(tmp_path / "b", 1.02)
        one = pair(a, b, none)
        assert compared(a, b, "--json") == 1
        answer = json.loads(capsys.readouterr().out)
        (case,) = answer["cases"]

        assert (answer["a"], answer["b"], answer["refused"]) == (str(a), str(b), [DECODE])
        assert (case["case"], case["status"]) == (DECODE, "regressed")
        assert case["reasons"] == list(one.verdict.reasons)
        assert case["device"] == {
            "a_s": one.device.a_s,
            "b_s": one.device.b_s,
            "change": one.device.change,
            "sees": one.device.sees,
        }
        assert case["wall"]["b_s"] == pytest.approx(0.04)

    def test_nothing_is_written(self, a: Path, tmp_path: Path) -> None:
        b = a_run(tmp_path / "b", 1.02)
        before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
        compared(a, b)

        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


class TestRefused:
    @pytest.mark.parametrize("name", ["none", "empty", "runs"])
    def test_what_is_no_side(self, name: str, a: Path, tmp_path: Path, capsys: Capture) -> None:
        """Nothing, an empty folder, and a folder of several runs."""
        (tmp_path / "empty").mkdir()
        a_run(tmp_path / "runs" / "monday")
        path = tmp_path / name

        assert compared(path, a_run(tmp_path / "b")) == 2
        assert capsys.readouterr().err.startswith(f"error: {path}: neither a run's folder")
        assert compared(a, path) == 2
        assert capsys.readouterr().err.startswith(f"error: {path}: neither a run's folder")

    def test_a_store_is_no_b(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        store = a_store(tmp_path / "store", cases=[DECODE])

        assert compared(a, store.root) == 2
        assert f"{store.root}: neither a run's folder" in capsys.readouterr().err

    def test_a_run_without_a_record(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        run_folder(tmp_path / "b", [])

        assert compared(a, tmp_path / "b") == 2
        assert f"{tmp_path / 'b'}: no record to compare" in capsys.readouterr().err

    def test_sides_without_a_case_in_common(self, a: Path, tmp_path: Path, capsys: Capture) -> None:
        b = a_run(tmp_path / "b", cases=[DECODES[0]])

        assert compared(a, b) == 2
        assert f"{a}: holds none of the 1 cases of {b}" in capsys.readouterr().err

    @pytest.mark.parametrize("side", ["a", "b"])
    def test_a_damaged_record_is_named(self, side: str, tmp_path: Path, capsys: Capture) -> None:
        for name in "ab":
            a_run(tmp_path / name)
        path = tmp_path / side / "records" / f"{DECODE}.json"
        path.write_text("{", encoding="utf-8")

        assert compared(tmp_path / "a", tmp_path / "b") == 2
        assert capsys.readouterr().err.startswith(f"error: {path}: not JSON")
