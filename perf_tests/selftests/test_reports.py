"""What the reports draw and say, against the records and by hand."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib.image
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from analytic import Phase, registry
from baselines.derived import Derived
from baselines.record import Record
from baselines.run import RunFolder, run_ceilings
from baselines.verdict import Status, Verdict, not_measured
from perf_tests.selftests.records import derived, record, run_folder
from perf_tests.selftests.reported import section, summary
from reports import breakdown, roofline
from reports.__main__ import main
from reports.advice import (
    Advice,
    advise,
    batch_series,
    batch_table,
    present_of,
    recommendations,
    representative,
)
from reports.generation import generations
from reports.labels import spread
from reports.render import render
from reports.table import case_table, generate_table, missing_list, results

# FLOPs of Mistral-7B, counted by torch's FlopCounterMode: a prefill of 128 and
# of 512 tokens, a decode step on 512 cached.
PREFILL_128_FLOPS = 1.79556e12
PREFILL_512_FLOPS = 7.28453e12
DECODE_512_FLOPS = 14.4897e9

LAUNCH_BOUND = record("decode-b1-c512-fp16-eager", wall_s=0.035, device_s=0.008)
PREFILL = record("prefill-b1-p512-fp16-eager", wall_s=0.0175, device_s=0.0171)
GENERATE = record("generate-b1-p512-n32-fp16-eager", wall_s=[1.0, 1.1, 1.2], first_token_s=0.02)
CPU = record(
    "decode-b1-c32-fp32-eager", gpu="cpu", model="mistral-cpu-140m", wall_s=0.05, device_note="no profiler"
)


def xy(figure: Figure, gid: str) -> tuple[list[float], list[float]]:
    """The coordinates of the line with that gid, read off the axes."""
    lines = [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == gid]
    assert len(lines) == 1, f"{len(lines)} lines have the gid {gid}"
    return [float(x) for x in lines[0].get_xdata()], [float(y) for y in lines[0].get_ydata()]


def gids(figure: Figure) -> set[str]:
    artists = [a for axes in figure.axes for a in (*axes.get_lines(), *axes.patches)]
    return {gid for a in artists if (gid := a.get_gid())}


def height(figure: Figure, gid: str) -> float:
    """The height of the bar with that gid."""
    bars = [p for axes in figure.axes for p in axes.patches if p.get_gid() == gid]
    assert len(bars) == 1, f"{len(bars)} bars have the gid {gid}"
    return float(bars[0].get_height())


def names(figure: Figure) -> list[str]:
    """What the points of a roofline are called."""
    return sorted(t.get_text() for axes in figure.axes for t in axes.texts if re.search(r"b\d", t.get_text()))


def roof_figure(*records: Record) -> Figure:
    return roofline.draw(derived(records), run_ceilings(records))


def breakdown_figure(*records: Record) -> Figure:
    return breakdown.draw(derived(records), run_ceilings(records))


def one(what: Record) -> Derived:
    (found,) = derived([what])
    return found


def advised(run: Sequence[Derived], phase: Phase) -> Advice | None:
    return advise(run, phase, batch_series(run))


def advice(records: Sequence[Record]) -> Advice:
    found = advised(derived(records), Phase.DECODE)
    assert found is not None
    return found


class TestRoofline:
    def test_points_lie_at_the_records_rates(self) -> None:
        figure = roof_figure(LAUNCH_BOUND, PREFILL)

        x, y = xy(figure, "measured:decode-b1-c512-fp16-eager")
        # FLOP over byte: 14.49 GFLOP on 14.29 GB of weights and KV.
        assert x == [pytest.approx(1.014, rel=1e-3)]
        assert y == [pytest.approx(DECODE_512_FLOPS / 0.008, rel=1e-4)]
        assert xy(figure, "wall:decode-b1-c512-fp16-eager")[1] == [
            pytest.approx(DECODE_512_FLOPS / 0.035, rel=1e-4)
        ]
        assert xy(figure, "measured:prefill-b1-p512-fp16-eager")[1] == [
            pytest.approx(PREFILL_512_FLOPS / 0.0171, rel=1e-4)
        ]

    def test_the_bound_lies_on_the_roof_at_the_points_intensity(self) -> None:
        figure = roof_figure(LAUNCH_BOUND, PREFILL)

        ((x,), (y,)) = xy(figure, "bound:decode-b1-c512-fp16-eager")
        assert y == pytest.approx(x * 3350e9)
        ((_,), (y,)) = xy(figure, "bound:prefill-b1-p512-fp16-eager")
        assert y == pytest.approx(989.4e12)

    def test_roofs_and_ridge_points_are_the_datasheets(self) -> None:
        int8 = record("prefill-b1-p512-int8-eager", device_s=0.02)
        figure = roof_figure(PREFILL, int8)

        x, y = xy(figure, "roof:fp16")
        assert y[1:] == [989.4e12, 989.4e12]
        assert y[0] == pytest.approx(x[0] * 3350e9)
        assert xy(figure, "ridge:fp16") == ([pytest.approx(295.34, abs=0.01)], [989.4e12])
        assert xy(figure, "ridge:int8") == ([pytest.approx(590.75, abs=0.01)], [1979e12])

    def test_ceilings_are_what_was_measured(self) -> None:
        figure = roof_figure(PREFILL)

        x, y = xy(figure, "ceiling:fp16")
        assert y[1:] == [pytest.approx(0.76 * 989.4e12)] * 2
        assert y[0] == pytest.approx(x[0] * 0.89 * 3350e9)

    def test_a_cpu_has_ceilings_and_no_roof(self) -> None:
        figure = roof_figure(CPU)

        assert "ceiling:fp32" in gids(figure)
        assert not [gid for gid in gids(figure) if gid.startswith(("roof:", "ridge:"))]

    def test_a_point_without_device_time_is_hollow_and_by_the_wall(self) -> None:
        figure = roof_figure(CPU)
        (line,) = (
            li for li in figure.axes[0].get_lines() if li.get_gid() == "measured:decode-b1-c32-fp32-eager"
        )

        assert line.get_markerfacecolor() == "white"
        assert line.get_ydata()[0] == pytest.approx(one(CPU).bound.flops / 0.05)
        assert "wall:decode-b1-c32-fp32-eager" not in gids(figure)

    def test_generate_is_in_the_other_figure(self) -> None:
        figure = roof_figure(PREFILL, GENERATE)

        assert "measured:generate-b1-p512-n32-fp16-eager" not in gids(figure)

    def test_generate_alone_still_draws_the_roof(self) -> None:
        assert xy(roof_figure(GENERATE), "ridge:fp16")[1] == [989.4e12]

    def test_title_names_model_device_run_and_versions(self) -> None:
        figure = roof_figure(PREFILL)
        said = f"{figure.get_suptitle()} {figure.axes[0].get_title()}"

        for part in ("mistral-7b-v0.1", "NVIDIA H100 80GB HBM3", "abc1234", "torch 2.11.0", "driver 580.159"):
            assert part in said

    def test_engines_are_told_apart_where_there_are_several(self) -> None:
        graph = record("decode-b1-c512-fp16-graph", wall_s=0.0089, device_s=0.0082)
        tuned = record("decode-b1-c512-fp16-tuned", wall_s=0.0066, device_s=0.0058)

        assert names(roof_figure(graph, tuned)) == ["graph b1 c512", "tuned b1 c512"]
        assert names(roof_figure(graph)) == ["b1 c512"]

    def test_a_name_covers_no_roof(self) -> None:
        """Three points near the roof: the free place nearest to one is on its line."""
        figure = roof_figure(
            record("decode-b1-c512-fp16-compiled", wall_s=0.0076, device_s=0.0066),
            record("decode-b1-c512-fp16-graph", wall_s=0.0089, device_s=0.0082),
            record("decode-b1-c512-fp16-tuned", wall_s=0.0066, device_s=0.0058),
        )
        (axes,) = figure.axes
        for label in axes.texts:
            if label.get_text() not in names(figure):
                continue
            box = Text.get_window_extent(label)
            for line in axes.get_lines():
                if (line.get_gid() or "").startswith(("roof:", "ceiling:")):
                    path = axes.transData.transform_path(line.get_path())
                    assert not path.intersects_bbox(box, filled=False), label.get_text()


class TestLabels:
    @pytest.mark.parametrize(
        ("heights", "places"),
        [
            ([], []),
            ([50.0], [50.0]),
            ([90.0, 60.0, 10.0], [90.0, 60.0, 10.0]),
            # Those that would meet stand around their mean.
            ([51.0, 50.0, 49.0], [60.0, 50.0, 40.0]),
            ([90.0, 50.0, 50.0], [90.0, 55.0, 45.0]),
            # At an end they are pushed inwards.
            ([100.0, 100.0], [100.0, 90.0]),
            ([1.0, 0.0], [10.0, 0.0]),
            # Without room the gap gives way.
            ([5.0] * 21, [100.0 - 5 * i for i in range(21)]),
        ],
    )
    def test_a_column_keeps_its_gaps(self, heights: list[float], places: list[float]) -> None:
        assert spread(heights, gap=10.0, top=100.0) == pytest.approx(places)


class TestBreakdown:
    def test_bars_are_the_records_numbers(self) -> None:
        figure = breakdown_figure(GENERATE)
        case = GENERATE.case.id

        # 31 tokens after the first in 1.1 - 0.02 s.
        assert height(figure, f"tokens_per_s:{case}") == pytest.approx(31 / 1.08)
        assert height(figure, f"wall_s:{case}") == pytest.approx(1.1)
        assert height(figure, f"prefill_flops:{case}") == pytest.approx(PREFILL_512_FLOPS, rel=1e-4)
        # 31 steps on 512 to 542 cached: 14.4897 GFLOP and 0.52 MFLOP a token more.
        steps = 31 * DECODE_512_FLOPS + 31 * 15 * 4 * 4096 * 32
        assert height(figure, f"decode_flops:{case}") == pytest.approx(steps, rel=1e-4)

    def test_flops_per_s_goes_by_phase(self) -> None:
        figure = breakdown_figure(GENERATE)
        case = GENERATE.case.id

        prefill = PREFILL_512_FLOPS / 0.02
        assert xy(figure, f"prefill_flops_per_s:{case}")[1] == [pytest.approx(prefill, rel=1e-4)]
        assert xy(figure, f"decode_flops_per_s:{case}")[1] == [pytest.approx(0.449e12 / 1.08, rel=2e-3)]
        assert xy(figure, "roof:fp16")[1] == [989.4e12, 989.4e12]

    def test_the_error_bar_is_one_sd(self) -> None:
        (generation,) = generations([one(GENERATE)])

        assert generation.wall_sd_s == pytest.approx(0.1)

    def test_a_single_sample_has_no_spread(self) -> None:
        single = record("generate-b1-p64-n32-fp16-eager", wall_s=[1.0])

        assert generations([one(single)])[0].wall_sd_s is None
        assert " ± " not in generate_table([one(single)]).split("\n")[2]

    def test_precisions_stand_side_by_side(self) -> None:
        nf4 = record("generate-b1-p512-n32-nf4-eager", wall_s=1.5, first_token_s=0.05)
        figure = breakdown_figure(GENERATE, nf4)
        bars = {p.get_gid(): p for p in figure.axes[0].patches if p.get_gid()}
        left, right = bars[f"tokens_per_s:{GENERATE.case.id}"], bars[f"tokens_per_s:{nf4.case.id}"]

        assert left.get_x() + left.get_width() < right.get_x()

    def test_panels_without_a_case_say_so(self) -> None:
        figure = breakdown_figure(PREFILL)

        assert [[t.get_text() for t in axes.texts] for axes in figure.axes] == [["not measured"]] * 4


class TestTables:
    def test_generate_rate_leaves_the_prefill_out(self) -> None:
        slow_prefill = record("generate-b2-p512-n32-fp16-eager", wall_s=1.2, first_token_s=0.2)
        row = generate_table([one(slow_prefill)]).split("\n")[2]

        # Two sequences, 31 tokens each after the first, in one second.
        assert "62.0" in row
        assert "200.0 ms" in row
        assert "32.258 ms" in row

    @pytest.mark.parametrize(
        ("device", "wall", "seen"),
        [
            (0.0069, 0.23, "0.69 %, (23.00 %)"),
            (None, 0.23, "–, (23.00 %)"),
            (0.0069, 2.3, "0.69 %, (> 100 %)"),
            (None, None, "–"),
        ],
    )
    def test_a_row_has_bound_times_fractions_and_regime(
        self, device: float | None, wall: float | None, seen: str
    ) -> None:
        verdict = Verdict(
            case=LAUNCH_BOUND.case.id,
            status=Status.WARN,
            reasons=("no band",),
            sees_device=device,
            sees_wall=wall,
        )
        cells = [
            c.strip() for c in case_table([one(LAUNCH_BOUND)], [verdict]).split("\n")[2].split("|")[1:-1]
        ]

        assert cells == [
            "`decode-b1-c512-fp16-eager`",
            "4.265 ms",
            "8.000 ms",
            "35.000 ms",
            "53.3 %",
            "12.2 %",
            "28.6",
            "launch",
            seen,
            "warn",
        ]

    def test_a_case_that_was_not_measured_is_listed_with_its_reason(self) -> None:
        shown = results([one(PREFILL)], [not_measured("decode-b1-c512-fp16-eager", "out of memory")])

        assert "- `decode-b1-c512-fp16-eager`: out of memory" in shown
        assert "| not_measured |" in shown

    def test_markup_in_a_reason_breaks_nothing(self) -> None:
        reason = "a|b <script> *c* `d`\n## e"
        listed = missing_list([], [not_measured("decode-b1-c512-fp16-eager", reason)])

        assert listed == r"- `decode-b1-c512-fp16-eager`: a\|b \<script> \*c\* \`d\` ## e"

    def test_every_row_has_as_many_cells_as_the_header(self) -> None:
        weird = record("prefill-b1-p512-fp16-eager", device_s=0.0171, device_note="a|b")
        lines = case_table(derived([weird, LAUNCH_BOUND, GENERATE]), []).split("\n")

        assert len(lines) == 5
        assert {line.count("|") for line in lines} == {11}
        assert len({len(line) for line in lines}) == 1

    def test_without_verdicts_the_status_is_not_judged(self) -> None:
        assert case_table([one(PREFILL)], []).split("\n")[2].endswith("not judged |")


class TestAdvice:
    def test_the_longest_case_of_the_smallest_batch_is_advised_on(self) -> None:
        run = derived(
            [
                record("decode-b1-c128-fp16-eager", device_s=0.008),
                record("decode-b1-c2048-fp16-eager", device_s=0.008),
                record("decode-b8-c4000-fp16-eager", device_s=0.008),
            ]
        )
        found = advised(run, Phase.DECODE)

        assert found is not None
        assert found.derived.record.case.id == "decode-b1-c2048-fp16-eager"
        assert advised(run, Phase.PREFILL) is None

    def test_an_eager_case_is_advised_on_before_any_other(self) -> None:
        """The estimates are of eager execution: its launches, its kernels, its host."""
        graph = record("decode-b1-c512-fp16-graph", wall_s=0.009, device_s=0.008)
        eager = record("decode-b8-c512-fp16-eager", wall_s=0.040, device_s=0.0083)
        run = derived([graph, eager])
        found = advised(run, Phase.DECODE)

        assert representative(run, Phase.DECODE) is run[1]
        assert representative(run[:1], Phase.DECODE) is run[0]
        assert found is not None
        assert found.derived is run[1]
        # The graph's wall says nothing of how fast an eager host launches.
        assert found.quickest_s == 0.040

    def test_a_run_of_other_engines_is_given_no_eager_advice(self) -> None:
        graphs = [record(f"decode-b{b}-c512-fp16-graph", wall_s=0.009, device_s=0.008) for b in (1, 8)]
        tuned = record("decode-b1-c512-fp16-tuned", wall_s=0.007, device_s=0.006)
        said = summary(*graphs, tuned)

        assert section(said, "What would help").strip() == (
            "No advice: the estimates are of eager execution, and this run is of graph, tuned."
        )
        assert "## Other GPUs" not in said
        ((first, second),) = batch_series(derived(graphs))
        assert (first.predicted, second.predicted) == (1.0, None)
        assert second.measured == pytest.approx(8.0)
        assert batch_table([(second,)]).rstrip(" |").endswith("–")

    def test_a_run_of_generate_alone_has_no_section_of_advice(self) -> None:
        assert "## What would help" not in summary(GENERATE)

    def test_what_the_run_refutes_is_not_recommended(self) -> None:
        fp16 = record("decode-b1-c512-fp16-eager", gpu="t4", wall_s=0.061, device_s=0.060)
        nf4 = record("decode-b1-c512-nf4-eager", gpu="t4", wall_s=0.122, device_s=0.120)
        recommended, refuted = recommendations(advice([fp16, nf4])).split("refuted by this run:")

        assert "**batch 8: 3.45×** the throughput by the estimate" in recommended
        assert "**nf4-dq weights" in recommended
        assert "nf4 weights" not in recommended
        assert "- nf4 weights: 1.63× predicted; this run measured 0.50×." in refuted

    def test_a_batch_that_gained_nothing_demotes_the_others(self) -> None:
        """Of the same length where there is a series, else of another."""
        single = record("decode-b1-c512-fp16-eager", gpu="t4", wall_s=0.061, device_s=0.060)
        idle = record("decode-b8-c512-fp16-eager", gpu="t4", wall_s=0.500, device_s=0.490)
        longer = record("decode-b1-c2048-fp16-eager", gpu="t4", wall_s=0.080, device_s=0.079)

        for run in ([single, idle], [single, idle, longer]):
            recommended, refuted = recommendations(advice(run)).split("refuted by this run:")
            assert "batch" not in recommended
            assert "this run measured 0.98× at batch 8 (decode-b8-c512-fp16-eager)" in refuted

    def test_a_batch_that_gained_is_still_recommended(self) -> None:
        single = record("decode-b1-c512-fp16-eager", gpu="t4", wall_s=0.061, device_s=0.060)
        more = record("decode-b8-c512-fp16-eager", gpu="t4", wall_s=0.150, device_s=0.149)

        assert "**batch 12" in recommendations(advice([single, more])).split("refuted by this run:")[0]

    def test_predictions_are_scaled_by_the_record(self) -> None:
        now = present_of(one(LAUNCH_BOUND))

        assert (now.wall_s, now.device_s, now.launch_bound) == (0.035, 0.008, True)
        assert now.ceilings == LAUNCH_BOUND.ceilings

    def test_batch_scaling_is_held_against_the_prediction(self) -> None:
        run = derived(
            [
                record("decode-b8-c512-fp16-eager", wall_s=0.040, device_s=0.0083),
                LAUNCH_BOUND,
                record("decode-b1-c128-fp16-eager", wall_s=0.035, device_s=0.008),
            ]
        )
        ((first, second),) = batch_series(run)

        assert first.derived.record.case.batch == 1
        assert second.measured == pytest.approx(8 * 35 / 40)
        assert second.predicted == pytest.approx(8.0)


class TestSummary:
    def test_launch_bound_is_named_with_its_evidence(self) -> None:
        said = section(summary(LAUNCH_BOUND), "What binds")

        assert "**decode: launch-bound** in 1 of 1 case" in said
        assert "the wall is 35.000 ms, the kernels run for 8.000 ms" in said
        assert "77.1 % of the wall" in said

    def test_a_wall_of_kernels_is_not_launch_bound(self) -> None:
        said = summary(record("decode-b1-c512-fp16-eager", wall_s=0.0082, device_s=0.008))

        assert "launch-bound" not in said
        assert "**decode: memory-bound** in 1 of 1 case" in said
        assert "below the ridge point: 1.0 against 295.3 FLOP/byte (fp16)" in said

    def test_compute_bound_prefill_is_held_against_the_ridge_point(self) -> None:
        said = section(summary(PREFILL), "What binds")

        assert "**prefill: compute-bound**" in said
        assert "above the ridge point: 509.7 against 295.3 FLOP/byte (fp16)" in said

    def test_findings_are_the_records(self) -> None:
        said = section(summary(LAUNCH_BOUND, GENERATE), "Key findings")

        assert "the bound is 53.3 % of the device time at best" in said
        assert "28.7 tokens/s (`generate-b1-p512-n32-fp16-eager`)" in said

    def test_failures_come_first_and_plain_passes_are_not_explained(self) -> None:
        verdicts = [
            Verdict(case=PREFILL.case.id, status=Status.PASS, reasons=("fine",)),
            Verdict(case=GENERATE.case.id, status=Status.NO_BASELINE, reasons=("none stored",)),
            Verdict(case=LAUNCH_BOUND.case.id, status=Status.REGRESSED, reasons=("8 ms > 7 ms",)),
        ]
        said = section(summary(LAUNCH_BOUND, PREFILL, GENERATE, verdicts=verdicts), "Verdicts")

        assert said.index("**regressed** `decode-b1-c512-fp16-eager`: 8 ms > 7 ms") < said.index(
            "none stored"
        )
        assert "fine" not in said

    def test_one_finding_on_many_cases_is_said_once(self) -> None:
        ids = [f"decode-b1-c{n}-fp16-eager" for n in (1, 2, 3, 4, 5)]
        verdicts = [Verdict(case=i, status=Status.WARN, reasons=(f"no band for {i}",)) for i in ids]
        said = section(summary(*(record(i, device_s=0.008) for i in ids), verdicts=verdicts), "Verdicts")

        assert "- warn, 5 cases: no band for this case" in said

    def test_words_that_many_cases_repeat_are_said_once(self) -> None:
        """As on another card, where no case has a history: the numbers stay with the cases."""
        ids = [f"decode-b1-c{n}-fp16-eager" for n in (128, 512, 1024, 2048, 4096)]
        card = (
            "on another card (GPU-7023f4d6; this is GPU-18b7f839): shown, not judged; store sessions of two"
        )
        band = "lies in the band 0.47 to 0.62 (products stream at 80 %; norms take a quarter)"
        verdicts = [
            Verdict(
                case=case_id,
                status=Status.WARN,
                reasons=(
                    f"device time 9.{i}21 ms: -0.{i} % against 9.8{i} ms {card}",
                    f"lower_s/device_s 0.{i} {band}"
                    if i < 3
                    else "another reason, of this case alone and long",
                    f"wall time 24.{i} ms (not judged)",
                ),
            )
            for i, case_id in enumerate(ids)
        ]
        said = section(summary(*(record(i, device_s=0.008) for i in ids), verdicts=verdicts), "Verdicts")
        *own, shared, bands = [line for line in said.split("\n") if line.startswith("- ")]

        assert shared == f"- 5 cases: device time … {card}"
        assert bands == f"- {', '.join(f'`{i}`' for i in ids[:3])}: lower_s/device_s … {band}"
        assert "Where a reason above ends with “…”, it goes on:\n\n- 5 cases: " in said
        assert own[1] == (
            "- warn `decode-b1-c512-fp16-eager`: device time 9.121 ms: -0.1 % against 9.81 ms …; "
            "lower_s/device_s 0.1 …; wall time 24.1 ms (not judged)"
        )
        # Two cases share the other reason: it stays with each.
        assert own[3].endswith(
            "9.83 ms …; another reason, of this case alone and long; wall time 24.3 ms (not judged)"
        )
        assert len(own) == 5

    def test_statuses_do_not_share_their_words(self) -> None:
        """Three cases, of which one failed: a failure is told whole."""
        long = "of a reason that is long enough to be said only once"
        statuses = (Status.REGRESSED, Status.WARN, Status.WARN)
        ids = [f"decode-b1-c{n}-fp16-eager" for n in (1, 2, 3)]
        verdicts = [
            Verdict(case=case_id, status=status, reasons=(f"{i} ms {long}",))
            for i, (case_id, status) in enumerate(zip(ids, statuses, strict=True))
        ]
        said = section(summary(*(record(i, device_s=0.008) for i in ids), verdicts=verdicts), "Verdicts")

        assert f"- **regressed** `{ids[0]}`: 0 ms {long}" in said
        assert "…" not in said

    def test_words_shared_to_the_digit_are_said_once_too(self) -> None:
        long = "no baseline is stored, and 5 sessions are wanted to make one"
        ids = [f"decode-b1-c{n}-fp16-eager" for n in (1, 2, 3)]
        verdicts = [
            Verdict(case=case_id, status=Status.REGRESSED, reasons=(long, f"{i} ms"))
            for i, case_id in enumerate(ids)
        ]
        said = section(summary(*(record(i, device_s=0.008) for i in ids), verdicts=verdicts), "Verdicts")

        named = ", ".join(f"`{i}`" for i in ids)
        assert said.rstrip().endswith(f"it goes on:\n\n- {named}: {long}")
        assert f"- **regressed** `{ids[2]}`: …; 2 ms" in said

    def test_intensities_alike_to_the_digit_are_one_number(self) -> None:
        """Two engines of one case."""
        graph, tuned = (
            record(f"decode-b1-c512-fp16-{e}", wall_s=0.009, device_s=0.008) for e in ("graph", "tuned")
        )
        other = record("decode-b8-c512-fp16-graph", wall_s=0.009, device_s=0.008)

        assert "ridge point: 1.0 against 295.3" in section(summary(graph, tuned), "What binds")
        assert "ridge point: 1.0 to 7.9 against 295.3" in section(summary(graph, other), "What binds")

    def test_skipped_cases_keep_their_reason(self) -> None:
        said = summary(PREFILL, not_run={"decode-b64-c512-fp16-eager": "needs 99 GB | has 80"})

        assert r"- `decode-b64-c512-fp16-eager`: needs 99 GB \| has 80" in section(said, "Not measured")

    def test_advice_changes_with_the_gpu(self) -> None:
        t4 = record("decode-b1-c512-fp16-eager", gpu="t4", wall_s=0.061, device_s=0.060)
        on_h100, on_t4 = (
            section(summary(what), "What would help").split("No gain:") for what in (LAUNCH_BOUND, t4)
        )

        assert on_h100[0].index("**compiled engine") < on_h100[0].index("**CUDA graphs")
        # bitsandbytes' host work makes a pass that waits for the host slower.
        assert "- nf4 weights: 0.66× predicted" in on_h100[1]
        assert "**nf4 weights: 1.63×**" in on_t4[0]
        assert "sm75 + GQA + no mask → math" in on_t4[0]
        assert "- CUDA graphs" in on_t4[1]

    def test_a_cpu_run_promises_no_gpu_time(self) -> None:
        said = section(summary(CPU), "Other GPUs")

        assert said.count("bound only: measured on a CPU") == len(registry())


class TestRender:
    def test_a_stored_run_is_drawn_from_its_folder(
        self, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        verdict = Verdict(case=PREFILL.case.id, status=Status.BELOW_BAND, reasons=("0.43 < 0.6",))
        run_folder(tmp_path, [PREFILL, LAUNCH_BOUND, GENERATE], verdicts=[verdict])

        assert main(["render", str(tmp_path)]) == 0

        assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
        assert "**below_band** `prefill-b1-p512-fp16-eager`: 0.43 < 0.6" in (
            tmp_path / "summary.md"
        ).read_text(encoding="utf-8")
        for name in ("roofline.png", "breakdown.png"):
            assert matplotlib.image.imread(tmp_path / name).shape[1] > 1000
        assert not list(tmp_path.glob(".*"))

    def test_csv_has_one_line_per_record_with_its_numbers(self, tmp_path: Path) -> None:
        render(run_folder(tmp_path, [PREFILL, LAUNCH_BOUND, GENERATE]), [])
        with (tmp_path / "records.csv").open(encoding="utf-8", newline="") as file:
            rows = {row["case"]: row for row in csv.DictReader(file)}

        assert len(rows) == 3
        decode = rows["decode-b1-c512-fp16-eager"]
        assert float(decode["device_s"]) == 0.008
        assert float(decode["wall_s"]) == 0.035
        assert float(decode["lower_s"]) == one(LAUNCH_BOUND).bound.lower_s
        assert decode["regime"] == "launch"
        assert decode["output_len"] == ""
        assert decode["status"] == "not judged"
        assert rows[GENERATE.case.id]["output_len"] == "32"
        assert float(rows[GENERATE.case.id]["tokens_per_s"]) == pytest.approx(31 / 1.08)

    def test_without_stored_verdicts_it_says_not_judged(self, tmp_path: Path) -> None:
        run_folder(tmp_path, [PREFILL])

        assert main(["render", str(tmp_path)]) == 0
        assert "The run was not judged." in (tmp_path / "summary.md").read_text(encoding="utf-8")

    def test_a_cpu_run_renders(self, tmp_path: Path) -> None:
        run_folder(tmp_path, [CPU])

        assert main(["render", str(tmp_path)]) == 0

    @pytest.mark.parametrize("damage", ["empty", "unmeasured", "broken"])
    def test_a_run_that_cannot_be_drawn_exits_2_with_one_line(
        self, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        expected = f"{tmp_path}: not a run's folder: it has no run.json"
        if damage == "unmeasured":
            run_folder(tmp_path, [], not_run={"decode-b1-c512-fp16-eager": "no GPU here"})
            expected = f"{tmp_path}: no case was measured: no GPU here"
        if damage == "broken":
            path = RunFolder(tmp_path).path / "run.json"
            path.write_text("{", encoding="utf-8")
            expected = f"{path}: not JSON"

        assert main(["render", str(tmp_path)]) == 2

        shown = capsys.readouterr().err
        assert shown.startswith(f"error: {expected}")
        assert shown.count("\n") == 1
        assert not (tmp_path / "summary.md").exists()
