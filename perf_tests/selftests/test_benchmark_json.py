"""Both files of pytest-benchmark's schema go into the tools that track benchmarks as they
are: the wall's, which --benchmark-json asks for, and device time's, in the run's folder."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from baselines.run import RunFolder
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import DECODE, conditions, derived, record, run_folder, run_info
from perf_tests.selftests.synthetic_gpu import PLUGIN, Card, script
from perf_tests.selftests.tiny import Place, environment, run
from perf_tests.selftests.trackers import RefusedError, bencher, github_action_benchmark, parsed
from reports.__main__ import main
from reports.benchmark_json import device_benchmarks
from reports.render import BENCHMARKS

MODEL = "mistral-7b-v0.1"
GENERATE = "generate-b1-p128-n32-fp16-eager"
CASES = ("decode-b1-c512-fp16-eager", "decode-b8-c512-fp16-eager", "prefill-b1-p512-fp16-eager", GENERATE)
FILES = tuple(f"perf_tests/test_{kind}.py" for kind in ("prefill", "decode", "generate", "verdict"))
DEVICE_S = (0.0080, 0.0082, 0.0079, 0.0081)


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """The files of one session, and its run."""

    wall: str
    device: str
    folder: RunFolder


@pytest.fixture(scope="module")
def both(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """A real session of the gpu lane, on a card of plain numbers."""
    home = tmp_path_factory.mktemp("both")
    done = place.pytest(
        *(*place.without_torch(), *PLUGIN, "-m", "gpu", f"--perf-model={MODEL}"),
        *("-k", "fp16 and (c512 or prefill-b1-p512 or p128-n32)"),
        *(f"--perf-out={home / 'run'}", f"--perf-baselines={home / 'store'}"),
        *(f"--benchmark-json={home / 'wall.json'}", *FILES),
        **script(Card()),
    )
    assert done.rc == 0, done.out
    read = [path.read_text(encoding="utf-8") for path in (home / "wall.json", home / "run" / BENCHMARKS)]
    return Both(wall=read[0], device=read[1], folder=RunFolder(home / "run"))


def names(text: str) -> list[str]:
    return [bench["fullname"] for bench in parsed(text)["benchmarks"]]


class TestOneSession:
    def test_both_files_are_read_by_both_tools(self, both: Both) -> None:
        records = {r.case.id: r.measurement for r in both.folder.records()}

        assert set(CASES) == set(records)
        for text in (both.wall, both.device):
            assert [p.name for p in github_action_benchmark(text)] == names(text)
            for average in ("mean", "median"):
                assert [p.name for p in bencher(text, average=average)] == names(text)
        for point in (*github_action_benchmark(both.device), *bencher(both.device)):
            times_s = records[re.sub(r".*\[(.*)\]", r"\1", point.name)].device_s
            assert times_s is not None
            seconds = 1 / point.value if point.higher_is_better else point.value / 1e9
            assert seconds == pytest.approx(mean(times_s))

    def test_a_case_has_one_name_in_both(self, both: Both) -> None:
        """So that a tool is given the one in the place of the other, and goes on."""
        assert set(names(both.device)) == set(names(both.wall))
        assert f"perf_tests/test_decode.py::test_decode[{DECODE}]" in names(both.device)
        for wall in parsed(both.wall)["benchmarks"]:
            (device,) = (b for b in parsed(both.device)["benchmarks"] if b["fullname"] == wall["fullname"])
            for key in ("name", "group", "param"):
                assert device[key] == wall[key]

    def test_they_are_of_one_schema(self, both: Both) -> None:
        wall, device = parsed(both.wall), parsed(both.device)

        assert list(device) == list(wall)
        assert set(wall["machine_info"]) <= set(device["machine_info"])
        assert set(wall["commit_info"]) == set(device["commit_info"])
        assert wall["version"] == device["version"]
        for one, other in zip(wall["benchmarks"], device["benchmarks"], strict=True):
            assert list(other) == list(one)
            assert list(other["stats"]) == list(one["stats"])
            assert set(other["params"]) == set(one["params"])
            assert set(other["options"]) <= set(one["options"])

    def test_drawn_anew_it_is_the_same(self, both: Both) -> None:
        assert main(["render", str(both.folder.path)]) == 0

        assert (both.folder.path / BENCHMARKS).read_text(encoding="utf-8") == both.device

    def test_pytest_benchmark_compares_them(self, both: Both, tmp_path: Path) -> None:
        for name, text in (("wall.json", both.wall), ("device.json", both.device)):
            (tmp_path / name).write_text(text, encoding="utf-8")
        done = run(
            *(sys.executable, "-m", "pytest_benchmark", "compare"),
            *(str(tmp_path / "wall.json"), str(tmp_path / "device.json")),
            cwd=tmp_path,
            env=environment(),
        )

        assert done.rc == 0, done.out
        assert done.out.count(f"test_decode[{DECODE}]") == 2


# --- what it holds, from records ---------------------------------------------


def told(*records: Any, verdicts: tuple[Verdict, ...] = ()) -> Any:
    text = device_benchmarks(run_info(records), derived(records), verdicts)
    assert text is not None
    return parsed(text)


class TestBenchmarks:
    def test_the_statistics_are_those_of_the_samples(self) -> None:
        (bench,) = told(record(DECODE, device_s=DEVICE_S))["benchmarks"]
        stats = bench["stats"]

        assert stats["data"] == list(DEVICE_S)
        assert (stats["min"], stats["max"]) == (0.0079, 0.0082)
        assert stats["mean"] == pytest.approx(0.00805)
        assert stats["stddev"] == pytest.approx(stdev(DEVICE_S))
        assert stats["median"] == pytest.approx(0.00805)
        # Quartiles of an even number: the medians of its halves.
        assert stats["iqr"] == pytest.approx(0.00815 - 0.00795)
        assert stats["ops"] == pytest.approx(4 / 0.0322)
        assert (stats["rounds"], stats["iterations"]) == (4, 1)

    def test_one_sample_has_no_spread(self) -> None:
        (bench,) = told(record(DECODE, device_s=(0.008,)))["benchmarks"]

        assert (bench["stats"]["stddev"], bench["stats"]["iqr"]) == (0, 0)

    def test_it_says_what_the_seconds_are_of_and_what_they_are_held_against(self) -> None:
        one = record(DECODE, device_s=DEVICE_S)
        verdict = Verdict(case=DECODE, status=Status.REGRESSED, reasons=("slower",))
        (bench,) = told(one, verdicts=(verdict,))["benchmarks"]
        (beside,) = derived([one])

        assert bench["extra_info"] == {
            "case": DECODE,
            "model": MODEL,
            "gpu": "h100-sxm",
            "precision": "fp16",
            "engine": "eager",
            "seconds_of": "device time: union of the kernels' intervals by CUPTI, at the card's own clock",
            "lower_s": beside.bound.lower_s,
            "device_fraction": pytest.approx(beside.bound.lower_s / 0.00805),
            "verdict": "regressed",
        }

    def test_times_are_at_the_cards_own_clock(self) -> None:
        """As in every table, and as judged: a step that ran above it is put right."""
        one = record(
            DECODE,
            device_s=(0.0080, 0.0079),
            held_clock_mhz=(1980.0, 2005.0),
            hold_s=0.01,
            seen=conditions(sm_clock_max_mhz=1980),
        )
        (bench,) = told(one)["benchmarks"]

        streamed_s = bench["extra_info"]["lower_s"]  # by memory, which the SM clock leaves alone
        slowed_s = streamed_s + (0.0079 - streamed_s) * 2005 / 1980
        assert bench["stats"]["data"] == [0.0080, pytest.approx(slowed_s)]

    def test_a_run_that_was_not_judged_says_so(self) -> None:
        (bench,) = told(record(DECODE, device_s=DEVICE_S))["benchmarks"]

        assert bench["extra_info"]["verdict"] == "not judged"

    def test_of_the_machine_it_says_what_the_record_says(self) -> None:
        data = told(record(DECODE, device_s=DEVICE_S))

        assert data["machine_info"]["node"] == "host-a"
        assert data["machine_info"]["release"] is None
        assert data["machine_info"]["gpu"] == {
            "key": "h100-sxm",
            "device": "NVIDIA H100 80GB HBM3",
            "uuid": "GPU-0",
            "driver": "580.159",
            "cuda": "13.0",
            "power_limit_w": 700.0,
        }
        assert (data["commit_info"]["id"], data["commit_info"]["dirty"]) == ("abc1234", False)
        assert data["datetime"] == "2026-11-22T12:00:00+00:00"

    def test_cases_without_device_time_are_left_out(self) -> None:
        data = told(record(GENERATE), record(DECODE, device_s=DEVICE_S))

        assert [bench["param"] for bench in data["benchmarks"]] == [DECODE]

    def test_without_any_there_is_no_file(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [record("decode-b1-c128-fp32-eager", gpu="cpu")], verdicts=[])

        assert main(["render", str(folder.path)]) == 0
        assert (tmp_path / "summary.md").exists()
        assert not (tmp_path / BENCHMARKS).exists()

    @pytest.mark.parametrize("device_s", [1e-12, 1e9])
    def test_the_shortest_and_the_longest_that_a_record_holds_are_finite(self, device_s: float) -> None:
        one = record(DECODE, device_s=device_s, wall_s=1e9)
        text = device_benchmarks(run_info([one]), derived([one]), ())

        assert text is not None
        assert github_action_benchmark(text)[0].value == pytest.approx(1 / device_s)
        assert bencher(text)[0].value == pytest.approx(1e9 * device_s)

    def test_names_that_would_break_the_file_are_text_in_it(self) -> None:
        odd = 'x"\n\\ </script> \u2028 |'
        one = record(DECODE, device_s=DEVICE_S)
        one = replace(one, soft=replace(one.soft, host=odd), hard=replace(one.hard, device=odd))
        data = told(one)

        assert (data["machine_info"]["node"], data["machine_info"]["gpu"]["device"]) == (odd, odd)


# --- the readers themselves: what they stand for would be refused -------------


def good() -> Any:
    return told(record(DECODE, device_s=DEVICE_S), record("decode-b8-c512-fp16-eager", device_s=DEVICE_S))


def without(key: str) -> str:
    data = good()
    del data["benchmarks"][0]["stats"][key]
    return json.dumps(data)


def with_stat(key: str, value: Any) -> str:
    data = good()
    data["benchmarks"][1]["stats"][key] = value
    return json.dumps(data)


class TestReaders:
    @pytest.mark.parametrize("key", ["ops", "stddev", "mean", "rounds"])
    @pytest.mark.parametrize("value", [None, "1", float("nan"), float("inf")])
    def test_github_action_benchmark_needs_numbers(self, key: str, value: Any) -> None:
        for text in (without(key), with_stat(key, value)):
            with pytest.raises(RefusedError):
                github_action_benchmark(text)

    @pytest.mark.parametrize("key", ["mean", "stddev", "median", "iqr"])
    @pytest.mark.parametrize("value", [None, "1", float("nan"), float("inf"), 1e30])
    def test_bencher_needs_numbers(self, key: str, value: Any) -> None:
        for text in (without(key), with_stat(key, value)):
            with pytest.raises(RefusedError):
                bencher(text)

    @pytest.mark.parametrize("name", ["", "n" * 1025, "a_bencher_ignore", None])
    def test_bencher_needs_a_name(self, name: Any) -> None:
        data = good()
        data["benchmarks"][0]["fullname"] = name

        with pytest.raises(RefusedError):
            bencher(json.dumps(data))

    @pytest.mark.parametrize("key", ["machine_info", "commit_info", "benchmarks"])
    def test_bencher_needs_every_part(self, key: str) -> None:
        data = good()
        del data[key]

        with pytest.raises(RefusedError):
            bencher(json.dumps(data))

    @pytest.mark.parametrize("tool", [github_action_benchmark, bencher])
    def test_both_need_a_benchmark_and_no_name_twice(self, tool: Callable[[str], Any]) -> None:
        data = good()
        data["benchmarks"][1]["fullname"] = data["benchmarks"][0]["fullname"]
        for text in (json.dumps(data), json.dumps(data | {"benchmarks": []}), "{}", "", "[1"):
            with pytest.raises(RefusedError):
                tool(text)


def test_names_of_the_longest_case_fit() -> None:
    """19 digits a size and an engine's name of 128 letters."""
    case_id = f"generate-b1-p{10**18}-n{10**18}-nf4-dq-{'e' * 128}"

    assert len(f"perf_tests/test_generate.py::test_generate[{case_id}]") < 1024
