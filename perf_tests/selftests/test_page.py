"""The page of a run: what it says against the records, and that it asks for nothing."""

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from statistics import median

import pytest

from baselines.history.place import Place
from baselines.judging import judge_folder
from baselines.record import Record
from baselines.run import RunFolder, Verdicts
from baselines.store import Store
from baselines.verdict import Status
from perf_tests.selftests.pages import (
    GENERATE,
    PREFILL,
    Element,
    headers,
    judged,
    nights,
    page_of,
    parsed,
    rows,
    said,
    three_cases,
)
from perf_tests.selftests.records import DECODE, kernel, record, run_folder
from perf_tests.selftests.refreshes import five, refresh
from reports.headline import Stand
from reports.page.chart import Line, chart

SECTIONS = (
    *("Verdict", "What moved", "Key findings", "What binds", "Results", "Verdicts", "Not measured"),
    *("Where the time goes", "generate()", "What would help", "Other GPUs", "Batch scaling"),
    *("Length scaling", "Nights", "Baselines", "GPU state", "Counts", "Machine", "Versions and provenance"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """One case passed, one failed, one was not judged, and one was not measured."""
    folder = run_folder(
        tmp_path_factory.mktemp("page") / "run",
        three_cases(),
        not_run={"decode-b8-c512-fp16-eager": "needs 99 GiB"},
    )
    return judged(
        folder,
        said(Status.PASS, DECODE),
        said(Status.BELOW_BAND, PREFILL, "0.43 < 0.6"),
        said(Status.AMBIGUOUS, GENERATE, "sees 9 %"),
        said(Status.NOT_MEASURED, "decode-b8-c512-fp16-eager", "needs 99 GiB"),
    )


@pytest.fixture(scope="module")
def html(run: RunFolder) -> str:
    return page_of(run, drawn=True)


@pytest.fixture(scope="module")
def root(html: str) -> Element:
    return parsed(html)


def section(root: Element, name: str) -> Element:
    return root.one("section", id=name)


def tally(root: Element) -> dict[str, int]:
    tiles = root.one("ul", klass="tallies").every("li", klass="tally")
    return {t.one("span", klass="stand").text: int(t.one("span", klass="count").text) for t in tiles}


class TestSelfContained:
    def test_nothing_is_asked_for(self, root: Element) -> None:
        """No script, no style sheet, no picture, no font: not even of the same folder."""
        assert not [e for e in root.all() if e.tag in ("script", "img", "iframe", "object", "embed", "base")]
        for element in root.all():
            for name, value in element.attributes.items():
                assert name not in ("src", "srcset", "action", "formaction", "poster", "background")
                assert not name.startswith("on")
                if name.endswith("href"):
                    assert value.startswith(("#", "data:,")), f"{element.tag} {name}={value}"
                if "url(" in value:
                    assert re.fullmatch(r".*url\(#[\w-]+\).*", value), f"{element.tag} {name}={value}"

    def test_a_browser_is_told_to_ask_for_nothing(self, root: Element) -> None:
        (policy,) = [m for m in root.every("meta") if "http-equiv" in m.attributes]

        assert policy.attributes["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

    def test_the_style_asks_for_nothing(self, html: str) -> None:
        (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)

        assert "url(" not in style
        assert "@import" not in style

    def test_every_link_leads_to_a_place_of_its_own(self, root: Element) -> None:
        ids = [i for e in root.all() if (i := e.attributes.get("id"))]
        targets = [
            value.removeprefix("#")
            for e in root.all()
            for name, value in e.attributes.items()
            if name.endswith("href") and value.startswith("#")
        ]
        targets += [
            t for e in root.all() for v in e.attributes.values() for t in re.findall(r"url\(#([\w-]+)\)", v)
        ]

        assert len(ids) == len(set(ids))
        assert set(targets) <= set(ids)

    def test_every_section_is_there_and_linked(self, root: Element) -> None:
        assert tuple(h.text for h in root.every("h2")) == SECTIONS
        assert tuple(a.text for a in root.one("nav").every("a")) == SECTIONS

    def test_what_is_drawn_is_said_too(self, root: Element) -> None:
        drawn = [e for e in root.all() if e.tag == "svg" or e.attributes.get("role") == "img"]

        assert len(drawn) >= 4
        for element in drawn:
            assert element.attributes["role"] == "img"
            assert len(element.attributes["aria-label"]) > 20

    def test_the_figures_take_their_colours_from_the_page(self, html: str) -> None:
        """In the dark black letters would be gone."""
        figures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)

        assert figures
        for figure in figures:
            # matplotlib's fill of an error bar's cap, which has no area.
            assert set(re.findall(r"#[0-9a-fA-F]{6}\b", figure)) <= {"#1f77b4"}


class TestVerdict:
    def test_it_stands_first(self, root: Element) -> None:
        header = root.one("header")

        assert header.one("p", klass="verdict").text == "1 case fails of 4."
        assert header.attributes["class"] == "failed"
        assert root.every("h2")[0].text == "Verdict"

    def test_every_case_is_counted_once_under_how_it_stands(self, root: Element) -> None:
        """What is not judged or not measured has a tile as large as what passed."""
        assert tally(root) == {
            **dict.fromkeys(Stand, 0),
            "passed": 1,
            "failed": 1,
            "not judged": 1,
            "not measured": 1,
        }

    def test_what_says_nothing_is_named_beside_what_fails(self, root: Element) -> None:
        items = [item.text for item in section(root, "verdict").every("li") if not item.attributes]

        assert items == [
            f"below_band {PREFILL} : 0.43 < 0.6; since 2026-11-22, commit abc1234 or before",
            f"not judged {GENERATE} : see Verdicts",
            "not measured decode-b8-c512-fp16-eager : see Not measured",
        ]
        assert "decode-b8-c512-fp16-eager : needs 99 GiB" in section(root, "not-measured").text

    def test_a_run_that_nobody_judged_says_so(self, run: RunFolder) -> None:
        root = parsed(page_of(run, verdicts=False))

        assert root.one("p", klass="verdict").text == (
            "Nothing was judged: of 4 cases, 1 not measured, 3 not judged."
        )
        assert root.one("header").attributes["class"] == "calm"
        assert "The run was not judged." in section(root, "verdicts").text

    def test_all_passed(self, tmp_path: Path) -> None:
        cases = three_cases()
        folder = judged(run_folder(tmp_path, cases), *(said(Status.PASS, r.case.id) for r in cases))
        root = parsed(page_of(folder))

        assert root.one("p", klass="verdict").text == "All 3 cases passed."
        assert tally(root) == {**dict.fromkeys(Stand, 0), "passed": 3}
        assert "All that was planned was measured." in section(root, "not-measured").text

    def test_a_regression_is_told_with_its_size_its_operator_and_its_commits(self, tmp_path: Path) -> None:
        """The store's sessions say from what, the kernels in what, the history since when."""

        def kernels(record: Record) -> Record:
            if record.measurement.device_s is None:
                return record
            time_s = record.measurement.device_s[0]
            made = (kernel("gemm", *(time_s,) * 3),)
            return replace(record, measurement=replace(record.measurement, kernels=made))

        store = tmp_path / "store"
        assert refresh(store, five(tmp_path / "base", change=kernels)) == 0
        last, place = nights(tmp_path, device_s=[0.008] * 3 + [0.0083])
        slow = kernels(last.records()[0])
        last.write_record(slow)
        for number in (1, 2, 3):
            run_folder(last.path / "confirmations" / str(number), [slow])
        verdicts = judge_folder(last, Store(store)).verdicts
        judged(last, *verdicts)
        root = parsed(page_of(last, store=store, history=place))

        assert [v.status for v in verdicts] == [Status.REGRESSED]
        (line,) = [item.text for item in section(root, "verdict").every("li") if not item.attributes]
        assert line == (
            f"regressed {DECODE} : device time +3.49 % (8.020 ms → 8.300 ms); most in q_proj +280.0 µs; "
            "since 2026-12-04, commits commit2..commit3"
        )
        assert rows(section(root, "what-moved"))["q_proj"][:2] == ["8.020 ms", "+280.0 µs"]

    def test_another_cards_warning_is_not_judged(self, tmp_path: Path) -> None:
        """What history has no part in stands with what was not judged."""
        folder = judged(
            run_folder(tmp_path, three_cases()[:2]), said(Status.WARN, DECODE), said(Status.WARN, PREFILL)
        )
        root = parsed(page_of(folder))

        assert tally(root)["not judged"] == 2
        assert root.one("p", klass="verdict").text == "Nothing was judged: of 2 cases, 2 not judged."

    def test_all_together_are_one_failure(self, tmp_path: Path) -> None:
        case_ids = [f"decode-b{b}-c{c}-fp16-eager" for b in (1, 2, 4) for c in (128, 512)]
        assert refresh(tmp_path / "store", five(tmp_path / "base", cases=case_ids)) == 0
        slow = [record(case, wall_s=0.016, device_s=0.0083) for case in case_ids]
        for number in (1, 2, 3):
            run_folder(tmp_path / "run" / "confirmations" / str(number), slow)
        folder = run_folder(tmp_path / "run", slow)
        found = judge_folder(folder, Store(tmp_path / "store"))
        folder.write_verdicts(
            Verdicts(policy_digest=found.policy_digest, verdicts=found.verdicts, shift=found.shift)
        )
        root = parsed(page_of(folder, store=tmp_path / "store"))

        assert root.one("p", klass="verdict").text == (
            "The cases moved together, and nothing explains it: one failure for the run of 6."
        )
        assert root.one("header").attributes["class"] == "failed"

    def test_a_verdict_without_its_record_still_fails(self, tmp_path: Path) -> None:
        folder = judged(
            run_folder(tmp_path, three_cases()[:1]),
            said(Status.PASS, DECODE),
            said(Status.REGRESSED, PREFILL),
        )

        assert tally(parsed(page_of(folder)))["failed"] == 1


def milliseconds(path: Path, name: str) -> str:
    """The median of a record's samples as it is shown, by the file alone."""
    samples = json.loads(path.read_text(encoding="utf-8"))["measurement"][name]
    return f"{1e3 * median(samples):.3f} ms"


class TestNumbers:
    def test_the_results_are_the_records(self, run: RunFolder, root: Element) -> None:
        table = section(root, "results")
        shown = {case: dict(zip(headers(table), row, strict=True)) for case, row in rows(table).items()}

        for case in (DECODE, PREFILL):
            path = run.path / "records" / f"{case}.json"
            assert shown[case]["device"] == milliseconds(path, "device_s")
            assert shown[case]["wall"] == milliseconds(path, "wall_s")
        # 14.49 GB of weights and cache at 3.35 TB/s.
        assert shown[DECODE]["bound"] == "4.265 ms"
        assert shown[DECODE]["bound/device"] == f"{100 * 4.2650 / 7.8:.1f} %"
        assert shown[DECODE]["tokens/s"] == f"{1 / 0.035:.1f}"
        assert (shown[DECODE]["status"], shown[PREFILL]["status"]) == ("pass", "below_band")
        assert shown[GENERATE]["device"] == "–"
        assert shown["decode-b8-c512-fp16-eager"]["status"] == "not_measured"

    def test_a_status_is_marked_by_more_than_its_colour(self, root: Element) -> None:
        marked = section(root, "results").every("span", klass="status")

        assert [m.text for m in marked] == ["pass", "below_band", "ambiguous", "not_measured"]
        assert "is-failed" in marked[1].attributes["class"]

    def test_a_bar_is_the_wall_from_bound_to_host(self, root: Element) -> None:
        (decode, prefill) = section(root, "where-the-time-goes").one("ul", klass="bars").every("li")
        bar = decode.one("span", klass="bar")
        shares = {
            s.attributes["class"].split()[1]: float(re.findall(r"[\d.]+", s.attributes["style"])[0])
            for s in bar.every("span", klass="segment")
        }

        assert decode.one("code").text == DECODE
        assert decode.one("span", klass="wall").text == "35.000 ms"
        assert shares["bound"] == pytest.approx(100 * 4.2650 / 35, abs=0.01)
        # Kernels end at 7.8 ms of 35.
        assert shares["host"] == pytest.approx(100 * (35 - 7.8) / 35, abs=0.01)
        assert sum(shares.values()) == pytest.approx(100, abs=0.03)
        assert "the GPU waits for the host: 27.200 ms (77.7 %)" in bar.attributes["aria-label"]
        assert prefill.one("code").text == PREFILL

    def test_kernels_that_took_longer_than_the_wall_are_told(self, tmp_path: Path) -> None:
        odd = record(DECODE, wall_s=0.0070, device_s=0.0078)
        root = parsed(page_of(run_folder(tmp_path, [odd])))
        bar = section(root, "where-the-time-goes").one("ul", klass="bars")

        assert bar.one("span", klass="odd").text == (
            "the profiled kernels took 800.0 µs longer than the timed steps"
        )
        assert not bar.every("span", klass="host")

    def test_without_device_time_the_rest_is_not_told_apart(self, tmp_path: Path) -> None:
        bare = record(DECODE, wall_s=0.035, device_note="no profiler")
        root = parsed(page_of(run_folder(tmp_path, [bare])))
        bar = section(root, "where-the-time-goes").one("ul", klass="bars")

        assert [s.attributes["class"] for s in bar.every("span", klass="segment")] == [
            "segment bound",
            "segment ceilings",
            "segment unknown",
        ]

    def test_the_points_of_the_roofline_tell_their_numbers(self, html: str) -> None:
        found = re.findall(rf'<g id="roofline-measured:{DECODE}">\s*<title>(.*?)</title>', html)

        assert found == [f"{DECODE}: 1.858 TFLOP/s by device time (7.800 ms), 54.7 % of its bound"]

    def test_the_state_of_the_gpu_is_shown(self, root: Element) -> None:
        table = section(root, "gpu-state")
        row = dict(zip(headers(table), rows(table)[DECODE], strict=True))

        assert row["SM clock"] == "1,980 MHz"
        assert row["temperature"] == "45 °C"
        assert row["power-capped"] == "25.0 %"
        assert "alone on the GPU" in table.text

    def test_a_warm_up_that_did_not_settle_is_marked(self, tmp_path: Path) -> None:
        """Also where the device says nothing of itself, as on a CPU."""
        cold, warm = record(DECODE, wall_s=0.035), record(PREFILL, wall_s=0.035)
        measured = replace(cold.measurement, warmup_s=(0.06, 0.05, 0.04), warmup_stop="budget")
        folder = run_folder(tmp_path, [replace(cold, measurement=measured), warm])
        table = section(parsed(page_of(folder)), "gpu-state")

        assert headers(table) == ["warm-up"]
        assert rows(table) == {DECODE: ["not settled in 3 steps"], PREFILL: ["–"]}
        assert "The state of the device was not measured." in table.text

    def test_versions_and_keys_are_shown(self, root: Element) -> None:
        table = rows(section(root, "versions-and-provenance"))

        assert table["torch"] == ["2.11.0"]
        assert table["gpu uuid"] == ["GPU-0"]
        assert table["policy"] == ["0123456789abcdef"]
        assert table["power limit w"] == ["700.0"]


class TestNothingKnown:
    def test_what_a_record_does_not_hold_is_said_not_to_be_measured(self, tmp_path: Path) -> None:
        bare = record(DECODE, wall_s=0.035, device_note="the profiler saw no kernel")
        root = parsed(page_of(run_folder(tmp_path, [bare])))

        assert "The state of the device was not measured." in section(root, "gpu-state").text
        assert headers(section(root, "counts")) == ["prepare"]
        assert "generate() was not measured." in section(root, "generate").text
        assert "Device time by operator: not measured: the profiler saw no kernel" in (
            section(root, "where-the-time-goes").text
        )
        assert "None of these cases has a baseline that can be read." in section(root, "baselines").text
        assert "No operator or kernel is known to have moved" in section(root, "what-moved").text

    def test_a_run_of_generate_alone_has_a_page(self, tmp_path: Path) -> None:
        root = parsed(page_of(run_folder(tmp_path, [three_cases()[2]])))

        assert not section(root, "where-the-time-goes").every("ul", klass="bars")


class TestNights:
    def test_a_step_is_marked_with_its_commits(self, tmp_path: Path) -> None:
        times_s = [0.0080 + 4e-6 * (i % 3) for i in range(12)] + [0.0084 + 4e-6 * (i % 3) for i in range(6)]
        last, place = nights(tmp_path, device_s=times_s)
        root = parsed(page_of(last, history=place))
        drawn = section(root, "nights").one("figure", klass="chart")
        row = rows(section(root, "nights"))[DECODE]

        (mark,) = drawn.every("line", klass="mark")
        dots = drawn.every("circle")
        assert len(dots) == 18
        # At the thirteenth night, where the slower ones begin.
        assert mark.attributes["x1"] == dots[12].attributes["cx"]
        assert "2026-12-13 +5.00 %" in drawn.text
        assert row[:3] == ["device time", "18", "8.408 ms"]
        assert row[4] == "2026-12-13 +5.00 %, commits commit11..commit12"

    def test_slower_is_higher_and_later_is_further_right(self, tmp_path: Path) -> None:
        last, place = nights(tmp_path, device_s=[0.008, 0.0081, 0.0082, 0.0083])
        dots = section(parsed(page_of(last, history=place)), "nights").every("circle")
        xs, ys = ([float(dot.attributes[name]) for dot in dots] for name in ("cx", "cy"))

        assert xs == sorted(xs)
        assert ys == sorted(ys, reverse=True)

    def test_the_anchor_is_drawn(self, tmp_path: Path) -> None:
        store = tmp_path / "store"
        assert refresh(store, five(tmp_path / "base")) == 0
        last, place = nights(tmp_path, device_s=[0.0079, 0.0081, 0.008])
        drawn = section(parsed(page_of(last, store=store, history=place)), "nights").one(
            "figure", klass="chart"
        )

        (anchor,) = drawn.every("polyline", klass="anchor")
        (left, right) = anchor.attributes["points"].split()
        assert left.split(",")[1] == right.split(",")[1]
        assert float(right.split(",")[0]) > float(left.split(",")[0])

    def test_a_history_without_rows_says_so(self, tmp_path: Path) -> None:
        from baselines.history.opening import open_history

        place = Place(url=f"sqlite:///{tmp_path}/empty.sqlite", origin="--perf-history")
        with open_history(place, create=True):
            pass
        cases = three_cases()
        folder = judged(run_folder(tmp_path / "run", cases), *(said(Status.PASS, r.case.id) for r in cases))
        root = parsed(page_of(folder, history=place))

        assert (
            section(root, "nights").text
            == "Nights The history holds no other night that these cases can be compared with."
        )

    @pytest.mark.parametrize(
        ("made", "needed"),
        [(False, "there is no history at"), (True, "cannot be used")],
    )
    def test_a_history_that_cannot_be_read_is_told(self, *, made: bool, needed: str, tmp_path: Path) -> None:
        path = tmp_path / "history.sqlite"
        if made:
            path.write_text(
                "no database, but text that is long enough to be looked at\n" * 40, encoding="utf-8"
            )
        place = Place(url=f"sqlite:///{path}", origin="--perf-history")
        root = parsed(page_of(run_folder(tmp_path / "run", three_cases()), history=place))

        assert needed in section(root, "nights").text
        assert section(root, "results").every("td")


MARKUP = '<script>alert(1)</script><img src=x onerror="x"> [a](javascript:x) `b` **c** | & &lt;'


class TestMarkup:
    def test_what_comes_from_outside_stays_text(self, tmp_path: Path) -> None:
        """A model's name, a host's, a reason, a commit, a command: none opens an element."""
        one = record(DECODE, wall_s=0.035, device_s=0.0078, device_note=MARKUP)
        hostile = replace(
            one,
            model=replace(one.model, name=MARKUP),
            hard=replace(one.hard, device=MARKUP, checkpoint=MARKUP, attention=MARKUP),
            soft=replace(one.soft, host=MARKUP, host_cpu=MARKUP, driver=MARKUP),
        )
        folder = run_folder(tmp_path, [hostile], not_run={"decode-b8-c512-fp16-eager": MARKUP})
        folder.write_info(replace(folder.info(), commit=MARKUP, command=MARKUP))
        judged(folder, said(Status.REGRESSED, DECODE, MARKUP), said(Status.WARN, PREFILL, MARKUP))
        html = page_of(folder)
        root = parsed(html)

        assert not [e for e in root.all() if e.tag in ("script", "img")]
        assert not [a for a in root.every("a") if not a.attributes["href"].startswith("#")]
        assert not [e for e in root.all() if any(name.startswith("on") for name in e.attributes)]
        assert root.one("h1").text == f"{MARKUP} on {MARKUP}"
        assert MARKUP in section(root, "verdicts").text
        assert MARKUP in section(root, "not-measured").text
        keys = rows(section(root, "versions-and-provenance"))
        assert keys["host"] == keys["command"] == keys["driver"] == [MARKUP]


class TestSize:
    def test_sixty_cases_are_no_three_megabytes(self, tmp_path: Path) -> None:
        kernels = tuple(
            replace(k, operator=f"op_{i}") for i, k in enumerate(three_cases()[0].measurement.kernels or ())
        )
        cases = [
            record(
                f"{phase}-b{batch}-{letter}{length}-{precision}-eager",
                wall_s=0.02 * batch,
                device_s=0.01 * batch,
                kernels=kernels,
            )
            for (phase, letter), batch, length, precision in itertools.product(
                (("prefill", "p"), ("decode", "c")), (1, 2, 4, 8, 16), (128, 512, 2048), ("fp16", "nf4")
            )
        ]
        html = page_of(run_folder(tmp_path, cases), drawn=True)

        assert len(cases) == 60
        assert len(html.encode()) < 3e6
        assert len(rows(section(parsed(html), "results"))) == 60


class TestChart:
    def drawn(self, *points: tuple[float, float], logarithmic: bool = True) -> Sequence[tuple[float, float]]:
        lines = [Line(name="a", kind="wall", points=points)]
        made = chart(lines, title="t", words="w", said_x=str, said_y=str, logarithmic=logarithmic)
        return made.strokes[0].points

    def test_equal_ratios_are_equal_steps(self) -> None:
        (x0, y0), (x1, y1), (x2, y2) = self.drawn((1, 10), (8, 100), (64, 1000))

        assert x2 - x1 == pytest.approx(x1 - x0)
        assert y2 - y1 == pytest.approx(y1 - y0)
        assert y2 < y1 < y0

    def test_equal_differences_are_equal_steps(self) -> None:
        (x0, y0), (x1, y1), (x2, y2) = self.drawn((1, 0), (2, 5), (3, 10), logarithmic=False)

        assert x2 - x1 == pytest.approx(x1 - x0)
        assert y2 - y1 == pytest.approx(y1 - y0)

    def test_a_lone_point_stands_in_the_middle(self) -> None:
        assert self.drawn((7, 3)) == ((160.0, 75.0),)


def _luminance(colour: str) -> float:
    """Of sRGB, by WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _themes() -> dict[str, dict[str, str]]:
    css = files("reports.page").joinpath("page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)[:2]
    return {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for name, block in (("light", light), ("dark", dark))
    }


class TestColours:
    @pytest.mark.parametrize("theme", ["light", "dark"])
    @pytest.mark.parametrize("letters", ["ink", "faint", "link", "bad", "good", "odd"])
    def test_letters_can_be_read(self, letters: str, theme: str) -> None:
        """WCAG asks for 4.5 (AA)."""
        colours = _themes()[theme]

        for ground in ("paper", "wash"):
            assert _contrast(colours[letters], colours[ground]) >= 4.5

    @pytest.mark.parametrize("theme", ["light", "dark"])
    @pytest.mark.parametrize("mark", ["fp16", "nf4", "bound", "kernels", "fp32"])
    def test_marks_stand_out(self, mark: str, theme: str) -> None:
        """WCAG asks for 3 of what is no letter; Okabe and Ito's orange and green fall short of
        it on white, and are told apart by pattern, dash or name too."""
        colours = _themes()[theme]

        assert _contrast(colours[mark], colours["paper"]) >= 2.1

    def test_the_dark_knows_every_colour_of_the_light(self) -> None:
        themes = _themes()

        assert themes["light"].keys() == themes["dark"].keys()
