"""Files of cases: what they give, and what is wrong with one that is refused."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from analytic import Phase, SpecError
from perf_tests.case_file import read_case_file
from perf_tests.cases import TABLE, default_model, lane_cases
from perf_tests.selftests.tiny import ROOT, Place, write_config

ESTIMATES = ROOT / "perf_tests" / "estimate_cases.toml"
SCALING = ROOT / "perf_tests" / "scaling_cases.toml"
ENGINES = ROOT / "perf_tests" / "engine_cases.toml"
GOOD = """
[gpu]
model = "mistral-7b-v0.1"
precisions = ["fp16", "nf4-dq"]

[[gpu.cases]]
phase = "decode"
batches = [1, 3]
lengths = [7]
why = "first"

[[gpu.cases]]
phase = "generate"
batches = [2]
lengths = [5]
output_len = 4
why = "second"
"""


def store(folder: Path, text: str, *, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as error:
        read_case_file(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_block_spans_every_combination_under_each_precision(tmp_path: Path) -> None:
    cases = lane_cases("gpu", file=store(tmp_path, GOOD))

    assert [case.id for case in cases] == [
        "decode-b1-c7-fp16-eager",
        "decode-b3-c7-fp16-eager",
        "generate-b2-p5-n4-fp16-eager",
        "decode-b1-c7-nf4-dq-eager",
        "decode-b3-c7-nf4-dq-eager",
        "generate-b2-p5-n4-nf4-dq-eager",
    ]
    assert {case.model for case in cases} == {"mistral-7b-v0.1"}
    assert [case.why for case in cases[:3]] == ["first", "first", "second"]


def test_what_a_block_promises_to_catch_is_its_cases(tmp_path: Path) -> None:
    catches = 'why = "first"\ncatches = { device = 0.15, wall = 0.05 }'
    cases = lane_cases("gpu", file=store(tmp_path, GOOD.replace('why = "first"', catches)))

    assert [(case.promise.device, case.promise.wall) for case in cases[:3]] == [
        (0.15, 0.05),
        (0.15, 0.05),
        (0.01, None),
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("{ device = 1.5 }", "gpu.cases[0]: catches: device is 1.5; a share between 0 and 1 (0.01 is 1 %)"),
        ("{ wall = true }", "gpu.cases[0]: catches: wall is True; a share between 0 and 1"),
        (
            "{ device = 0.005 }",
            "gpu.cases[0]: catches: device is 0.005; more than 0.005, up to which nothing",
        ),
        ("{ walls = 0.1 }", "gpu.cases[0]: catches: unknown"),
        ("0.1", "gpu.cases[0]: catches is 0.1; a table is needed"),
    ],
)
def test_what_cannot_be_promised_is_named(tmp_path: Path, table: str, said: str) -> None:
    path = store(tmp_path, GOOD.replace('why = "first"', f'why = "first"\ncatches = {table}'))

    assert refusal(path).removeprefix(f"{path}: ").startswith(said)


def test_a_lane_that_the_file_leaves_out_has_no_case(tmp_path: Path) -> None:
    path = store(tmp_path, GOOD)

    assert lane_cases("cpu", file=path) == ()
    assert default_model("cpu", file=path) == default_model("cpu") == "mistral-cpu-140m"
    assert default_model("gpu", file=path) == "mistral-7b-v0.1"


def test_the_model_that_is_named_outweighs_the_files(tmp_path: Path) -> None:
    """Also where the file's own is not to be had."""
    path = store(tmp_path, GOOD.replace("mistral-7b-v0.1", "nowhere/config.json"))

    assert {case.model for case in lane_cases("gpu", model="mine", file=path)} == {"mine"}
    with pytest.raises(SpecError, match=r"'nowhere/config\.json'"):
        lane_cases("gpu", file=path)


def test_a_model_of_ones_own_is_called_by_its_name(tmp_path: Path) -> None:
    """Ids name folders: a path in them would be one too many."""
    folder = write_config(tmp_path / "tiny")
    path = store(tmp_path, GOOD.replace("mistral-7b-v0.1", str(folder)))

    assert {case.model for case in lane_cases("gpu", file=path)} == {"tiny"}
    assert default_model("gpu", file=path) == str(folder)


def test_the_default_file_is_read_alike() -> None:
    for lane in ("cpu", "gpu"):
        assert lane_cases(lane, file=TABLE) == lane_cases(lane)


def test_the_estimates_cases_are_none_that_calibrate() -> None:
    cases = lane_cases("gpu", file=ESTIMATES)
    calibrating = {case.id for case in lane_cases("gpu")}

    assert [case.id for case in cases if case.precision == "fp16"] == [
        "prefill-b1-p1024-fp16-eager",
        "prefill-b4-p1024-fp16-eager",
        "prefill-b4-p512-fp16-eager",
        "prefill-b16-p512-fp16-eager",
        "decode-b1-c4096-fp16-eager",
        "decode-b4-c4096-fp16-eager",
        "decode-b16-c512-fp16-eager",
        "decode-b16-c1024-fp16-eager",
    ]
    assert {case.precision for case in cases} == {"fp16", "nf4"}
    assert not calibrating & {case.id for case in cases}
    assert all(case.why.startswith("not used to calibrate") for case in cases)
    assert {case.phase for case in cases} == {Phase.PREFILL, Phase.DECODE}


def test_the_scaling_cases_double_from_end_to_end() -> None:
    cases = lane_cases("gpu", file=SCALING)

    def sizes(phase: Phase, **fixed: int) -> list[int]:
        (name,) = {"batch", "length"} - set(fixed)
        return sorted(
            getattr(c, name)
            for c in cases
            if c.phase is phase and all(getattr(c, k) == v for k, v in fixed.items())
        )

    assert sizes(Phase.DECODE, length=512) == [2**n for n in range(6)]
    assert sizes(Phase.DECODE, batch=1) == [2**n for n in range(7, 16)]
    assert sizes(Phase.PREFILL, batch=1) == [2**n for n in range(7, 14)]
    assert {(c.precision, c.engine) for c in cases} == {("fp16", "eager")}
    assert lane_cases("cpu", file=SCALING) == ()


def test_the_engines_cases_have_an_eager_one_beside_them() -> None:
    ids = [case.id for case in lane_cases("gpu", file=ENGINES)]
    eager = {case.id for case in lane_cases("gpu")}

    assert ids == [
        f"{step}-fp16-{engine}"
        for engine in ("graph", "compiled", "tuned")
        for step in ("decode-b1-c512", "prefill-b1-p512")
    ]
    assert {f"{i.rpartition('-')[0]}-eager" for i in ids} <= eager


OWN_ENGINE = """
from perf_tests.engines import eager
from perf_tests.engines.engine import Engine

ENGINE = Engine(name="besidethefile", prepare=eager.prepare)
"""


@pytest.mark.usefixtures("forgetting")
def test_engines_are_named_or_lie_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "own.py").write_text(OWN_ENGINE, encoding="utf-8")
    engines = 'engines = ["eager", "engines/own.py"]\n[[gpu.cases]]'
    path = store(tmp_path, GOOD.replace("[[gpu.cases]]", engines, 1))
    ids = [case.id for case in lane_cases("gpu", file=path)]

    assert [i for i in ids if i.startswith("decode-b1-")] == [
        "decode-b1-c7-fp16-eager",
        "decode-b1-c7-fp16-besidethefile",
        "decode-b1-c7-nf4-dq-eager",
        "decode-b1-c7-nf4-dq-besidethefile",
    ]
    assert len(ids) == 12


# What is replaced in the file, by what, and what is then said of it.
BAD: list[tuple[str, str, str]] = [
    ("[gpu]", "[gpus]", ": unknown lane 'gpus'. Nearest: gpu"),
    (GOOD, "", " holds no lane; a table out of cpu, gpu is needed"),
    (GOOD, "[gpu", " is not TOML: "),
    (GOOD, "gpu = 7", ": gpu is 7; a table is needed"),
    (GOOD, "[gpu]", ": gpu: model is missing; needed are model, precisions, cases"),
    ('model = "mistral-7b-v0.1"', "model = 7", ": gpu: model is 7; text is needed"),
    ('model = "mistral-7b-v0.1"', 'model = " "', ": gpu: model is ' '; text is needed"),
    ('model = "mistral-7b-v0.1"', "", ": gpu: model is missing"),
    ('model = "m', 'modle = "m', ": gpu: unknown field 'modle'. Nearest: model"),
    ('["fp16", "nf4-dq"]', '["fp16", "fp8"]', ": gpu: unknown precision 'fp8'. Nearest: fp"),
    ('["fp16", "nf4-dq"]', "[16]", ": gpu: precisions is [16]; a list of precisions is needed"),
    ('["fp16", "nf4-dq"]', '"fp16"', ": gpu: precisions is 'fp16'; a list with something in it is needed"),
    ('["fp16", "nf4-dq"]', "[]", ": gpu: precisions is []; a list with something in it is needed"),
    ('["fp16", "nf4-dq"]', '["fp16", "fp16"]', ": gpu.cases[0]: decode-b1-c7-fp16-eager is there twice"),
    ("precisions", 'engines = ["egaer"]\nprecisions', ": gpu: unknown engine 'egaer'. Nearest: eager"),
    ("precisions", 'engines = ["x/own.py"]\nprecisions', ": gpu: "),
    ("precisions", "engines = []\nprecisions", ": gpu: engines is []; a list with something in it is needed"),
    ("precisions", "engines = [1]\nprecisions", ": gpu: engines is [1]; a list of engines is needed"),
    (
        "precisions",
        'engines = ["eager", "eager"]\nprecisions',
        ": gpu.cases[0]: decode-b1-c7-fp16-eager is there twice",
    ),
    ('"decode"', '"decod"', ": gpu.cases[0]: unknown phase 'decod'. Nearest: decode"),
    ('"decode"', "1", ": gpu.cases[0]: phase is 1; text is needed"),
    ("[1, 3]", "[1, 0]", ": gpu.cases[0]: batches is 0; a whole number from 1 to 1,000,000,000 is needed"),
    ("[1, 3]", "[1, true]", ": gpu.cases[0]: batches is True; a whole number"),
    ("[1, 3]", "[1.0]", ": gpu.cases[0]: batches is 1.0; a whole number"),
    ("[1, 3]", "[nan]", ": gpu.cases[0]: batches is nan; a whole number"),
    ("[1, 3]", '["1"]', ": gpu.cases[0]: batches is '1'; a whole number"),
    ("[1, 3]", "1", ": gpu.cases[0]: batches is 1; a list with something in it is needed"),
    ("[1, 3]", "[]", ": gpu.cases[0]: batches is []; a list with something in it is needed"),
    ("[1, 3]", "[1, 1]", ": gpu.cases[0]: decode-b1-c7-fp16-eager is there twice; once is enough"),
    ("[7]", "[-7]", ": gpu.cases[0]: lengths is -7; a whole number"),
    ("[7]", "[1000000001]", ": gpu.cases[0]: lengths is 1000000001; a whole number"),
    ("lengths = [7]", "length = [7]", ": gpu.cases[0]: unknown field 'length'. Nearest: lengths"),
    ("lengths = [7]", "", ": gpu.cases[0]: lengths is missing; needed are phase, batches, lengths, why"),
    ('why = "first"', "", ": gpu.cases[0]: why is missing"),
    ('why = "first"', 'why = ""', ": gpu.cases[0]: why is ''; text is needed"),
    (
        'why = "first"',
        'why = "x"\noutput_len = 4',
        ": gpu.cases[0]: output_len 4 does not go with phase decode",
    ),
    ("output_len = 4", "", ": gpu.cases[1]: output_len None does not go with phase generate"),
    ("output_len = 4", "output_len = 1", ": gpu.cases[1]: output_len 1: generate() needs at least 2 tokens"),
    ("output_len = 4", 'output_len = "4"', ": gpu.cases[1]: output_len is '4'; a whole number"),
]


@pytest.mark.parametrize(("old", "new", "said"), BAD, ids=[said for *_, said in BAD])
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    path = store(tmp_path, GOOD.replace(old, new, 1))

    assert refusal(path).removeprefix(str(path)).startswith(said)


@pytest.mark.parametrize("block", ["cases = 7", "cases = []", "cases = [7]"])
def test_blocks_are_tables(tmp_path: Path, block: str) -> None:
    head, _, _ = GOOD.partition("[[gpu.cases]]")

    assert re.search(r"gpu: cases is|gpu\.cases\[0\] is 7; a table", refusal(store(tmp_path, head + block)))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2 * 2**30)

    assert "no such file; cases as TOML" in refusal(tmp_path / "none.toml")
    assert "is a folder" in refusal(tmp_path)
    assert "is no plain file" in refusal(tmp_path / "pipe")
    assert "is not UTF-8" in refusal(tmp_path / "bytes")
    assert "is larger than 1 MB" in refusal(tmp_path / "large")


# --- as an option of pytest --------------------------------------------------


def collected(place: Place, *options: str | Path) -> Sequence[str]:
    done = place.pytest(
        *place.without_torch(),
        "--collect-only",
        "-q",
        *options,
        "perf_tests",
        "--ignore=perf_tests/bounds",
        "--ignore=perf_tests/selftests",
    )
    assert done.rc == 0, done.out
    return [line.partition("::")[2] for line in done.out.splitlines() if "::" in line]


def test_the_files_cases_are_collected_instead_of_the_lanes(place: Place) -> None:
    """A phase without a case leaves no item behind, nor does a lane."""
    path = store(place.home, GOOD.replace('"generate"', '"prefill"').replace("output_len = 4\n", ""))
    names = collected(place, f"--perf-cases={path}")
    ids = [
        f"{case_id}-{p}-eager"
        for p in ("fp16", "nf4-dq")
        for case_id in ("prefill-b2-p5", "decode-b1-c7", "decode-b3-c7")
    ]

    assert [name for name in names if not name.startswith("test_verdict")] == [
        f"test_{case_id.partition('-')[0]}[{case_id}]" for case_id in ids
    ]
    assert sorted(
        n.removeprefix("test_verdict[")[:-1] for n in names if n.startswith("test_verdict")
    ) == sorted(ids)


def test_perf_model_goes_with_it(place: Place) -> None:
    path = store(place.home, GOOD.replace("mistral-7b-v0.1", "nowhere"), name="elsewhere.toml")
    names = collected(place, f"--perf-cases={path}", f"--perf-model={write_config(place.home / 'tiny')}")

    assert "test_decode[decode-b3-c7-nf4-dq-eager]" in names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("[1, 3]", "[0]"), "mine.toml: gpu.cases[0]: batches is 0; a whole number"),
        (GOOD.replace("mistral-7b-v0.1", "mistral-8b"), "'mistral-8b'. Nearest: mistral-7b-v0."),
        (None, "none.toml: no such file; cases as TOML"),
    ],
)
def test_a_bad_file_is_a_usage_error(place: Place, text: str | None, said: str) -> None:
    path = place.home / "none.toml" if text is None else store(place.home, text)
    done = place.pytest(*place.without_torch(), "-m", "gpu", f"--perf-cases={path}")

    assert done.rc == 4
    assert said in done.line("ERROR: ")
    assert "Traceback" not in done.out


@pytest.mark.long
def test_a_small_lane_of_ones_own_is_measured(place: Place, torch_installed: None) -> None:  # noqa: ARG001 - it skips
    folder = write_config(place.home / "tiny")
    path = store(
        place.home,
        f'[cpu]\nmodel = "{folder}"\nprecisions = ["fp32"]\n[[cpu.cases]]\n'
        'phase = "decode"\nbatches = [1]\nlengths = [9]\nwhy = "small"\n',
        name="small.toml",
    )
    done = place.pytest(
        "-v",
        "-p",
        "no:randomly",
        f"--perf-cases={path}",
        f"--perf-out={place.home / 'small'}",
        "perf_tests/test_decode.py",
        "perf_tests/test_generate.py",
        "perf_tests/test_verdict.py",
    )

    assert done.rc == 0, done.out
    assert "test_decode[decode-b1-c9-fp32-eager] PASSED bound" in done.out
    assert {p.name for p in (place.home / "small" / "records").iterdir()} == {"decode-b1-c9-fp32-eager.json"}
