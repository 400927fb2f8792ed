"""Models by preset, file or folder, and the errors of unusable configs."""

import json
from pathlib import Path
from typing import Any

import pytest

from analytic import ModelSpec, SpecError, load_model, preset_names

pytestmark = pytest.mark.analytic

VALID: dict[str, Any] = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 32000,
    "sliding_window": None,
    "tie_word_embeddings": False,
}


def write(folder: Path, changes: dict[str, Any], *, without: str | None = None) -> Path:
    """config.json in `folder`: VALID with `changes`, `without` one field."""
    config = {field: value for field, value in (VALID | changes).items() if field != without}
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def test_presets() -> None:
    assert preset_names() == (
        "mistral-7b-v0.1",
        "mistral-7b-v0.2",
        "mistral-7b-v0.3",
        "mistral-cpu-140m",
    )


@pytest.mark.parametrize(
    ("name", "vocab_size", "window"),
    [
        ("mistral-7b-v0.1", 32_000, 4096),
        ("mistral-7b-v0.2", 32_000, None),
        ("mistral-7b-v0.3", 32_768, None),
    ],
)
def test_shapes_of_the_7b_presets(name: str, vocab_size: int, window: int | None) -> None:
    assert load_model(name) == ModelSpec(
        name=name,
        n_layers=32,
        d_model=4096,
        d_ff=14_336,
        n_heads=32,
        n_kv_heads=8,
        d_head=128,
        vocab_size=vocab_size,
        sliding_window=window,
        tied_embeddings=False,
    )


def test_a_folder_a_file_in_it_and_a_copy_read_alike(tmp_path: Path) -> None:
    """The name is the folder's for config.json, else the file's."""
    folder = tmp_path / "mine"
    folder.mkdir()
    path = write(folder, {})
    copy = tmp_path / "copy.json"
    copy.write_bytes(path.read_bytes())

    assert load_model(str(folder)) == load_model(str(path))
    assert load_model(str(path)).name == "mine"
    assert load_model(str(copy)).name == "copy"
    assert load_model(str(copy)).param_count == 7_241_732_096


@pytest.mark.parametrize(
    "field",
    [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "vocab_size",
    ],
)
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    """num_key_value_heads too: transformers would guess 8, which may not be so."""
    path = write(tmp_path, {}, without=field)

    with pytest.raises(SpecError) as error:
        load_model(str(path))
    assert str(error.value) == f"{path}: field '{field}' is missing; a positive integer is needed"


@pytest.mark.parametrize("value", [0, -1, True, "32", 32.0, 1.5, [32], {}])
@pytest.mark.parametrize(
    "field",
    [
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "vocab_size",
        "sliding_window",
    ],
)
def test_only_positive_integers_are_sizes(tmp_path: Path, field: str, value: object) -> None:
    path = write(tmp_path, {field: value})

    with pytest.raises(SpecError) as error:
        load_model(str(path))
    assert str(error.value) == f"{path}: field '{field}' is {value!r}; a positive integer is needed"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_no_sizes(tmp_path: Path, value: float) -> None:
    """Python's json reads NaN and Infinity, though JSON has none."""
    path = write(tmp_path, {"hidden_size": value})

    with pytest.raises(SpecError, match=r"field 'hidden_size' is (nan|inf); a positive integer"):
        load_model(str(path))


@pytest.mark.parametrize("value", ["false", 0, None])
def test_tied_embeddings_are_true_or_false(tmp_path: Path, value: object) -> None:
    with pytest.raises(SpecError, match=r"config\.json: field 'tie_word_embeddings' is .*; true or false"):
        load_model(str(write(tmp_path, {"tie_word_embeddings": value})))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"num_key_value_heads": 5},
            "num_attention_heads 32 is not divisible by num_key_value_heads 5",
        ),
        (
            {"num_key_value_heads": 64},
            "num_attention_heads 32 is not divisible by num_key_value_heads 64",
        ),
        (
            {"num_attention_heads": 24, "head_dim": None},
            "hidden_size 4096 is not divisible by num_attention_heads 24, and there is no head_dim",
        ),
    ],
)
def test_sizes_at_odds_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write(tmp_path, changes)

    with pytest.raises(SpecError) as error:
        load_model(str(path))
    assert str(error.value) == f"{path}: {message}"


@pytest.mark.parametrize("value", ["llama", "Mistral", None, ["mistral"]])
def test_an_unsupported_model_type_lists_the_supported(tmp_path: Path, value: object) -> None:
    """A model of another kind is refused, never counted as if it were a Mistral."""
    path = write(tmp_path, {"model_type": value})

    with pytest.raises(SpecError) as error:
        load_model(str(path))
    assert str(error.value) == f"{path}: model_type {value!r} is not supported; supported: mistral"


def test_a_config_without_a_model_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="model_type None is not supported; supported: mistral"):
        load_model(str(write(tmp_path, {}, without="model_type")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1, 2]", "a config.json holds an object, not a list"),
        (b'"mistral"', "a config.json holds an object, not a str"),
        (b"null", "a config.json holds an object, not a NoneType"),
        (b'{"model_type": "mistral",', "not a readable config.json"),
        (b"", "not a readable config.json"),
        (b"\xff\xfe", "not a readable config.json"),
        (b"[" * 100_000, "not a readable config.json"),
        (b'{"hidden_size": ' + b"9" * 5000 + b"}", "not a readable config.json"),
    ],
    ids=["list", "string", "null", "cut-off", "empty", "not-utf-8", "too-deep", "too-many-digits"],
)
def test_a_file_that_is_no_config_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)

    with pytest.raises(SpecError) as error:
        load_model(str(path))
    assert str(error.value).startswith(f"{path}: {message}")


def test_a_folder_without_a_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        load_model(str(tmp_path))
    assert str(error.value) == f"{tmp_path} is a folder without a config.json"


@pytest.mark.parametrize("name", ["mistral-7b-v0.4", "Mistral-7B-v0.1", "mistral-7b"])
def test_an_unknown_name_gets_the_nearest_presets(name: str) -> None:
    with pytest.raises(SpecError, match=f"'{name}'. Nearest: .*mistral-7b-v0.1.* Known: "):
        load_model(name)


def test_an_absent_sliding_window_is_4096(tmp_path: Path) -> None:
    """What transformers 5.23 takes: MistralConfig().sliding_window is 4096 (looked
    up by hand; this lane imports no transformers), so an older config.json that is
    silent about it runs with the window."""
    assert load_model(str(write(tmp_path, {}, without="sliding_window"))).sliding_window == 4096


def test_a_null_sliding_window_is_none(tmp_path: Path) -> None:
    assert load_model(str(write(tmp_path, {"sliding_window": None}))).sliding_window is None


@pytest.mark.parametrize("without", [True, False])
def test_an_absent_or_null_head_dim_is_the_width_by_heads(tmp_path: Path, *, without: bool) -> None:
    changes = {"hidden_size": 2048, "head_dim": None}
    path = write(tmp_path, changes, without="head_dim" if without else None)

    assert load_model(str(path)).d_head == 64


def test_a_head_dim_of_its_own_is_kept(tmp_path: Path) -> None:
    """Widths of q and o follow head_dim, not hidden_size."""
    model = load_model(str(write(tmp_path, {"head_dim": 80})))

    assert (model.d_q, model.d_kv) == (32 * 80, 8 * 80)
    assert model.layer_linears[0] == ("q_proj", 2560, 4096)
    assert model.layer_linears[3] == ("o_proj", 4096, 2560)


def test_absent_tied_embeddings_are_untied(tmp_path: Path) -> None:
    assert not load_model(str(write(tmp_path, {}, without="tie_word_embeddings"))).tied_embeddings


@pytest.mark.parametrize(("context_len", "held"), [(0, 0), (4094, 4094), (4095, 4095), (9000, 4095)])
def test_a_window_of_w_holds_w_less_one_past_tokens(context_len: int, held: int) -> None:
    """As transformers' cache: the new token is the window's last."""
    assert load_model("mistral-7b-v0.1").cached_tokens(context_len) == held
