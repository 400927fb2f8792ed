"""What crosscheck says of the model, and how it ends."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analytic import Cost, load_model, pass_cost
from perf_tests import crosscheck as module
from perf_tests.bounds.count_flops import ODD
from perf_tests.crosscheck import main, paired

pytestmark = pytest.mark.usefixtures("torch_installed")

CONFIGS: dict[str, dict[str, Any]] = json.loads(ODD.read_text(encoding="utf-8"))


def write(folder: Path, config: dict[str, Any]) -> str:
    """The path of a config.json in `folder`."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(folder)


@pytest.fixture
def mistral(tmp_path: Path) -> str:
    return write(tmp_path / "mistral", CONFIGS["odd-mistral"])


@pytest.mark.parametrize("name", CONFIGS)
def test_every_family_is_equal(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shapes in which no two widths are equal, and configs that leave fields out."""
    code = main([write(tmp_path / name, CONFIGS[name])])

    out = capsys.readouterr().out
    assert (code, out.splitlines()[-1]) == (0, "equal"), out


def with_wrong(monkeypatch: pytest.MonkeyPatch, **flops: int) -> None:
    """Makes the model add `flops` to the operators named."""

    def wrong(*arguments: Any, **options: Any) -> Cost:
        cost = pass_cost(*arguments, **options)
        return replace(
            cost,
            operators=tuple(replace(op, flops=op.flops + flops.get(op.name, 0)) for op in cost.operators),
        )

    monkeypatch.setattr(module, "pass_cost", wrong)


def test_a_wrong_operator_is_named(
    mistral: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_wrong(monkeypatch, k_proj=1000)

    assert main([mistral]) == 1
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    # Batch 1, one new token: 3 layers of a linear of 32 x 48.
    assert "k_proj 9216 DIFFERENT: the model says 10216, +1000 off" in lines
    assert "q_proj 27648 equal" in lines
    assert lines[-1].startswith("different: ")


def test_wrongs_that_cancel_are_found(
    mistral: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_wrong(monkeypatch, k_proj=10, v_proj=-10)

    assert main([mistral, "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    first = result["passes"][0]
    assert first["flops"]["difference"] == 0
    assert {op["name"]: op["difference"] for op in first["operators"] if op["difference"]} == {
        "k_proj": 10,
        "v_proj": -10,
    }


def test_wrong_parameters_are_named(
    mistral: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path / "tied", CONFIGS["odd-mistral"] | {"tie_word_embeddings": True})
    monkeypatch.setattr(module, "load_model", lambda _: load_model(other))

    assert main([mistral]) == 1
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "parameters 95184 DIFFERENT: the model says 90384, -4800 off" in lines
    assert "lm_head.weight 4800 <- the difference" in lines
    assert "q_proj.weight" not in " ".join(line for line in lines if "<-" in line)
    assert lines[-1] == "different: 0 of 10 passes, and the parameters"


def test_json_holds_both_numbers(mistral: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([mistral, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)

    assert result["equal"] is True
    assert result["parameters"] == {
        "name": "parameters",
        "modelled": 95_184,
        "counted": 95_184,
        "difference": 0,
    }
    assert {p["context_len"] for p in result["passes"]} >= {0, 7, 17}  # to the window of 8, and past it


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "perceptron"}, "perceptron"),
        ({}, "model_type"),
        (CONFIGS["odd-mistral"] | {"hidden_size": -1}, "hidden_size"),
    ],
)
def test_bad_input_is_one_line_and_2(
    config: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([write(tmp_path / "bad", config)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_no_such_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-model"]) == 2
    assert "no-such-model" in capsys.readouterr().err


def test_without_transformers(
    mistral: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)

    assert main([mistral]) == 2
    assert "pip install" in capsys.readouterr().err


def test_names_of_one_side_are_matched() -> None:
    pairs = paired(
        {"norms": 0, "c_proj": 12, "experts.gate_up_proj": 2, "experts.down_proj": 1, "lm_head": 5},
        {"attn.c_proj": 4, "mlp.c_proj": 8, "experts": 3, "lm_head": 6},
    )

    assert {p.name: (p.modelled, p.counted) for p in pairs} == {
        "c_proj": (12, 12),
        "experts": (3, 3),
        "lm_head": (5, 6),
    }
