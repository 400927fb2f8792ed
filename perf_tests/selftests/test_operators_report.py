"""Where the time goes: waterfall, operators, what moved, counts; and a disk that is full."""

import csv
import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.image
import pytest
from matplotlib.figure import Figure

from baselines.attribution import by_operator
from baselines.judging import judge_folder
from baselines.plugin import NOTES, STATE, PerfState
from baselines.record import Counts, KernelTime, Record
from baselines.run import RunFolder, run_ceilings
from baselines.store import Store
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import conditions, derived, record, run_folder, run_info
from reports import operators, plugin, render
from reports.counts import counts_table
from reports.moved import explanations, moved_tables
from reports.summary import summarise
from reports.waterfall import waterfall, waterfalls

# Of an H100's decode step at context 512 (fp16), in milliseconds and launches; the
# names of the kernels are shortened.
_DECODE_MS = {
    "down_proj": (1.395, 64),
    "gate_proj": (1.365, 32),
    "up_proj": (1.319, 32),
    "norms": (0.852, 513),
    "attention": (0.600, 96),
    "o_proj": (0.526, 32),
    "q_proj": (0.496, 32),
    "rope": (0.400, 329),
    "k_proj": (0.238, 32),
    "v_proj": (0.237, 32),
    "cache": (0.233, 64),
    "lm_head": (0.096, 1),
    "other": (0.010, 5),
}


def kernels(factor: float = 1.0, **more: float) -> tuple[KernelTime, ...]:
    """The step's kernels, of three profiled steps; `more` are milliseconds on top."""
    return tuple(
        KernelTime(
            operator=name,
            name=f"void {name}_kernel<4>(int)",
            launches=launches,
            device_s=((ms + more.get(name, 0.0)) * factor / 1e3,) * 3,
        )
        for name, (ms, launches) in _DECODE_MS.items()
    )


DECODE = record(
    "decode-b1-c512-fp16-eager", wall_s=0.020, device_s=0.0078, kernels=kernels(), back_to_back_s=0.019
)
PREFILL = record("prefill-b1-p512-fp16-eager", wall_s=0.0236, device_s=0.0171, kernels=kernels(2.2))
GRAPH = record(
    "decode-b1-c512-fp16-graph",
    wall_s=0.0079,
    device_s=0.0078,
    kernels=tuple(replace(k, operator=None) for k in kernels()),
)
BARE = record("decode-b1-c512-fp16-eager", wall_s=0.020, device_note="the profiler saw no kernel")


def summary(*records: Record, verdicts: Sequence[Verdict] = (), **more: Any) -> str:
    return summarise(
        run_info(records), derived(records), verdicts, ceilings=run_ceilings(records), images=(), **more
    )


def section(markdown: str, title: str) -> str:
    return markdown.split(f"## {title}\n", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def row(markdown: str, start: str) -> list[str]:
    """The one table row that starts so."""
    (found,) = [line for line in markdown.split("\n") if line.startswith(f"| {start} ")]
    return cells(found)


class TestWaterfall:
    def test_steps_add_up_to_the_wall(self) -> None:
        (one,) = derived([DECODE])
        levels = waterfall(one)

        assert levels.ceilings_s is not None
        assert levels.kernels_s is not None
        assert levels.host_s == pytest.approx(0.020 - 0.0078)
        whole = levels.bound_s + levels.ceilings_s + levels.kernels_s + levels.host_s
        assert whole == pytest.approx(levels.wall_s)

    def test_a_row_says_each_step_with_its_share(self) -> None:
        """14.289 GB at 3350 GB/s, and at 89 % of that."""
        said = row(waterfalls(derived([DECODE])), "`decode-b1-c512-fp16-eager`")

        assert said[1:] == [
            "4.265 ms (21.3 %)",
            "527.2 µs (2.6 %)",
            "3.008 ms (15.0 %)",
            "12.200 ms (61.0 %)",
            "20.000 ms",
            "19.000 ms",
        ]

    def test_a_negative_host_share_is_said_in_words(self) -> None:
        over = replace(PREFILL, measurement=replace(PREFILL.measurement, wall_s=(0.0166,)))
        said = waterfalls(derived([DECODE, over]))

        assert "- `prefill-b1-p512-fp16-eager`: the profiled kernels took 500.0 µs longer than" in said
        assert said.count("the host's share is not known") == 1

    def test_kernels_faster_than_the_ceilings_are_said_too(self) -> None:
        fast = record("decode-b1-c512-fp16-eager", wall_s=0.005, device_s=0.0045)

        assert "faster than the measured ceilings allow" in waterfalls(derived([fast]))

    def test_without_device_time_the_steps_between_are_dashes(self) -> None:
        assert row(waterfalls(derived([BARE])), "`decode-b1-c512-fp16-eager`")[3:5] == ["–", "–"]

    def test_a_cpu_has_no_ceilings_under_its_bound(self) -> None:
        cpu = record("decode-b1-c32-fp32-eager", gpu="cpu", model="mistral-cpu-140m", wall_s=0.05)

        assert row(waterfalls(derived([cpu])), "`decode-b1-c32-fp32-eager`")[2] == "–"


class TestTables:
    def test_an_operator_stands_beside_its_bound_and_its_ceiling(self) -> None:
        said = section(summary(DECODE, PREFILL), "Where the time goes")
        decode, prefill = said.split("### ")[1:]

        # 3.758 GB: 1.122 ms at 3350 GB/s, 80.4 % of 1.395 ms; of 89 % of that, 90.4 %.
        assert row(decode, "down_proj") == [
            *("down_proj", "64", "1.395 ms", "18.0 %"),
            *("1.122 ms", "80.4 %", "90.4 %"),
        ]
        assert row(decode, "rope")[4:] == ["–", "–", "–"]
        assert "99.87 % of device time attributed to an operator." in decode
        assert prefill.startswith("`prefill-b1-p512-fp16-eager`, by operator")

    def test_compulsory_work_without_kernels_does_not_vanish(self) -> None:
        fused = tuple(k for k in kernels() if k.operator != "k_proj")
        said = summary(replace(DECODE, measurement=replace(DECODE.measurement, kernels=fused)))

        assert "no kernel ran in a range of their own: embed_tokens, k_proj." in said

    def test_an_engine_without_modules_is_told_by_kernel(self) -> None:
        said = section(summary(GRAPH), "Where the time goes")

        assert "### `decode-b1-c512-fp16-graph`, by kernel" in said
        assert row(said, r"down_proj_kernel\<4>")[1:] == ["64", "1.395 ms", "18.0 %"]
        assert row(said, "1 others")[1:] == ["5", "10.000 µs", "0.1 %"]

    def test_the_attributed_engine_is_the_one_in_full(self) -> None:
        assert [d.record.case.engine for d in operators.chosen(derived([GRAPH, DECODE]))] == ["eager"]

    def test_of_many_cases_two_are_shown(self) -> None:
        longer = record("decode-b1-c2048-fp16-eager", device_s=0.008, kernels=kernels())
        wide = record("decode-b8-c4096-fp16-eager", device_s=0.008, kernels=kernels())
        found = operators.chosen(derived([DECODE, longer, wide, PREFILL]))

        assert [d.record.case.id for d in found] == [
            "decode-b1-c2048-fp16-eager",
            "prefill-b1-p512-fp16-eager",
        ]

    def test_without_kernels_it_says_so(self) -> None:
        said = section(summary(BARE), "Where the time goes")

        assert "Device time by operator: not measured: the profiler saw no kernel." in said

    def test_findings_name_what_takes_most(self) -> None:
        said = section(summary(DECODE), "Key findings")

        assert "goes first to down_proj 18.0 %, gate_proj 17.6 %, up_proj 17.0 %, norms 11.0 %;" in said
        # rope, cache and other: 0.643 of 7.767 ms.
        assert "8.3 % to operators without compulsory work." in said


def gids(figure: Figure) -> dict[str, Any]:
    return {gid: line for axes in figure.axes for line in axes.get_lines() if (gid := line.get_gid())}


class TestFigure:
    def test_a_point_is_an_operator_at_its_rate_and_intensity(self) -> None:
        run = derived([DECODE, PREFILL])
        figure = operators.draw(run, run_ceilings((DECODE, PREFILL)))
        assert figure is not None
        found = gids(figure)

        for d in run:
            for share in by_operator(d, None):
                gid = f"operator:{d.record.case.id}:{share.name}"
                drawn = bool(share.flops and share.bytes and share.device_s)
                assert (gid in found) == drawn
                if drawn:
                    assert found[gid].get_xdata() == [pytest.approx(share.flops / share.bytes)]
                    assert found[gid].get_ydata() == [pytest.approx(share.flops / share.device_s)]

    def test_a_larger_share_has_a_larger_marker(self) -> None:
        figure = operators.draw(derived([DECODE]), None)
        assert figure is not None
        found, case = gids(figure), DECODE.case.id
        down, head = (found[f"operator:{case}:{name}"].get_markersize() for name in ("down_proj", "lm_head"))

        # Areas above the least size are as the shares.
        assert ((down - 4) / (head - 4)) ** 2 == pytest.approx(1.395 / 0.096)

    def test_roofs_are_the_datasheets_and_ceilings_the_measured(self) -> None:
        figure = operators.draw(derived([DECODE]), run_ceilings((DECODE,)))
        assert figure is not None
        found = gids(figure)

        assert list(found["roof:fp16"].get_ydata()[1:]) == [989.4e12, 989.4e12]
        assert found["ceiling:fp16"].get_ydata()[1] == pytest.approx(0.76 * 989.4e12)

    def test_what_has_no_place_under_a_roof_is_named(self) -> None:
        figure = operators.draw(derived([DECODE]), None)
        assert figure is not None

        assert "without FLOPs of their own: norms 11.0 %, rope 5.1 %" in figure.axes[0].get_xlabel()

    @pytest.mark.parametrize("records", [(BARE,), (GRAPH,)])
    def test_nothing_is_drawn_without_operators(self, records: tuple[Record, ...]) -> None:
        assert operators.draw(derived(records), None) is None


def stored_run(folder: Path, store: Store, **more: float) -> RunFolder:
    """A run whose decode case is 3 % slower than three stored sessions."""
    store.write([DECODE] * 3, written="2026-11-22T12:00:00+00:00", command="a test")
    slower = record("decode-b1-c512-fp16-eager", wall_s=0.020, device_s=0.00804, kernels=kernels(**more))
    return run_folder(folder, [slower])


class TestMoved:
    def test_a_regression_is_explained_from_its_baseline(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        folder = stored_run(tmp_path / "run", store, down_proj=0.214, cache=0.020)
        judged = judge_folder(folder, store)
        said = render.render(folder, judged.verdicts, store).read_text(encoding="utf-8")

        assert [v.status for v in judged.verdicts] == [Status.REGRESSED]
        assert "moved most: down_proj +214.0 µs; cache +20.000 µs" in judged.verdicts[0].reasons[0]
        moved = section(said, "What moved")
        assert row(moved, "down_proj")[1:3] == ["1.395 ms", "+214.0 µs"]
        assert moved.index("down_proj") < moved.index("cache")

    def test_a_baseline_that_was_refreshed_since_explains_nothing(self, tmp_path: Path) -> None:
        """The verdict was given by another."""
        store = Store(tmp_path / "store")
        folder = stored_run(tmp_path / "run", store, down_proj=0.214)
        judged = judge_folder(folder, store)
        store.write([DECODE] * 4, written="2026-11-23T12:00:00+00:00", command="a test")

        assert explanations(judged.derived, judged.verdicts, store) == {}

    def test_a_pass_is_not_explained(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        folder = stored_run(tmp_path / "run", store, down_proj=0.214)
        judged = judge_folder(folder, store)
        passed = [replace(v, status=Status.PASS) for v in judged.verdicts]

        assert explanations(judged.derived, passed, store) == {}
        assert "## What moved" not in summary(DECODE)
        assert moved_tables({}) == ""


class TestCounts:
    def test_columns_of_which_nothing_is_known_are_left_out(self) -> None:
        counted = record(
            "decode-b1-c512-fp16-eager",
            counts=Counts(launches=1494, syncs=0, allocated_bytes=12_500_000),
            seen=conditions(slowed_s={"sw_power_cap": 0.25}),
        )
        counted = replace(counted, measurement=replace(counted.measurement, energy_j=36.0))
        header, _, line, *_ = counts_table(derived([counted, PREFILL])).split("\n")

        assert cells(header) == [
            *("case", "launches", "syncs", "allocated"),
            *("energy/step", "prepare", "power-capped"),
        ]
        # 36 J over three rounds; a quarter of the second that was observed.
        assert cells(line)[1:] == ["1,494", "0", "12.5 MB", "12 J", "500.0 ms", "25.0 %"]

    def test_a_record_of_an_older_schema_has_no_row(self) -> None:
        old = replace(PREFILL, measurement=replace(PREFILL.measurement, prepare_s=None))

        assert counts_table(derived([old])) == ""


class TestFiles:
    def test_every_operator_of_every_case_is_a_line(self, tmp_path: Path) -> None:
        render.render(run_folder(tmp_path, [DECODE, PREFILL, GRAPH]), [])
        with (tmp_path / "operators.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))

        assert {r["case"] for r in rows} == {DECODE.case.id, PREFILL.case.id}
        (down,) = (r for r in rows if (r["case"], r["operator"]) == (DECODE.case.id, "down_proj"))
        assert float(down["device_s"]) == pytest.approx(1.395e-3)
        assert int(down["bytes"]) == int(down["flops"]) == 3_758_096_384
        assert matplotlib.image.imread(tmp_path / "operators.png").shape[1] > 1000
        assert "![operators.png](operators.png)" in (tmp_path / "summary.md").read_text(encoding="utf-8")

    def test_a_run_without_kernels_has_neither_file(self, tmp_path: Path) -> None:
        render.render(run_folder(tmp_path, [BARE]), [])

        assert not list(tmp_path.glob("operators.*"))
        assert "operators.png" not in (tmp_path / "summary.md").read_text(encoding="utf-8")


class TestFullDisk:
    @pytest.mark.parametrize(
        ("written", "before"),
        [("_save", pytest.ExitCode.OK), ("write_text", pytest.ExitCode.TESTS_FAILED)],
    )
    def test_the_report_is_said_to_be_missing_and_all_else_stays(
        self, written: str, before: pytest.ExitCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

        folder = run_folder(tmp_path / "run", [DECODE])
        perf = PerfState(store=Store(tmp_path / "store"), folder=folder, stored=False, opened=True)
        config = SimpleNamespace(stash=pytest.Stash())
        config.stash[STATE], config.stash[NOTES] = perf, []
        session: Any = SimpleNamespace(config=config, exitstatus=before)
        monkeypatch.setattr(render, written, full)
        plugin.pytest_sessionfinish(session)

        (note,) = config.stash[NOTES]
        assert note.startswith("report not written: [Errno 28] No space left on device")
        # A failed run keeps its own status.
        expected = pytest.ExitCode.INTERNAL_ERROR if before is pytest.ExitCode.OK else before
        assert session.exitstatus == expected
        assert folder.records() == (DECODE,)
        assert [v.case for v in folder.verdicts()] == [DECODE.case.id]
        assert config.stash[plugin.TABLE]
        assert not (folder.path / "summary.md").exists()
