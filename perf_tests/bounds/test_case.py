"""Cases and their ids."""

from typing import Any

import pytest

from analytic import PRECISIONS, Case, Phase, SpecError

pytestmark = pytest.mark.analytic

MODEL = "mistral-7b-v0.1"
VALID: dict[str, Any] = {
    "model": MODEL,
    "phase": Phase.DECODE,
    "batch": 1,
    "length": 512,
    "precision": "nf4",
}


@pytest.mark.parametrize(
    ("case_id", "fields"),
    [
        (
            "decode-b1-c512-nf4-eager",
            {"phase": Phase.DECODE, "batch": 1, "length": 512, "precision": "nf4"},
        ),
        (
            "prefill-b8-p2048-nf4-dq-eager",
            {"phase": Phase.PREFILL, "batch": 8, "length": 2048, "precision": "nf4-dq"},
        ),
        (
            "generate-b1-p128-n32-fp16-eager",
            {"phase": Phase.GENERATE, "batch": 1, "length": 128, "output_len": 32, "precision": "fp16"},
        ),
        (
            "decode-b1-c512-nf4-dq-my4bit",
            {"phase": Phase.DECODE, "batch": 1, "length": 512, "precision": "nf4-dq", "engine": "my4bit"},
        ),
    ],
)
def test_an_id_names_its_case(case_id: str, fields: dict[str, Any]) -> None:
    case = Case(model=MODEL, **fields)

    assert case.id == case_id
    assert Case.parse(case_id, model=MODEL) == case


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("phase", "output_len"), [(Phase.PREFILL, None), (Phase.DECODE, None), (Phase.GENERATE, 2)]
)
def test_ids_round_trip(phase: Phase, output_len: int | None, precision: str) -> None:
    case = Case(
        model=MODEL,
        phase=phase,
        batch=16,
        length=100,
        output_len=output_len,
        precision=precision,
        why="a reason",
    )

    assert Case.parse(case.id, model=MODEL, why="a reason") == case


@pytest.mark.parametrize(
    "case_id",
    [
        "",
        "decode",
        "decode-b1-c512-nf4",
        "decode-b1-c512-nf4-dq",
        "decode-b1-p512-nf4-eager",
        "prefill-b1-c512-nf4-eager",
        "decode-b01-c512-nf4-eager",
        "decode-b1-c512-nf4-eager-",
        "decode-b1-c512-nf4-eager\n",
        " decode-b1-c512-nf4-eager",
        "Decode-b1-c512-nf4-eager",
        "train-b1-c512-nf4-eager",
        "decode-b-c512-nf4-eager",
        "decode-b-1-c512-nf4-eager",
        "decode-b1.0-c512-nf4-eager",
        "decode-b0-c512-nf4-eager",
        "decode-b1-c0-nf4-eager",
        "decode-b1-c512-fp6-eager",
        "decode-b1-c512-nf4-Eager",
        "decode-b1-c512-nf4-my_engine",
        "decode-b1-c512-nf4-my-engine",
        "decode-b1-c512-nf4-",
        "decode-b1-c512-n32-nf4-eager",
        "generate-b1-p128-fp16-eager",
        "generate-b1-p128-n1-fp16-eager",
        "generate-b1-c128-n32-fp16-eager",
        "../decode-b1-c512-nf4-eager",
        "decode-b\u0661-c512-nf4-eager",  # int() reads the Arabic digit one
    ],
)
def test_an_id_of_another_form_is_refused(case_id: str) -> None:
    with pytest.raises(SpecError):
        Case.parse(case_id, model=MODEL)


def test_an_id_that_is_nearly_right_says_how_it_should_read() -> None:
    with pytest.raises(SpecError, match="'decode-b1-p512-nf4-eager' should read 'decode-b1-c512-nf4-eager'"):
        Case.parse("decode-b1-p512-nf4-eager", model=MODEL)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phase": "decoding"}, "unknown phase 'decoding'. Nearest: decode"),
        ({"precision": "nf5"}, "unknown precision 'nf5'. Nearest: nf4"),
        ({"engine": "my-engine"}, "engine 'my-engine' is no name: lower-case letters and digits are needed"),
        ({"engine": ""}, "engine '' is no name"),
        ({"engine": "eager\n"}, "is no name"),
        ({"engine": "dq"}, "engine 'dq' would be read as part of a precision"),
        ({"batch": 0}, "batch 0 and length 512 must be at least 1"),
        ({"length": -1}, "batch 1 and length -1 must be at least 1"),
        ({"output_len": 32}, "output_len 32 does not go with phase decode"),
        ({"phase": Phase.GENERATE}, "output_len None does not go with phase generate"),
        ({"phase": Phase.GENERATE, "output_len": 1}, "output_len 1: generate"),
    ],
)
def test_a_case_that_cannot_run_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Case(**(VALID | changes))


@pytest.mark.parametrize(
    ("case_id", "tokens"),
    [
        ("prefill-b8-p2048-fp16-eager", 8 * 2048),
        ("decode-b8-c2048-fp16-eager", 8),
        ("generate-b8-p128-n32-fp16-eager", 8 * 32),
    ],
)
def test_new_tokens_over_the_batch(case_id: str, tokens: int) -> None:
    assert Case.parse(case_id, model=MODEL).new_tokens == tokens
