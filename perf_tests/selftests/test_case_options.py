"""--perf-precision, --perf-engine, --perf-batch, --perf-context, --perf-prompt: any
other case, without a file of it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from analytic import SpecError
from perf_tests.case_options import OPTIONS, read_options, replaced
from perf_tests.cases import lane_cases
from perf_tests.selftests.tiny import Place

HERE = Path(__file__).parent


def asked_for(lane: str = "cpu", **given: str) -> list[str]:
    """The ids of a lane's cases under options such as batch="1,2"."""
    asked = read_options(lambda option: given.get(option.removeprefix("--perf-")), base=HERE)
    cases = lane_cases(lane)
    return [case.id for case in (cases if asked is None else replaced(cases, asked))]


def test_without_options_the_table_stays() -> None:
    assert read_options(lambda _: None, base=HERE) is None


def test_an_option_replaces_its_dimension_alone() -> None:
    assert asked_for(batch="4", context="64", prompt="16") == [
        "prefill-b4-p16-fp32-eager",
        "decode-b4-c64-fp32-eager",
        "generate-b4-p16-n16-fp32-eager",
    ]
    table = asked_for()
    assert asked_for(precision="bf16") == [i.replace("fp32", "bf16") for i in table]
    assert asked_for(engine="compiled") == [i.replace("eager", "compiled") for i in table]


@pytest.mark.parametrize(
    ("given", "phases"),
    [
        ({"context": "8"}, {"decode"}),
        ({"prompt": "8"}, {"prefill", "generate"}),
        ({"prompt": "8", "context": "8"}, {"prefill", "decode", "generate"}),
        ({"batch": "3"}, {"prefill", "decode", "generate"}),
    ],
)
def test_a_length_asks_for_the_phases_that_it_is_one_of(given: dict[str, str], phases: set[str]) -> None:
    assert {i.partition("-")[0] for i in asked_for(**given)} == phases


def test_lists_span_every_combination_once() -> None:
    ids = asked_for("gpu", context=" 7, 9,7", batch="2,1", precision="int8,nf4-dq", engine="graph,eager")

    assert sorted(ids) == sorted(
        f"decode-b{b}-c{c}-{p}-{e}"
        for b in (1, 2)
        for c in (7, 9)
        for p in ("int8", "nf4-dq")
        for e in ("graph", "eager")
    )


def test_the_why_says_who_asked() -> None:
    asked = read_options({"--perf-batch": "2", "--perf-context": "7,9"}.get, base=HERE)
    assert asked is not None

    assert {case.why for case in replaced(lane_cases("cpu"), asked)} == {
        "asked for by --perf-batch=2 --perf-context=7,9"
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch": "0"}, "--perf-batch: '0' is no whole number from 1 to 1,000,000,000"),
        ({"batch": "1,x"}, "--perf-batch: 'x' is no whole number"),
        ({"batch": "1,,2"}, "--perf-batch=1,,2: a value, or several with commas between them, is needed"),
        ({"batch": ""}, "--perf-batch=: a value"),
        ({"context": "-5"}, "--perf-context: '-5' is no whole number"),
        ({"context": "1_0"}, "--perf-context: '1_0' is no whole number"),
        ({"context": "\u0661"}, "--perf-context: '\u0661' is no whole number"),
        ({"prompt": "1e3"}, "--perf-prompt: '1e3' is no whole number"),
        ({"prompt": "1000000001"}, "--perf-prompt: '1000000001' is no whole number"),
        ({"prompt": "9" * 5000}, "--perf-prompt: '999"),
        ({"precision": "fp8"}, "--perf-precision: unknown precision 'fp8'. Nearest: fp"),
        ({"engine": "compile"}, "--perf-engine: unknown engine 'compile'. Nearest: compiled"),
        (
            {"engine": "none.py"},
            f"--perf-engine: {HERE}/none.py: no such file; a Python file that defines ENGINE",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_with_its_option(given: dict[str, str], said: str) -> None:
    with pytest.raises(SpecError) as refused:
        asked_for(**given)

    assert str(refused.value).startswith(said)
    assert len(str(refused.value)) < 300


# --- as options of pytest ----------------------------------------------------


def collect(place: Place, *options: str | Path, lanes: str = "cpu") -> tuple[int, str, Sequence[str]]:
    """(exit status, output, what is collected)"""
    done = place.pytest(
        *(*place.without_torch(), "--collect-only", "-q", "-m", lanes),
        *options,
        *(f"perf_tests/test_{phase}.py" for phase in ("prefill", "decode", "generate", "verdict")),
    )
    return done.rc, done.out, [line.partition("::")[2] for line in done.out.splitlines() if "::" in line]


def test_they_are_collected_in_place_of_the_lanes_by_precision_and_engine(place: Place) -> None:
    rc, out, names = collect(
        place, "--perf-context=7", "--perf-batch=3", "--perf-engine=tuned,eager", "--perf-precision=fp32,bf16"
    )
    ids = [f"decode-b3-c7-{p}-{e}" for p in ("bf16", "fp32") for e in ("eager", "tuned")]

    assert rc == 0, out
    assert [name for name in names if name.startswith("test_decode")] == [f"test_decode[{i}]" for i in ids]
    assert {name for name in names if name.startswith("test_verdict")} == {f"test_verdict[{i}]" for i in ids}
    assert len(names) == 2 * len(ids)


def test_of_two_lanes_with_the_same_case_one_is_to_be_named(place: Place) -> None:
    """Each has its own model, and a run keeps one record a case."""
    options = ("--perf-context=7", "--perf-batch=3", "--perf-precision=fp32")
    rc, out, _ = collect(place, *options, lanes="cpu or gpu")

    assert rc == pytest.ExitCode.USAGE_ERROR
    assert "both lanes have decode-b3-c7-fp32-eager; name one of them: -m cpu or -m gpu" in out
    assert collect(place, *options, lanes="cpu")[2] == collect(place, *options, lanes="gpu")[2] != []


def test_options_that_leave_nothing_say_so(place: Place) -> None:
    path = place.home / "decode.toml"
    path.write_text(
        '[cpu]\nmodel = "mistral-cpu-140m"\nprecisions = ["fp32"]\n[[cpu.cases]]\n'
        'phase = "decode"\nbatches = [1]\nlengths = [9]\nwhy = "small"\n',
        encoding="utf-8",
    )
    rc, out, names = collect(place, f"--perf-cases={path}", "--perf-prompt=64")

    assert rc == pytest.ExitCode.NO_TESTS_COLLECTED
    assert names == []
    assert "roofgate: --perf-prompt=64 leaves no case of the cpu lane: it has none of such a length" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--perf-batch", "many"), "--perf-batch: 'many' is no whole number from 1 to"),
        (
            ("--perf-model", "mistral-7b-v0.1,gpt2"),
            "--perf-model=mistral-7b-v0.1,gpt2: one model is measured a run",
        ),
        (("--perf-trust-remote-code",), "--perf-trust-remote-code goes with --perf-checkpoint"),
        *(
            (
                ("--perf-run", "x", option, "1"),
                f"--perf-run judges the cases of an earlier run: leave {option} out",
            )
            for option in ("--perf-model", "--perf-checkpoint", *OPTIONS)
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_makes_no_sense_is_refused(place: Place, options: tuple[str, ...], said: str) -> None:
    rc, out, _ = collect(place, *options)

    assert rc == pytest.ExitCode.USAGE_ERROR, out
    (error,) = (line for line in out.splitlines() if line.startswith("ERROR: "))
    assert said in error
    assert "Traceback" not in out
