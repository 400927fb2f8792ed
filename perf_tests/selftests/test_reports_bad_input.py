"""What is no run's folder, or a damaged one, is refused in one line that names the file and
says what would be right: by the report that draws it, and by the pytest that judges it."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from analytic import Ceilings
from baselines.codec import FormatError
from baselines.record import SCHEMA, Record
from baselines.run import RunFolder
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import DECODE, ceilings, derived, kernel, record, run_folder
from perf_tests.selftests.reported import summary as summary_of
from perf_tests.selftests.tiny import Place
from reports import breakdown, operators, roofline
from reports.__main__ import main
from reports.findings import bottlenecks
from reports.palette import heading
from reports.table import results

PREFILL = "prefill-b1-p512-fp16-eager"
USAGE_ERROR = 4
IS_KEPT = (
    "not a run's folder: it has no run.json; a run is kept in runs/<time>-<commit>, or where --perf-out said"
)


def good(path: Path) -> Path:
    """A run of two cases, judged."""
    records = [record(case_id, device_s=0.008) for case_id in (DECODE, PREFILL)]
    verdicts = [Verdict(case=r.case.id, status=Status.PASS, reasons=("as before",)) for r in records]
    return run_folder(path, records, verdicts=verdicts).path


def of(path: Path, *records: Record) -> Path:
    return run_folder(path, records, verdicts=()).path


def of_decode(run: Path) -> Path:
    return run / "records" / f"{DECODE}.json"


def edit(path: Path, change: Callable[[Any], object]) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def cut(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: len(text) // 2], encoding="utf-8")


# --- what may lie in the place of a run, by name: each makes it at a path -----

Maker = Callable[[Path], object]


def missing(path: Path) -> None: ...


def a_file(path: Path) -> None:
    path.write_text("a run", encoding="utf-8")


def an_empty_folder(path: Path) -> None:
    path.mkdir()


def runs(path: Path) -> None:
    for name in ("20261122T120000-abc1234", "20261123T120000-abc1234"):
        good(path / name)


def run_json(change: Callable[[Path], object]) -> Maker:
    return lambda path: change(good(path) / "run.json")


def decode(change: Callable[[Path], object]) -> Maker:
    return lambda path: change(of_decode(good(path)))


def verdicts(change: Callable[[Path], object]) -> Maker:
    return lambda path: change(good(path) / "verdicts.json")


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content, encoding="utf-8")


def value(**fields: Any) -> Callable[[Path], object]:
    return lambda path: edit(path, lambda data: data.update(fields))


def sample(**fields: Any) -> Callable[[Path], object]:
    return lambda path: edit(path, lambda data: data["measurement"].update(fields))


def linked(path: Path) -> None:
    elsewhere = path.with_name("elsewhere.json")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.json")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def records(change: Callable[[Path], object]) -> Maker:
    def make(path: Path) -> None:
        place = good(path) / "records"
        shutil.rmtree(place)
        change(place)

    return make


def in_a_circle(path: Path) -> None:
    path.symlink_to(path.name)


def twice(path: Path) -> None:
    shutil.copy(path, path.with_name("copy.json"))


def renamed(path: Path) -> None:
    path.rename(path.with_name("decode.json"))


def unknown_shape(path: Path) -> None:
    edit(path, lambda data: data["model"].update(family="mamba"))


def without_ceilings(path: Path) -> None:
    of(path, replace(record("decode-b1-c128-fp32-eager", gpu="cpu"), ceilings=None))


def without_first_token(path: Path) -> None:
    one = record("generate-b1-p128-n32-fp16-eager")
    of(path, replace(one, measurement=replace(one.measurement, first_token_s=None)))


def nothing_measured(path: Path) -> None:
    run_folder(path, [], not_run={DECODE: "no GPU\nhere\x1b[31m"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """`where` in the run the damage lies, and what is said of it; `judged` where pytest,
    which judges anew, says something else, or nothing is wrong for it."""

    make: Maker
    where: str
    said: str
    judged: str | None = None


HOLDS_NO_RECORD = "the run holds no record to judge"
NEWER = f"schema 99 is newer than this Roofgate reads ({SCHEMA}): update Roofgate"
CUT = "not JSON, or cut short: "
OF_DECODE = f"/records/{DECODE}.json"
LINK = "cannot be read: it is a symbolic link; a plain file is needed"

BAD: dict[str, Bad] = {
    "missing": Bad(make=missing, where="", said=IS_KEPT),
    "a file": Bad(make=a_file, where="", said=IS_KEPT),
    "an empty folder": Bad(make=an_empty_folder, where="", said=IS_KEPT),
    "a folder of runs": Bad(
        make=runs,
        where="",
        said="not a run's folder: it has no run.json; it holds 2 runs: name one, such as {run}/20261123T120000-abc1234",
    ),
    "run.json gone": Bad(make=run_json(Path.unlink), where="", said=IS_KEPT),
    "run.json cut": Bad(make=run_json(cut), where="/run.json", said=CUT),
    "run.json empty": Bad(make=run_json(text("")), where="/run.json", said=CUT),
    "run.json of a newer schema": Bad(make=run_json(value(schema=99)), where="/run.json", said=NEWER),
    "run.json a link": Bad(make=run_json(linked), where="/run.json", said=LINK),
    "run.json a link to nothing": Bad(make=run_json(dangling), where="/run.json", said=LINK),
    "run.json a folder": Bad(
        make=run_json(a_folder),
        where="/run.json",
        said="cannot be read: it is a folder; a plain file is needed",
    ),
    "a record cut": Bad(make=decode(cut), where=OF_DECODE, said=CUT),
    "a record empty": Bad(make=decode(text("")), where=OF_DECODE, said=CUT),
    "a record that is no JSON": Bad(make=decode(text("8 ms")), where=OF_DECODE, said=CUT),
    "a record of a newer schema": Bad(make=decode(value(schema=99)), where=OF_DECODE, said=NEWER),
    "a record that is a link": Bad(make=decode(linked), where=OF_DECODE, said=LINK),
    "a record twice": Bad(
        make=decode(twice),
        where="/records/copy.json",
        said=f"holds {DECODE}; a record's file is named by its case",
    ),
    "a record renamed": Bad(
        make=decode(renamed),
        where="/records/decode.json",
        said=f"holds {DECODE}; a record's file is named by its case",
    ),
    "a GPU that the registry no longer holds": Bad(
        make=decode(value(gpu="b300")), where=OF_DECODE, said="unknown GPU 'b300'. Nearest: b200"
    ),
    "a model of an unknown shape": Bad(
        make=decode(unknown_shape), where=OF_DECODE, said=".model.family: no such field in ModelSpec"
    ),
    "a time that no clock tells": Bad(
        make=decode(sample(device_s=[5e-324] * 3)),
        where=OF_DECODE,
        said=".measurement: device_s holds 5e-324 s; a clock tells times from 1e-12 to 1e+09 s",
    ),
    "a time that nobody waited for": Bad(
        make=decode(sample(wall_s=[0.04, 1e308])),
        where=OF_DECODE,
        said=".measurement: wall_s holds 1e+308 s; a clock tells times",
    ),
    "a CPU without ceilings": Bad(
        make=without_ceilings,
        where="/records/decode-b1-c128-fp32-eager.json",
        said="decode-b1-c128-fp32-eager: a CPU has no datasheet, and the run measured no ceilings",
    ),
    "generate() without its first token": Bad(
        make=without_first_token,
        where="/records/generate-b1-p128-n32-fp16-eager.json",
        said="generate-b1-p128-n32-fp16-eager: a generate() record without the time to its first token",
    ),
    "records a file": Bad(
        make=records(a_file),
        where="/records",
        said="no folder; the folder of the run's records is needed",
    ),
    "records a link in a circle": Bad(
        make=records(in_a_circle),
        where="/records",
        said="no folder; the folder of the run's records is needed",
    ),
    "records gone": Bad(
        make=records(lambda _: None), where="", said="no case was measured", judged=HOLDS_NO_RECORD
    ),
    "no case measured": Bad(
        make=nothing_measured,
        where="",
        said="no case was measured: no GPU\\nhere\\x1b[31m",
        judged=HOLDS_NO_RECORD,
    ),
    "verdicts.json cut": Bad(make=verdicts(cut), where="/verdicts.json", said=CUT, judged=""),
    "verdicts.json of a newer schema": Bad(
        make=verdicts(value(schema=99)), where="/verdicts.json", said=NEWER, judged=""
    ),
    "verdicts.json of an unknown status": Bad(
        make=verdicts(lambda p: edit(p, lambda data: data["verdicts"][0].update(status="green"))),
        where="/verdicts.json",
        said=".verdicts[0].status: 'green' (str) is none of [",
        judged="",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_report_of_it_exits_2_with_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, run = BAD[name], tmp_path / "run"
    bad.make(run)
    before = sorted(tmp_path.rglob("*"))

    assert main(["render", str(run)]) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"error: {run}{bad.where}: {bad.said.format(run=run)}")
    assert shown.err.count("\n") == 1
    assert shown.err.removesuffix("\n").isprintable()
    assert len(shown.err) < len(str(run)) + 600
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written beside it"


# Of each of these pytest starts once; the others are proved in their own time.
_QUICK = ("a folder of runs", "a GPU that the registry no longer holds", "records a file")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in _QUICK else pytest.mark.long) for name in BAD]
)
def test_judging_it_is_a_usage_error_in_one_line(name: str, place: Place, tmp_path: Path) -> None:
    """The exit code is pytest's for what it was given; --perf-run judges anew, and reads no
    verdicts that were given before."""
    bad, run = BAD[name], tmp_path / "run"
    bad.make(run)
    done = place.pytest(
        *(*place.without_torch(), "-p", "no:reports.plugin", "-q", "perf_tests/test_verdict.py"),
        *(f"--perf-run={run}", f"--perf-baselines={tmp_path / 'store'}"),
    )

    if bad.judged == "":
        assert done.rc == 0, done.out
        return
    lines = [line for line in done.out.splitlines() if line]
    expected = f"{run}{bad.where}: {bad.said.format(run=run)}"
    assert done.rc == USAGE_ERROR, done.out
    assert len(lines) == 1, done.out
    assert lines[0].startswith(f"ERROR: --perf-run {run}: {expected if bad.judged is None else bad.judged}")


def test_judging_it_again_names_a_bad_confirmation(place: Place, tmp_path: Path) -> None:
    run = good(tmp_path / "run")
    again = of(run / "confirmations" / "1", record(DECODE, device_s=0.008))
    cut(of_decode(again))
    done = place.pytest(*place.without_torch(), "-q", "perf_tests/test_verdict.py", f"--perf-run={run}")

    assert done.rc == USAGE_ERROR, done.out
    assert f"ERROR: --perf-run {run}: {of_decode(again)}: not JSON, or cut short" in done.out


class TestLinks:
    """A folder may be a link: people keep runs on another disk. A file may not."""

    def test_a_run_behind_a_link_is_drawn(self, tmp_path: Path) -> None:
        good(tmp_path / "run")
        (tmp_path / "latest").symlink_to("run")

        assert main(["render", str(tmp_path / "latest")]) == 0
        assert (tmp_path / "run" / "summary.md").is_file()

    def test_a_report_replaces_a_link_and_does_not_write_through_it(self, tmp_path: Path) -> None:
        run = good(tmp_path / "run")
        (tmp_path / "mine.md").write_text("mine", encoding="utf-8")
        (run / "summary.md").symlink_to(tmp_path / "mine.md")

        assert main(["render", str(run)]) == 0
        assert not (run / "summary.md").is_symlink()
        assert (tmp_path / "mine.md").read_text(encoding="utf-8") == "mine"


def test_what_a_killed_writer_left_is_passed_by(tmp_path: Path) -> None:
    run = good(tmp_path / "run")
    (run / "records" / f".{DECODE}.json.k3j2h1xx").write_text("{", encoding="utf-8")

    assert main(["render", str(run)]) == 0
    assert len(RunFolder(run).records()) == 2


def test_the_run_that_is_named_instead_is_one(tmp_path: Path) -> None:
    runs(tmp_path / "runs")
    (tmp_path / "runs" / "zz\n").mkdir()
    (tmp_path / "runs" / "zz\n" / "run.json").touch()
    with pytest.raises(FormatError) as refused:
        RunFolder(tmp_path / "runs").info()

    named = str(refused.value).rpartition("such as ")[2]
    assert len(RunFolder(Path(named)).records()) == 2


# --- markup, wherever a file holds text of its own ----------------------------

# A cell's end, code, emphasis, a tag, a link, a formula that no figure can draw, a command
# to a terminal.
ODD = "<script>a|b`c` *d* [e](f) $\\frac{$ \x1b"
ESCAPED = "\\<script>a\\|b\\`c\\` \\*d\\* \\[e](f) $\\frac{$ \N{REPLACEMENT CHARACTER}"
MODEL = ODD.removesuffix(" \x1b")  # a case's model names a folder too
BIDI = "\N{RIGHT-TO-LEFT OVERRIDE}"


def odd_record() -> Record:
    """A record whose every free text is odd."""
    one = record(
        DECODE,
        device_note=ODD,
        kernels=(kernel(ODD, 0.001), replace(kernel("k", 0.002), operator=ODD)),
        device_s=0.008,
    )
    soft = dict.fromkeys((field.name for field in fields(one.soft)), ODD)
    reached = ceilings()
    return replace(
        one,
        run=ODD,
        started=ODD,
        commit=ODD,
        case=replace(one.case, model=MODEL, why=ODD),
        model=replace(one.model, name=ODD),
        hard=replace(one.hard, device=ODD, checkpoint=ODD, attention=ODD, shapes=ODD),
        soft=replace(one.soft, **soft),
        ceilings=Ceilings(
            device=ODD,
            copy_bytes_per_s=reached.copy_bytes_per_s,
            read_bytes_per_s=reached.read_bytes_per_s,
            gemm_flops_per_s={**reached.gemm_flops_per_s, ODD: 1e12},
        ),
    )


def odd_verdicts() -> tuple[Verdict, ...]:
    return tuple(
        Verdict(case=case_id, status=status, reasons=(ODD, ODD))
        for status in Status
        for case_id in (DECODE, ODD, f"{ODD}{status}")
    )


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a run that holds nothing but odd text, drawn from its folder."""
    one = odd_record()
    folder = run_folder(
        tmp_path_factory.mktemp("odd") / "run", [one], verdicts=odd_verdicts(), not_run={PREFILL: ODD}
    )
    folder.write_info(replace(folder.info(), id=ODD, commit=ODD, command=ODD))
    assert main(["render", str(folder.path)]) == 0
    return (folder.path / "summary.md").read_text(encoding="utf-8")


def test_markup_is_escaped_all_over_the_summary(summary: str) -> None:
    left = summary.replace(ESCAPED, "")

    for markup in ("<script>", "a|b", "`c`", "*d*", "](f)", "\x1b"):
        assert markup not in left
    assert summary.count(ESCAPED) > 20
    for told in (
        f"# {ESCAPED} on {ESCAPED}",
        f"- run {ESCAPED}, started ",
        f"- commit {ESCAPED}",
        f"torch {ESCAPED}, transformers {ESCAPED}, bitsandbytes {ESCAPED}, CUDA {ESCAPED}, driver {ESCAPED}",
        f"host CPU {ESCAPED}",
        f"- {ESCAPED}, attention {ESCAPED}",
        f"{ESCAPED} 1 TFLOP/s",
        f"- `{PREFILL}`: {ESCAPED}",
    ):
        assert told in summary


def test_what_device_time_could_not_tell_is_escaped() -> None:
    unseen = record(DECODE, device_note=ODD)
    unrun = record(
        DECODE,
        device_s=0.008,
        kernels=(kernel("k", 0.001), replace(kernel("none", 0.0, launches=0), operator=ODD)),
    )

    assert f"without device time: {ESCAPED}." in bottlenecks(derived([unseen]))
    assert f"{operators.NOT_MEASURED}: {ESCAPED}." in operators.operator_tables(derived([unseen]), None)
    assert f"{ESCAPED}, attention" in operators.operator_tables(derived([unrun]), None)


def test_a_table_keeps_its_columns(summary: str) -> None:
    """Whatever a name holds, no row has a cell more than its header."""
    block: list[str] = []
    seen = 0
    for line in [*summary.splitlines(), ""]:
        if line.startswith("|"):
            block.append(line)
            continue
        assert len({_cells(row) for row in block}) <= 1, block
        seen += len(block)
        block = []
    assert seen > 10


def _cells(row: str) -> int:
    return row.replace("\\\\", "").replace("\\|", "").count("|")


def test_the_terminal_is_given_no_commands() -> None:
    shown = results(derived([odd_record()]), odd_verdicts())

    assert ESCAPED in shown
    assert all(line.isprintable() for line in shown.splitlines())


def test_a_figure_takes_no_name_for_a_formula() -> None:
    """Matplotlib can draw no formula cut short, and warns of what its font lacks."""
    found = derived([odd_record()])
    highest = found[0].record.ceilings

    shown = ODD.replace("$", "\\$").replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    assert heading(found)[0] == f"{shown} on {shown}"
    figures = [
        roofline.draw(found, highest),
        breakdown.draw(found, highest),
        operators.draw(found, highest),
    ]
    for figure in figures:
        if figure is not None:
            figure.draw_without_rendering()


def test_text_of_another_direction_is_not_turned_round() -> None:
    one = record(DECODE, device_s=0.008)
    one = replace(one, hard=replace(one.hard, device=f"H100{BIDI}x"))
    assert BIDI not in summary_of(one)


def test_permissions_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = good(tmp_path / "run")
    of_decode(run).chmod(0)
    if os.access(of_decode(run), os.R_OK):
        pytest.skip("root reads everything")

    assert main(["render", str(run)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {of_decode(run)}: cannot be read: ")
