"""Where the time goes: waterfall, operators, what moved, counts; and a disk that is full."""

import csv
import errno
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.image
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from analytic import Case
from baselines.attribution import Moved, by_operator
from baselines.judging import judge_folder
from baselines.plugin import NOTES, STATE, PerfState
from baselines.record import Counts, KernelTime, Record
from baselines.run import RunFolder, run_ceilings
from baselines.store import Store, digest
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import conditions, derived, record, run_folder
from perf_tests.selftests.reported import section, summary
from perf_tests.selftests.verdicts import confirmed
from reports import breakdown, operators, plugin, render, roofline
from reports.conditions import conditions_text
from reports.counts import counts_table
from reports.moved import explanations, moved_tables
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
BARE_PREFILL = record("prefill-b1-p512-fp16-eager", device_note="the profiler saw no kernel")
GENERATE = record("generate-b1-p64-n32-fp16-eager", wall_s=0.9)
BARE = record("decode-b1-c512-fp16-eager", wall_s=0.020, device_note="the profiler saw no kernel")


def engine(what: Record, case_id: str) -> Record:
    """The same measurement of another case."""
    return replace(what, case=Case.parse(case_id, model=what.case.model))


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

    def test_a_step_above_the_cards_clock_is_shown_as_it_ran(self) -> None:
        """For the wall around it ran there too."""
        above = replace(
            DECODE.measurement,
            held_clock_mhz=(1.01 * 1980,) * len(DECODE.measurement.device_s or ()),
            conditions=conditions(),
        )
        (one,) = derived([replace(DECODE, measurement=above)])

        assert one.device_s is not None
        assert one.device_s > 0.0078
        assert waterfall(one).host_s == pytest.approx(0.020 - 0.0078)

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
        assert said.count("The host's share is not known") == 1
        # Neither cause was seen.
        assert "the clock may have differed, or the profiler" in said

    def test_kernels_faster_than_the_ceilings_are_said_too(self) -> None:
        fast = record("decode-b1-c512-fp16-eager", wall_s=0.005, device_s=0.0045)

        said = waterfalls(derived([fast]))
        assert "faster than the measured ceilings allow" in said
        assert "may have come from a cache" in said

    def test_a_generate_is_no_step(self) -> None:
        said = waterfalls(derived([DECODE, GENERATE]))

        assert DECODE.case.id in said
        assert GENERATE.case.id not in said
        assert waterfalls(derived([GENERATE])) == ""

    def test_back_to_back_is_a_column_where_a_case_has_it(self) -> None:
        assert row(waterfalls(derived([PREFILL])), "case")[-1] == "= wall"
        assert row(waterfalls(derived([PREFILL])), f"`{PREFILL.case.id}`")[-1] == "23.600 ms"
        assert row(waterfalls(derived([PREFILL, DECODE])), "case")[-1] == "back to back"

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
        assert row(decode, "operator")[1] == "device ops"
        assert prefill.startswith("`prefill-b1-p512-fp16-eager`, by operator")

    def test_compulsory_work_without_kernels_does_not_vanish(self) -> None:
        fused = tuple(k for k in kernels() if k.operator != "k_proj")
        said = summary(replace(DECODE, measurement=replace(DECODE.measurement, kernels=fused)))

        assert "no kernel ran in a range of their own: embed_tokens, k_proj." in said

    def test_an_engine_without_modules_is_told_by_kernel(self) -> None:
        said = section(summary(GRAPH), "Where the time goes")

        assert "### `decode-b1-c512-fp16-graph`, by kernel" in said
        assert row(said, "kernel") == ["kernel", "device ops", "device", "share"]
        assert row(said, "down_proj_kernel<4>")[1:] == ["64", "1.395 ms", "18.0 %"]
        assert row(said, "1 others")[1:] == ["5", "10.000 µs", "0.1 %"]

    def test_a_kernel_takes_the_median_of_its_steps(self) -> None:
        """Of which one was disturbed, as an operator does."""
        uneven = (
            KernelTime(operator=None, name="a", launches=1, device_s=(1e-3, 1e-3, 9e-3)),
            KernelTime(operator=None, name="b", launches=1, device_s=(3e-3, 3e-3, 3e-3)),
        )
        said = summary(replace(GRAPH, measurement=replace(GRAPH.measurement, kernels=uneven)))

        assert row(said, "a")[1:] == ["1", "1.000 ms", "25.0 %"]
        assert row(said, "b")[1:] == ["1", "3.000 ms", "75.0 %"]

    def test_every_engine_without_modules_has_a_case_of_each_phase(self) -> None:
        more = [engine(GRAPH, "decode-b1-c512-fp16-tuned"), engine(GRAPH, "prefill-b1-p512-fp16-tuned")]
        said = summary(DECODE, GRAPH, engine(GRAPH, "decode-b8-c512-fp16-graph"), *more)
        shown = [line for line in said.split("\n") if line.startswith("### ") and ", by " in line]

        assert shown == [
            "### `decode-b1-c512-fp16-eager`, by operator",
            "### `decode-b1-c512-fp16-graph`, by kernel",
            "### `decode-b1-c512-fp16-tuned`, by kernel",
            "### `prefill-b1-p512-fp16-tuned`, by kernel",
        ]

    def test_what_beats_its_measured_ceiling_by_much_is_said(self) -> None:
        """down_proj's 1.122 ms at the roof are 1.260 ms at the ceiling, gate_proj's likewise."""
        fast = kernels(down_proj=1.150 - 1.395, gate_proj=1.220 - 1.365)
        said = summary(replace(DECODE, measurement=replace(DECODE.measurement, kernels=fast)))

        assert "Faster than the measured ceilings allow: down_proj 109.6 % of the ceiling." in said
        assert "gate_proj 103.3 %" not in said
        assert "Faster than the measured" not in summary(DECODE)

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
        # norms (a bound of 159 ns), rope, cache and other: 1.495 of 7.767 ms.
        assert "; 19.2 % of it goes to operators that move next to nothing that must be moved" in said
        assert said.rstrip().endswith("norms 11.0 %, rope 5.1 %, cache 3.0 %, other 0.1 %.")

    def test_a_step_of_compulsory_work_alone_has_no_such_share(self) -> None:
        needed = tuple(k for k in kernels() if k.operator in ("down_proj", "gate_proj"))
        said = section(
            summary(replace(DECODE, measurement=replace(DECODE.measurement, kernels=needed))), "Key findings"
        )

        assert said.rstrip().endswith("goes first to down_proj 50.5 %, gate_proj 49.5 %.")


def own_gids(axes: Axes) -> dict[str, Any]:
    return {gid: line for line in axes.get_lines() if (gid := line.get_gid())}


def gids(figure: Figure) -> dict[str, Any]:
    return {gid: line for axes in figure.axes for gid, line in own_gids(axes).items()}


def drawn(*records: Record) -> Figure:
    figure = operators.draw(derived(records), run_ceilings(records))
    assert figure is not None
    return figure


def with_kernels(what: Record, factor: float = 1.0, **more: float) -> Record:
    return replace(what, measurement=replace(what.measurement, kernels=kernels(factor, **more)))


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

    def test_each_case_has_a_panel_of_its_own(self) -> None:
        figure = drawn(DECODE, PREFILL)

        for axes, one in zip(figure.axes, (DECODE, PREFILL), strict=True):
            points = {gid: line for gid, line in own_gids(axes).items() if gid.startswith("operator:")}
            assert {gid.split(":")[1] for gid in points} == {one.case.id}
            assert axes.get_title().startswith(f"{one.case.id}: ")
            assert {"roof:fp16", "ceiling:fp16"} <= own_gids(axes).keys()
        assert len(drawn(DECODE).axes) == 1

    def test_a_panel_says_the_median_of_its_steps(self) -> None:
        uneven = tuple(replace(k, device_s=(*k.device_s[:2], 9 * k.device_s[2])) for k in kernels())
        figure = drawn(replace(DECODE, measurement=replace(DECODE.measurement, kernels=uneven)))

        assert figure.axes[0].get_title() == f"{DECODE.case.id}: 7.767 ms of kernels"

    def test_a_panel_is_close_up(self) -> None:
        """A decode step without the ridge point, at 300 times its intensity."""
        (axes,) = drawn(DECODE).axes
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()

        assert right < 100
        assert high < 100e12
        for gid, line in own_gids(axes).items():
            if gid.startswith("operator:"):
                assert left < line.get_xdata()[0] < right
                assert low < line.get_ydata()[0] < high
        # The roof goes through the panel, from below its left end.
        roof = own_gids(axes)["roof:fp16"]
        assert roof.get_xdata()[0] <= left
        assert roof.get_ydata()[0] == pytest.approx(roof.get_xdata()[0] * 3350e9)

    def test_what_takes_next_to_no_time_does_not_widen_the_view(self) -> None:
        """A prefill's lm_head sees one token: its intensity is a decode step's."""
        wide, close = drawn(PREFILL).axes[0], drawn(with_kernels(PREFILL, lm_head=-0.09)).axes[0]

        assert (wide.get_xlim()[0] < 1, close.get_xlim()[0] > 100) == (True, True)
        assert "outside" not in wide.get_xlabel()
        assert "outside of the view: lm_head 0.1 %" in close.get_xlabel()
        assert not [label for label in close.texts if "lm_head" in label.get_text()]

    def test_every_label_is_readable(self) -> None:
        """Each in the column beside its panel: over no other, no marker and no roof."""
        figure = drawn(DECODE, PREFILL)
        figure.draw_without_rendering()
        for axes in figure.axes:
            labels = [t for t in axes.texts if t.get_text().endswith(" %")]
            boxes = [Text.get_window_extent(t) for t in labels]
            assert sum(t.get_text() == "lm_head 1.2 %" for t in labels) == 1
            assert len(labels) == 9
            for i, box in enumerate(boxes):
                assert box.x0 > axes.get_window_extent().x1
                assert box.x1 <= figure.bbox.x1
                assert not [other for other in boxes[i + 1 :] if box.overlaps(other)]
            heights = [label.xy[1] for label in sorted(labels, key=lambda t: -Text.get_window_extent(t).y0)]
            assert heights == sorted(heights, reverse=True)

    def test_the_title_stays_within_the_figure(self) -> None:
        versioned = replace(
            DECODE,
            run="20261123T005212-96cd68cadd",
            commit="96cd68cadd",
            dirty=True,
            soft=replace(DECODE.soft, torch="2.11.0+cu130", transformers="5.17.0.dev0", driver="580.159.04"),
        )
        run = derived([versioned])
        for figure in (drawn(versioned), roofline.draw(run, None), breakdown.draw(run, None)):
            figure.draw_without_rendering()
            for said in figure.findobj(Text):
                if "580.159.04" in said.get_text():
                    box = said.get_window_extent()
                    assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
                    assert "2.11.0+cu130" in said.get_text()
                    break
            else:
                pytest.fail("no versions in the figure")

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
        said = drawn(with_kernels(DECODE, other=-0.009)).axes[0].get_xlabel()

        # The others round to 0.0 %.
        assert said.endswith("without FLOPs of their own: norms 11.0 %, rope 5.2 %, cache 3.0 %")

    def test_a_line_of_names_is_broken_between_them(self) -> None:
        many = {f"operator_{i}": (1.0, 1) for i in range(12)}
        made = tuple(
            KernelTime(operator=name, name=name, launches=1, device_s=(ms / 1e3,) * 3)
            for name, (ms, _) in (many | _DECODE_MS).items()
        )
        said = drawn(replace(DECODE, measurement=replace(DECODE.measurement, kernels=made)))
        lines = said.axes[0].get_xlabel().split("\n")

        assert len(lines) > 3
        assert max(map(len, lines)) <= 84
        assert not [line for line in lines if line.startswith("%")]

    @pytest.mark.parametrize("records", [(BARE,), (GRAPH,)])
    def test_nothing_is_drawn_without_operators(self, records: tuple[Record, ...]) -> None:
        assert operators.draw(derived(records), None) is None


def stored_run(folder: Path, store: Store, **more: float) -> RunFolder:
    """A run whose decode case is 3 % slower than three stored sessions."""
    store.write([DECODE] * 3, written="2026-11-22T12:00:00+00:00", command="a test")
    slower = record("decode-b1-c512-fp16-eager", wall_s=0.020, device_s=0.00804, kernels=kernels(**more))
    return confirmed(folder, [slower])


class TestMoved:
    def test_a_regression_is_explained_from_its_baseline(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        folder = stored_run(tmp_path / "run", store, down_proj=0.214, cache=0.020)
        judged = judge_folder(folder, store)
        render.render(folder, judged.verdicts, store)
        said = (folder.path / render.SUMMARY).read_text(encoding="utf-8")

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

    @pytest.mark.parametrize("status", Status)
    def test_what_is_told_of_a_case_says_whether_it_is_explained(
        self, status: Status, tmp_path: Path
    ) -> None:
        """A pass is within its noise; a case below its band has moved far."""
        store = Store(tmp_path / "store")
        folder = stored_run(tmp_path / "run", store, down_proj=0.214)
        judged = judge_folder(folder, store)
        told = [replace(v, status=status) for v in judged.verdicts]
        found = explanations(judged.derived, told, store)

        left_out = (
            *(Status.PASS, Status.AMBIGUOUS, Status.NO_BASELINE),
            *(Status.INCOMPARABLE, Status.NOT_MEASURED),
        )
        assert [moved[0].name for moved in found.values()] == ([] if status in left_out else ["down_proj"])

    def test_a_baseline_that_cannot_be_read_explains_nothing(self, tmp_path: Path) -> None:
        """It is told with the verdict, and the report is still written."""
        store = Store(tmp_path / "store")
        folder = stored_run(tmp_path / "run", store, down_proj=0.214)
        (one,) = derived(folder.records())
        path = store.path(one.record)
        path.write_text("{", encoding="utf-8")
        damaged = Verdict(
            case=one.record.case.id,
            status=Status.INVALID,
            reasons=("not JSON",),
            baseline_digest=digest(path),
            damaged=True,
        )

        assert explanations((one,), [damaged], store) == {}

    def test_without_anything_that_moved_there_is_no_section(self) -> None:
        assert "## What moved" not in summary(DECODE)
        assert moved_tables({}) == ""

    def test_a_row_says_device_operations_and_kernels_that_came_and_went(self) -> None:
        one = Moved(name="q_proj", then_s=1e-3, change_s=-2e-4, device_ops=-3, new=tuple("abcd"), gone=("e",))
        said = moved_tables({"a-case": [one, replace(one, name="rope", device_ops=0, new=(), gone=())]})

        assert row(said, "operator or kernel")[3] == "device ops"
        assert row(said, "q_proj")[1:] == [
            *("1.000 ms", "-200.000 µs", "-3"),
            "new: a, b, c and 1 more; gone: e",
        ]
        assert row(said, "rope")[3:] == ["", ""]
        assert "together" not in said

    def test_the_rest_is_summed(self) -> None:
        many = [
            Moved(name=f"op_{i}", then_s=1e-3, change_s=change_s, device_ops=0, new=(), gone=())
            for i, change_s in enumerate([1e-3] * 8 + [4e-4, -1e-4, 5e-5])
        ]
        said = moved_tables({"a-case": many})

        assert said.endswith("\n\nand 3 more, together +350.0 µs")
        assert "op_7" in said
        assert "op_8" not in said


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
            *("energy/step", "prepare"),
        ]
        # 36 J over three rounds.
        assert cells(line)[1:] == ["1,494", "0", "12.5 MB", "12 J", "500.0 ms"]

    @pytest.mark.parametrize(
        ("clocks", "most", "cell"),
        [
            ((1979.6, 1979.4, 1994.7), 1980, "1,980 MHz, 1 of 3 above 1,980 MHz"),
            ((1979.6, 1994.8, 1994.6), 1980, "1,995 MHz, 2 of 3 above 1,980 MHz"),
            ((1410.2, 1605.0, 1530.4), 1980, "1,530 MHz"),
        ],
    )
    def test_the_clock_that_the_steps_were_held_at(
        self, clocks: tuple[float, ...], most: int, cell: str
    ) -> None:
        held = record(
            "decode-b1-c512-fp16-eager",
            device_s=0.0078,
            hold_s=0.1,
            held_clock_mhz=clocks,
            seen=conditions(sm_clock_max_mhz=most),
        )
        header, _, line, *_ = conditions_text(derived([held])).split("\n")

        assert dict(zip(cells(header), cells(line), strict=True))["SM clock held at"] == cell
        assert "100.0 ms" in counts_table(derived([held]))

    def test_without_nvml_the_clock_is_told_alone(self) -> None:
        held = record("decode-b1-c512-fp16-eager", device_s=0.0078, held_clock_mhz=(1995.0,) * 3)

        header, _, line, *_ = conditions_text(derived([held])).split("\n")

        assert (cells(header)[1:], cells(line)[1:]) == (["SM clock held at"], ["1,995 MHz"])

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
        assert int(down["device_ops"]) == 64
        assert float(down["bound_s"]) == pytest.approx(3_758_096_384 / 3350e9)
        assert float(down["ceiling_s"]) == pytest.approx(3_758_096_384 / (0.89 * 3350e9))
        (rope,) = (r for r in rows if (r["case"], r["operator"]) == (DECODE.case.id, "rope"))
        assert (rope["bound_s"], rope["ceiling_s"], rope["bytes"]) == ("", "", "0")
        assert matplotlib.image.imread(tmp_path / "operators.png").shape[1] > 1000
        assert "![operators.png](operators.png)" in (tmp_path / "summary.md").read_text(encoding="utf-8")

    def test_every_kernel_of_every_case_is_a_line(self, tmp_path: Path) -> None:
        copy = KernelTime(operator=None, name="void a::copy<int>(x)", launches=3, device_s=(1e-3, 2e-3, 9e-3))
        graph = replace(GRAPH, measurement=replace(GRAPH.measurement, kernels=(copy,)))
        render.render(run_folder(tmp_path, [DECODE, graph, BARE_PREFILL]), [])
        with (tmp_path / "kernels.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))

        assert len(rows) == len(kernels()) + 1
        assert {r["operator"] for r in rows if r["case"] == DECODE.case.id} == set(_DECODE_MS)
        (last,) = (r for r in rows if r["case"] == GRAPH.case.id)
        assert last == {
            "case": GRAPH.case.id,
            "operator": "",
            "kernel": "copy<int>",
            "name": "void a::copy<int>(x)",
            "device_ops": "3",
            "device_s": "0.002",
        }

    def test_a_run_without_kernels_has_no_such_file(self, tmp_path: Path) -> None:
        render.render(run_folder(tmp_path, [BARE]), [])

        assert not [*tmp_path.glob("operators.*"), *tmp_path.glob("kernels.*")]
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
