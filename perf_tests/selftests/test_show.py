"""python -m baselines show: what is stored, how old, how noisy, and what it can see."""

import datetime as dt
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, geometric_mean, stdev
from typing import Any

import pytest

from analytic import Promise
from baselines.__main__ import main
from baselines.codec import write
from baselines.commands.show_table import notes
from baselines.inventory import Held, Inventory, inventory
from baselines.pinned import suites
from baselines.policy import POLICY, Policy
from baselines.record import Counts, KernelTime, Record
from baselines.store import Accepted, Store, baseline_of
from baselines.suite import device_yardstick, suite_of
from perf_tests.selftests.records import DECODE, MODEL, hard_key, record, run_folder, soft_key

PREFILL = "prefill-b1-p512-fp16-eager"
GENERATE = "generate-b1-p128-n32-fp16-eager"
WRITTEN = "2026-11-22T12:00:00+00:00"
NOW = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
FACTORS = (0.998, 0.999, 1.0, 1.001, 1.002)
# Where the correction for the number of cases shows in what is seen.
ALONE = replace(POLICY, rounds=0, min_effect=0.0001)
COUNTS = Counts(launches=100)
KERNELS = (KernelTime(operator="q_proj", name="gemm", launches=1, device_s=(0.001,) * 3),)

Capture = pytest.CaptureFixture[str]


def sessions(
    case_id: str, *, device_s: float | None = 0.008, wall_s: float = 0.04, factors: Sequence[float] = FACTORS
) -> list[Record]:
    """Whole ones: with counts and kernels."""
    return [
        record(
            case_id,
            wall_s=wall_s * factor,
            device_s=None if device_s is None else device_s * factor,
            counts=COUNTS,
            kernels=KERNELS if device_s else None,
            run=f"run-{i}",
        )
        for i, factor in enumerate(factors)
    ]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.write(sessions(DECODE), written=WRITTEN, command="a test")
    store.write(sessions(PREFILL, device_s=0.017), written=WRITTEN, command="a test")
    return store


def stock(store: Store, *, policy: Policy = POLICY, **given: Any) -> Inventory:
    (suite,) = suites(store)
    return inventory(suite, now=NOW, policy=policy, **given)


def held(store: Store, case_id: str = DECODE, **given: Any) -> Held:
    (one,) = (one for one in stock(store, **given).held if one.case == case_id)
    return one


def shown(store: Store | Path, *options: str) -> int:
    root = store.root if isinstance(store, Store) else store
    return main(["show", "--perf-baselines", str(root), *options])


class TestInventory:
    def test_the_times_and_how_far_sessions_differ(self, store: Store) -> None:
        one = held(store)
        device_s = [0.008 * factor for factor in FACTORS]

        assert one.device is not None
        assert one.device.mean_s == pytest.approx(geometric_mean(device_s))
        assert one.device.cv == pytest.approx(stdev(device_s) / fmean(device_s))
        assert one.wall.mean_s == pytest.approx(5 * one.device.mean_s)
        assert (one.sessions, one.cards, one.commit, one.regime) == (5, 1, "abc1234", "launch")
        assert notes(one) == ()

    def test_without_device_time_what_held_a_gpu_back_is_not_known(self, store: Store) -> None:
        store.write(sessions(GENERATE, device_s=None), written=WRITTEN, command="a test")

        assert held(store, GENERATE).regime == "unknown"

    def test_the_age_in_days(self, store: Store) -> None:
        assert held(store).age_days == 2.5

    @pytest.mark.parametrize(
        ("started", "age"),
        [
            (("2026-11-22", "2026-11-23"), 2.0),
            (("2026-11-24T12:00:00", "2026-11-23"), 0.5),
            (("last week", "2026-11-22"), 3.0),
            (("last week", "today"), None),
        ],
    )
    def test_the_age_is_of_the_newest_session(
        self, store: Store, started: tuple[str, str], age: float | None
    ) -> None:
        """A refresh from earlier runs is as old as they are, whenever it was written."""
        taken = [replace(r, started=when) for r, when in zip(sessions(DECODE), started, strict=False)]
        store.write(taken, written=NOW.isoformat(), command="a test")

        assert held(store).age_days == age

    def test_what_is_seen_is_corrected_for_the_suite(self, store: Store) -> None:
        (suite,) = suites(store)
        known = device_yardstick(suite.stored[0], suite_of(suite.stored), ALONE, card="GPU-0")
        one = held(store, policy=ALONE)

        assert known is not None
        assert one.device is not None
        assert one.device.sees == known.sees(ALONE, tests=2)
        assert one.device.sees > known.sees(ALONE, tests=1)
        assert one.device.promised is None

    def test_another_hard_key_is_no_part_of_the_suite_and_is_said(self, store: Store) -> None:
        """The other two are judged, and pooled, as if it were not there."""
        before = held(store).device
        noisy = sessions("decode-b8-c512-fp16-eager", factors=(0.9, 0.95, 1.0, 1.05, 1.1))
        other = [replace(r, hard=replace(hard_key(), power_limit_w=350.0)) for r in noisy]
        store.write(other, written=WRITTEN, command="a test")

        assert held(store).device == before
        assert notes(held(store)) == ()
        note = "hard key of its own: power_limit_w 700.0 -> 350.0"
        assert note in notes(held(store, "decode-b8-c512-fp16-eager"))

    def test_what_cannot_see_what_is_promised_says_so(self, store: Store) -> None:
        wide = sessions(DECODE, factors=(0.97, 0.99, 1.0, 1.01, 1.03))
        store.write(wide, written=WRITTEN, command="a test")
        note = "device time: more or calmer sessions are needed to see 1.0 %"

        assert note in notes(held(store, promises={DECODE: Promise()}))
        assert note not in notes(held(store, promises={DECODE: Promise(device=0.5)}))
        assert note not in notes(held(store, promises={PREFILL: Promise()}))
        assert note not in notes(held(store))

    def test_a_promise_of_the_wall_is_shown(self, store: Store) -> None:
        assert held(store, promises={DECODE: Promise()}).wall.promised is None
        assert held(store, promises={DECODE: Promise(wall=0.05)}).wall.promised == 0.05

    def test_too_few_sessions(self, store: Store) -> None:
        store.write(sessions(DECODE, factors=(1.0, 1.001)), written=WRITTEN, command="a test")
        one = held(store)

        assert one.device is not None
        assert (one.device.sees, one.wall.sees) == (None, None)
        assert "too few to judge: 2 of 3 sessions" in notes(one)

    def test_one_session_has_no_spread(self, store: Store) -> None:
        store.write(sessions(DECODE, factors=(1.0,)), written=WRITTEN, command="a test")

        assert held(store).wall.cv is None

    def test_two_cards_are_counted(self, store: Store) -> None:
        taken = sessions(DECODE)
        taken[0] = replace(taken[0], soft=replace(soft_key(), gpu_uuid="GPU-1"))
        store.write(taken, written=WRITTEN, command="a test")

        assert held(store).cards == 2

    def test_bimodal_walls_have_both_modes(self, store: Store) -> None:
        walls = [1.0, 1.001, 1.002, 1.0, 1.001, 1.3, 1.301, 1.302, 1.3, 1.301]
        store.write(sessions(DECODE, device_s=0.004, factors=walls), written=WRITTEN, command="a test")

        assert [mode.sessions for mode in held(store).modes] == [5, 5]
        assert held(store, PREFILL).modes == ()

    def test_what_older_schemas_did_not_keep(self, store: Store) -> None:
        old = [
            replace(r, measurement=replace(r.measurement, counts=None, kernels=None))
            for r in sessions(DECODE)
        ]
        store.write(old, written=WRITTEN, command="a test")

        assert notes(held(store)) == ("no counts and no kernels: a refresh takes them",)

    def test_generate_is_never_counted(self, store: Store) -> None:
        taken = [
            replace(r, measurement=replace(r.measurement, counts=None))
            for r in sessions(GENERATE, device_s=None)
        ]
        store.write(taken, written=WRITTEN, command="a test")
        one = held(store, GENERATE)

        assert one.device is None
        assert notes(one) == ()


class TestDrift:
    FIRST = Accepted(written="2026-10-01", commit="aaaaaaa", sessions=5, device_s=0.0078, wall_s=0.05)

    def keep(self, store: Store, anchor: Accepted) -> Held:
        baseline = baseline_of(sessions(DECODE), written=WRITTEN, command="a test")
        write(replace(baseline, anchor=anchor), store.path(record(DECODE)))
        return held(store)

    def test_since_what_was_accepted_first(self, store: Store) -> None:
        one = self.keep(store, self.FIRST)

        assert (one.drift, one.drift_of) == (pytest.approx(0.008 / 0.0078 - 1, abs=1e-4), "device")
        assert "slower than what was accepted first (commit aaaaaaa)" in notes(one)

    def test_less_than_is_claimed_is_no_creep(self, store: Store) -> None:
        assert notes(self.keep(store, replace(self.FIRST, device_s=0.00797))) == ()

    def test_the_first_has_none(self, store: Store) -> None:
        assert (held(store).drift, held(store).drift_of) == (None, None)

    def test_an_anchor_of_the_same_second_counts(self, store: Store) -> None:
        assert self.keep(store, replace(self.FIRST, written=WRITTEN)).drift == pytest.approx(
            0.008 / 0.0078 - 1, abs=1e-4
        )

    def test_of_the_wall_where_the_anchor_has_no_device_time(self, store: Store, capsys: Capture) -> None:
        one = self.keep(store, replace(self.FIRST, device_s=None, wall_s=0.03))

        assert (one.drift, one.drift_of) == (pytest.approx(1 / 3, abs=1e-4), "wall")
        assert notes(one) == ()  # a wall that differs is no creep
        assert shown(store) == 0
        assert "| +33.33 % wall |" in capsys.readouterr().out


class TestCommand:
    def test_a_line_a_case(self, store: Store, capsys: Capture) -> None:
        assert shown(store) == 0
        out = capsys.readouterr().out
        (line,) = (line for line in out.splitlines() if DECODE in line)
        cells = [cell.strip() for cell in line.strip("|").split("|")]

        assert out.startswith(f"## {MODEL} on h100-sxm\n")
        assert cells[:3] == [f"`{DECODE}`", "8.000 ms", "0.16 %"]
        assert cells[4] == "40.000 ms"

    def test_what_holds_for_all_is_said_once(self, store: Store, capsys: Capture) -> None:
        """And what does not is a column."""
        assert shown(store) == 0
        heading, common, header = capsys.readouterr().out.split("\n\n")[:3]
        assert heading.startswith("## ")
        assert common.startswith("5 sessions a case; 1 card; newest session ")
        assert common.endswith(" d old; commit abc1234")
        assert not {"promised", "sessions", "cards", "commit", "since anchor"} & set(
            re.split(r" *\| *", header)
        )

        store.write(sessions(DECODE, factors=(1.0, 1.001)), written=WRITTEN, command="a test")
        assert shown(store) == 0
        said = capsys.readouterr().out
        assert "| sessions |" in said
        assert "sessions a case" not in said
        assert f"- `{DECODE}`: too few to judge: 2 of 3 sessions" in said

    def test_a_note_of_all_is_said_once(self, store: Store, capsys: Capture) -> None:
        for case_id in (DECODE, PREFILL):
            old = [replace(r, measurement=replace(r.measurement, kernels=None)) for r in sessions(case_id)]
            store.write(old, written=WRITTEN, command="a test")

        assert shown(store) == 0
        assert capsys.readouterr().out.count("- all: no kernels: a refresh takes them") == 1

    def test_what_all_promise_is_said_once(self, store: Store, tmp_path: Path, capsys: Capture) -> None:
        """A case without device time is not asked; one that the plan lacks is."""
        store.write(sessions(GENERATE, device_s=None), written=WRITTEN, command="a test")
        whole = run_folder(tmp_path / "whole", [record(DECODE), record(PREFILL)])
        part = run_folder(tmp_path / "part", [record(DECODE)])

        assert shown(store, "--run", str(whole.path)) == 0
        assert "; 1.0 % of device time is promised to be seen\n" in capsys.readouterr().out
        assert shown(store, "--run", str(part.path)) == 0
        assert "| promised |" in capsys.readouterr().out

    def test_json_holds_the_same(self, store: Store, capsys: Capture) -> None:
        assert shown(store, "--json") == 0
        answer = json.loads(capsys.readouterr().out)
        ((decode, prefill),) = (one["baselines"] for one in answer["stored"])
        one = held(store)

        assert (decode["case"], prefill["case"]) == (DECODE, PREFILL)
        assert one.device is not None
        assert decode["device"] == {
            "mean_s": one.device.mean_s,
            "cv": one.device.cv,
            "sees": one.device.sees,
            "promised": None,
        }
        assert (decode["drift"], decode["anchor"], decode["notes"]) == (None, None, [])
        assert decode["place"] == str(store.path(record(DECODE)))
        assert (answer["orphans"], answer["gaps"], answer["damaged"]) == (None, None, [])

    @pytest.mark.parametrize(
        ("options", "found"),
        [
            (("--case", "decode-*"), [DECODE]),
            (("--gpu", "h100-sxm", "--model", MODEL), [DECODE, PREFILL]),
            (("--gpu", "t4"), []),
            (("--model", "gpt2"), []),
        ],
    )
    def test_only_what_was_asked_for(
        self, options: tuple[str, ...], found: list[str], store: Store, capsys: Capture
    ) -> None:
        assert shown(store, "--json", *options) == 0
        stored = json.loads(capsys.readouterr().out)["stored"]

        assert [b["case"] for one in stored for b in one["baselines"]] == found

    def test_a_store_that_is_named_and_not_there_is_bad_input(self, tmp_path: Path, capsys: Capture) -> None:
        assert shown(tmp_path / "none") == 2
        assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'none'}: no such folder; ")
        assert list(tmp_path.iterdir()) == []

    def test_a_checkout_without_a_store_is_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        monkeypatch.chdir(tmp_path)

        assert main(["show"]) == 0
        assert capsys.readouterr().out == "no baseline is stored in baselines/data\n"

    @pytest.mark.parametrize("place", ["run", "."])
    def test_a_run_is_no_store_and_neither_is_a_folder_of_runs(
        self, place: str, tmp_path: Path, capsys: Capture
    ) -> None:
        run_folder(tmp_path / "run", [record(DECODE)])

        assert shown(tmp_path / place) == 2
        assert "a run's folder or one of runs, not a store; " in capsys.readouterr().err

    @pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
    @pytest.mark.parametrize("place", ["h100-sxm", f"h100-sxm/{MODEL}"])
    def test_a_link_to_a_folder_is_refused_as_a_refresh_refuses_it(
        self, place: str, target: str, tmp_path: Path, capsys: Capture
    ) -> None:
        elsewhere = Store(tmp_path / "elsewhere")
        elsewhere.write(sessions(DECODE), written=WRITTEN, command="a test")
        link = tmp_path / "store" / place
        link.parent.mkdir(parents=True)
        link.symlink_to(tmp_path / target / place)

        assert shown(tmp_path / "store") == 1
        assert capsys.readouterr().err == f"damaged: {link}: a symbolic link; a folder is needed\n"

    def test_what_is_not_in_the_store_is_said(self, store: Store, capsys: Capture) -> None:
        assert shown(store, "--gpu", "t4") == 0
        assert capsys.readouterr().out == f"no baseline of t4 is stored in {store.root}\n"

    def test_a_file_is_no_store(self, tmp_path: Path, capsys: Capture) -> None:
        path = tmp_path / "file"
        path.write_text("", encoding="utf-8")

        assert shown(path) == 2
        assert capsys.readouterr().err.startswith(f"error: {path}: a file; a folder ")

    @pytest.mark.parametrize("text", ["{", None])
    def test_a_damaged_file_is_named_and_the_others_are_shown(
        self, text: str | None, store: Store, capsys: Capture
    ) -> None:
        """Cut short, or the baseline of another case."""
        path = store.path(record(PREFILL))
        if text is None:
            path.write_bytes(store.path(record(DECODE)).read_bytes())
        else:
            path.write_text(text, encoding="utf-8")
        assert shown(store) == 1
        said = capsys.readouterr()

        assert DECODE in said.out
        assert said.err.startswith(f"damaged: {path}: ")
        assert len(said.err.splitlines()) == 1

    def test_a_file_where_nobody_looks_is_named(self, store: Store, capsys: Capture) -> None:
        path = store.root / "h100-sxm" / "old.json"
        path.write_text("{}", encoding="utf-8")

        assert shown(store) == 0
        assert f"1 lies where nobody looks:\n\n- {path}" in capsys.readouterr().out

    def test_why_and_by_whom_it_was_accepted_is_one_plain_line(self, store: Store, capsys: Capture) -> None:
        baseline = baseline_of(sessions(DECODE), written=WRITTEN, command="a test")
        told = replace(baseline, by="ann", reason="a new driver\n| not a table")
        write(told, store.path(record(DECODE)))

        assert shown(store) == 0
        assert f"- `{DECODE}`: written by ann on {WRITTEN}: a new driver" in capsys.readouterr().out


class TestPlan:
    def test_a_run_tells_orphans_and_gaps_of_its_gpu(
        self, store: Store, tmp_path: Path, capsys: Capture
    ) -> None:
        store.write([record(DECODE, gpu="t4")], written=WRITTEN, command="a test")
        folder = run_folder(tmp_path / "run", [record(DECODE), record(GENERATE)])

        assert shown(store, "--run", str(folder.path), "--json") == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["orphans"] == [str(store.path(record(PREFILL)))]
        assert answer["gaps"] == [str(store.path(record(GENERATE)))]

        assert shown(store, "--run", str(folder.path)) == 0
        said = capsys.readouterr().out
        assert f"1 is not in the plan of {folder.path}:\n\n- {store.path(record(PREFILL))}" in said
        assert f"1 is in the plan of {folder.path}, and not stored:" in said

    def test_a_gpu_that_the_store_does_not_know_lacks_all(
        self, store: Store, tmp_path: Path, capsys: Capture
    ) -> None:
        folder = run_folder(tmp_path / "run", [record(DECODE, gpu="t4")])

        assert shown(store, "--run", str(folder.path), "--json") == 0
        gaps = json.loads(capsys.readouterr().out)["gaps"]
        assert gaps == [str(store.path(record(DECODE, gpu="t4")))]

    def test_its_lists_are_of_the_cases_that_are_asked_for(
        self, store: Store, tmp_path: Path, capsys: Capture
    ) -> None:
        folder = run_folder(tmp_path / "run", [record(GENERATE)])

        for pattern, orphans, gaps in (("decode-*", [DECODE], []), ("generate-*", [], [GENERATE])):
            assert shown(store, "--run", str(folder.path), "--case", pattern, "--json") == 0
            answer = json.loads(capsys.readouterr().out)
            assert [Path(p).stem for p in answer["orphans"]] == orphans
            assert [Path(p).stem for p in answer["gaps"]] == gaps

    def test_its_promises_are_held_against_what_is_seen(
        self, store: Store, tmp_path: Path, capsys: Capture
    ) -> None:
        measured = record(DECODE)
        promising = replace(measured, case=replace(measured.case, promise=Promise(device=0.002, wall=0.1)))
        folder = run_folder(tmp_path / "run", [promising])

        assert shown(store, "--run", str(folder.path), "--case", DECODE, "--json") == 0
        ((decode,),) = (one["baselines"] for one in json.loads(capsys.readouterr().out)["stored"])
        assert (decode["device"]["promised"], decode["wall"]["promised"]) == (0.002, 0.1)
        assert "device time: more or calmer sessions are needed to see 0.2 %" in decode["notes"]

    def test_what_is_no_run_and_a_run_without_a_record(
        self, store: Store, tmp_path: Path, capsys: Capture
    ) -> None:
        run_folder(tmp_path / "empty", [])
        for name, why in (("none", "not a run's folder"), ("empty", "the run holds no record")):
            assert shown(store, "--run", str(tmp_path / name)) == 2
            assert capsys.readouterr().err.startswith(f"error: {tmp_path / name}: {why}")
