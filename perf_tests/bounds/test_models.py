"""Models by preset, file or folder, and the errors of unusable configs."""

import json
from pathlib import Path
from typing import Any

import pytest

from analytic import SpecError, find_config, load_model, preset_names, read_config

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


FAMILY_NAMES = (
    "deepseek_v2, falcon, gemma2, gpt2, gpt_neox, llama, mistral, mixtral, opt, phi3, qwen2, qwen3, qwen3_moe"
)
POSITIVE = "a positive integer (at most 1,000,000,000) is needed"


def positive(field: str) -> str:
    return POSITIVE.replace("1,000,000,000", "10,000") if field == "num_hidden_layers" else POSITIVE


def refusal(path: Path) -> str:
    """The error for a config, without the file that it begins with."""
    with pytest.raises(SpecError) as error:
        load_model(str(path))
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_presets_cover_every_family() -> None:
    models = [load_model(name) for name in preset_names()]

    assert {"mistral-7b-v0.1", "mistral-7b-v0.2", "mistral-7b-v0.3", "mistral-cpu-140m"} <= set(
        preset_names()
    )
    assert ", ".join(sorted({model.model_type for model in models})) == FAMILY_NAMES
    assert [model.name for model in models] == list(preset_names())


@pytest.mark.parametrize(
    ("name", "vocab_size", "window"),
    [
        ("mistral-7b-v0.1", 32_000, 4096),
        ("mistral-7b-v0.2", 32_000, None),
        ("mistral-7b-v0.3", 32_768, None),
    ],
)
def test_shapes_of_the_7b_presets(name: str, vocab_size: int, window: int | None) -> None:
    model = load_model(name)
    (stack,) = model.stacks
    attention = stack.layer.attention

    assert (model.n_layers, model.d_model, model.d_embed) == (32, 4096, 4096)
    assert (model.vocab_size, model.tied_embeddings) == (vocab_size, False)
    assert (attention.n_heads, attention.n_kv_heads, attention.cached_heads) == (32, 8, 8)
    assert (attention.d_qk, attention.d_v, attention.rotary, attention.window) == (128, 128, 128, window)
    assert [(linear.name, linear.rows, linear.cols) for linear in stack.layer.linears] == [
        ("q_proj", 4096, 4096),
        ("k_proj", 1024, 4096),
        ("v_proj", 1024, 4096),
        ("o_proj", 4096, 4096),
        ("gate_proj", 14_336, 4096),
        ("up_proj", 14_336, 4096),
        ("down_proj", 4096, 14_336),
    ]
    assert model.param_count == model.active_param_count


@pytest.mark.parametrize(
    ("name", "line"),
    [
        # Stored baselines are looked up by this one.
        ("mistral-7b-v0.2", "L32 D4096 F14336 H32/8x128 V32000"),
        ("mistral-7b-v0.1", "L32 D4096 F14336 H32/8x128 V32000 window4096"),
        ("llama-3-8b", "llama L32 D4096 F14336 H32/8x128 V128256"),
        ("gemma-2-2b", "gemma2 L26 D2304 13x(F9216 H8/4x256 window4096) + 13x(F9216 H8/4x256) V256000 tied"),
        ("mixtral-8x7b-v0.1", "mixtral L32 D4096 E8/2x14336 H32/8x128 V32000"),
        ("opt-350m", "opt L24 D1024 E512 F4096 H16/16x64 V50272 tied"),
    ],
)
def test_the_line_that_tells_models_apart(name: str, line: str) -> None:
    shapes, _, digest = load_model(name).shapes.partition(" #")

    assert shapes == line
    assert bool(digest) == (not name.startswith("mistral"))


def test_models_that_differ_in_no_letter_differ_in_the_digest() -> None:
    """A bias has no place in the line, and still makes another model."""
    config = json.loads(find_config("llama-3-8b").read_text(encoding="utf-8"))
    plain = read_config(config, name="a", source="test")
    renamed = read_config(config, name="b", source="test")
    biased = read_config(config | {"attention_bias": True}, name="a", source="test")

    assert plain.shapes == renamed.shapes
    assert plain.shapes != biased.shapes


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


SIZES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
)


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize("field", SIZES)
def test_a_missing_field_is_named(tmp_path: Path, field: str, *, null: bool) -> None:
    """num_key_value_heads too: transformers would guess 8, which may not be so."""
    path = write(tmp_path, {field: None}, without=None if null else field)

    assert refusal(path) == f"field '{field}' is missing; {positive(field)}"


@pytest.mark.parametrize("value", [0, -1, True, False, "32", 32.0, 1.5, [32], {}, 10**9 + 1, 10**30])
@pytest.mark.parametrize("field", [*SIZES, "head_dim", "sliding_window"])
def test_only_positive_integers_are_sizes(tmp_path: Path, field: str, value: object) -> None:
    path = write(tmp_path, {field: value})

    assert refusal(path) == f"field '{field}' is {value!r}; {positive(field)}"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("field", [*SIZES, "head_dim", "sliding_window"])
def test_nan_and_infinity_are_no_sizes(tmp_path: Path, field: str, value: float) -> None:
    """Python's json reads NaN and Infinity, though JSON has none."""
    path = write(tmp_path, {field: value})

    assert refusal(path) == f"field '{field}' is {value!r}; {positive(field)}"


def test_layers_beyond_any_model_are_refused_at_once(tmp_path: Path) -> None:
    """A list of a thousand million layers would not fit into memory."""
    path = write(tmp_path, {"num_hidden_layers": 10**9})

    assert "(at most 10,000)" in refusal(path)
    assert load_model(str(write(tmp_path, {"num_hidden_layers": 10_000}))).n_layers == 10_000


def test_a_value_is_quoted_no_longer_than_a_line(tmp_path: Path) -> None:
    assert len(refusal(write(tmp_path, {"hidden_size": [7] * 10**5}))) < 200


@pytest.mark.parametrize("value", ["false", 0, 1, [], float("nan")])
def test_tied_embeddings_are_true_or_false(tmp_path: Path, value: object) -> None:
    said = refusal(write(tmp_path, {"tie_word_embeddings": value}))

    assert said == f"field 'tie_word_embeddings' is {value!r}; true or false is needed"


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
    assert refusal(write(tmp_path, changes)) == message


@pytest.mark.parametrize("value", ["bert", "Mistral", "", None, ["mistral"], 7])
def test_an_unsupported_model_type_lists_the_supported(tmp_path: Path, value: object) -> None:
    """A model of another kind is refused, never counted as if it were a Mistral."""
    path = write(tmp_path, {"model_type": value})

    assert refusal(path) == f"model_type {value!r} is not supported; supported: {FAMILY_NAMES}"


def test_a_config_without_a_model_type_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {}, without="model_type")

    assert refusal(path) == f"model_type None is not supported; supported: {FAMILY_NAMES}"


@pytest.mark.parametrize("size", [10 * 2**20 + 1, 2 * 2**30])
def test_weights_given_as_a_config_are_not_read(tmp_path: Path, size: int) -> None:
    """The files are sparse: they take no room, and reading them would take long."""
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.seek(size)
        file.truncate()

    assert refusal(path) == (
        f"{size:,} bytes are no config.json (at most 10,485,760); "
        "give the config.json of the model, not its weights"
    )


def test_a_config_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    text = path.read_text(encoding="utf-8")
    path.write_text(text + " " * (10 * 2**20 - len(text)), encoding="utf-8")

    assert load_model(str(path)).n_layers == 32


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(
        SpecError, match=r"^model 'x.*: File name too long; a preset or a config\.json is needed$"
    ):
        load_model(name)


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
    assert load_model(str(write(tmp_path, {}, without="sliding_window"))).attention.window == 4096


def test_a_null_sliding_window_is_none(tmp_path: Path) -> None:
    assert load_model(str(write(tmp_path, {"sliding_window": None}))).attention.window is None


@pytest.mark.parametrize("without", [True, False])
def test_an_absent_or_null_head_dim_is_the_width_by_heads(tmp_path: Path, *, without: bool) -> None:
    changes = {"hidden_size": 2048, "head_dim": None}
    path = write(tmp_path, changes, without="head_dim" if without else None)

    assert load_model(str(path)).attention.d_qk == 64


def test_a_head_dim_of_its_own_is_kept(tmp_path: Path) -> None:
    """Widths of q and o follow head_dim, not hidden_size."""
    model = load_model(str(write(tmp_path, {"head_dim": 80})))

    assert [(linear.name, linear.rows, linear.cols) for linear in model.attention.linears] == [
        ("q_proj", 32 * 80, 4096),
        ("k_proj", 8 * 80, 4096),
        ("v_proj", 8 * 80, 4096),
        ("o_proj", 4096, 32 * 80),
    ]


@pytest.mark.parametrize("null", [False, True])
def test_absent_tied_embeddings_are_untied(tmp_path: Path, *, null: bool) -> None:
    changes = {"tie_word_embeddings": None}
    path = write(tmp_path, changes, without=None if null else "tie_word_embeddings")

    assert not load_model(str(path)).tied_embeddings


@pytest.mark.parametrize(("context_len", "held"), [(0, 0), (4094, 4094), (4095, 4095), (9000, 4095)])
def test_a_window_of_w_holds_w_less_one_past_tokens(context_len: int, held: int) -> None:
    """As transformers' cache: the new token is the window's last."""
    assert load_model("mistral-7b-v0.1").attention.cached_tokens(context_len) == held
