"""Model shapes, read from a preset, a config.json or a folder that holds one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analytic.errors import SpecError, unknown

PRESETS = Path(__file__).parent / "presets"
SUPPORTED = ("mistral",)

# What transformers assumes where a Mistral config.json is silent
# (transformers.MistralConfig).
MISTRAL_SLIDING_WINDOW = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """The shapes of a decoder-only transformer with gated MLP and GQA.

    `sliding_window` is in tokens, None where every layer attends to all. Raises
    SpecError at construction for a size below 1.
    """

    name: str
    n_layers: int
    d_model: int
    d_ff: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    vocab_size: int
    sliding_window: int | None
    tied_embeddings: bool

    def __post_init__(self) -> None:
        for name in ("n_layers", "d_model", "d_ff", "n_heads", "n_kv_heads", "d_head", "vocab_size"):
            if getattr(self, name) < 1:
                raise SpecError(f"{self.name}: {name} is {getattr(self, name)}; at least 1 is needed")

    @property
    def d_q(self) -> int:
        """Width of all query heads together."""
        return self.n_heads * self.d_head

    @property
    def d_kv(self) -> int:
        """Width of all key (or value) heads together."""
        return self.n_kv_heads * self.d_head

    @property
    def layer_linears(self) -> tuple[tuple[str, int, int], ...]:
        """(name, rows, cols) of the linears of one layer: rows out, cols in."""
        return (
            ("q_proj", self.d_q, self.d_model),
            ("k_proj", self.d_kv, self.d_model),
            ("v_proj", self.d_kv, self.d_model),
            ("o_proj", self.d_model, self.d_q),
            ("gate_proj", self.d_ff, self.d_model),
            ("up_proj", self.d_ff, self.d_model),
            ("down_proj", self.d_model, self.d_ff),
        )

    @property
    def embedding_params(self) -> int:
        return self.vocab_size * self.d_model

    @property
    def norm_params(self) -> int:
        """Two RMSNorms a layer and the final one."""
        return (2 * self.n_layers + 1) * self.d_model

    @property
    def linear_params(self) -> int:
        """The linears of all layers, without lm_head."""
        return self.n_layers * sum(rows * cols for _, rows, cols in self.layer_linears)

    @property
    def param_count(self) -> int:
        heads = 1 if self.tied_embeddings else 2
        return heads * self.embedding_params + self.norm_params + self.linear_params

    def cached_tokens(self, context_len: int) -> int:
        """How many of `context_len` past tokens a layer still holds: with a
        sliding window of w, transformers' cache keeps the last w - 1."""
        if self.sliding_window is None:
            return context_len
        return min(context_len, self.sliding_window - 1)


def preset_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in PRESETS.glob("*.json")))


def find_config(model: str) -> Path:
    """The config.json that `model` means: a preset's name, a file or a folder.

    Raises SpecError where there is none.
    """
    if model in preset_names():
        return PRESETS / f"{model}.json"
    path = Path(model)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise SpecError(f"{path} is a folder without a config.json")
        return path / "config.json"
    if path.is_file():
        return path
    raise unknown("model (neither a preset nor a file)", model, preset_names())


def load_model(model: str) -> ModelSpec:
    """The shapes of `model`: a preset's name, a config.json or its folder.

    Raises SpecError for an unknown name, and for a file that is not a usable
    config, naming the file and the field.
    """
    path = find_config(model)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # as json raises for any malformed text
        raise SpecError(f"{path}: not a readable config.json: {error}") from error
    if not isinstance(config, dict):
        raise SpecError(f"{path}: a config.json holds an object, not a {type(config).__name__}")
    name = path.resolve().parent.name if path.name == "config.json" else path.stem
    return read_config(config, name=name or "model", source=str(path))


def read_config(config: Mapping[str, Any], *, name: str, source: str) -> ModelSpec:
    """A transformers config as ModelSpec; `source` is named in errors.

    Raises SpecError for an unsupported model_type and for a field that is
    missing, of the wrong type, out of range or at odds with another.
    """
    model_type = config.get("model_type")
    if model_type not in SUPPORTED:
        raise SpecError(
            f"{source}: model_type {model_type!r} is not supported; supported: {', '.join(SUPPORTED)}"
        )

    def size(field: str, *, default: int | None = None) -> int:
        value = config.get(field, default)
        if value is None:
            raise SpecError(f"{source}: field {field!r} is missing; a positive integer is needed")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SpecError(f"{source}: field {field!r} is {value!r}; a positive integer is needed")
        return value

    n_heads, n_kv_heads = size("num_attention_heads"), size("num_key_value_heads")
    if n_heads % n_kv_heads:
        raise SpecError(
            f"{source}: num_attention_heads {n_heads} is not divisible by num_key_value_heads {n_kv_heads}"
        )
    d_model = size("hidden_size")
    if config.get("head_dim") is None and d_model % n_heads:
        raise SpecError(
            f"{source}: hidden_size {d_model} is not divisible by num_attention_heads {n_heads}, "
            "and there is no head_dim"
        )
    window: int | None = None
    if config.get("sliding_window", MISTRAL_SLIDING_WINDOW) is not None:
        window = size("sliding_window", default=MISTRAL_SLIDING_WINDOW)
    tied = config.get("tie_word_embeddings", False)
    if not isinstance(tied, bool):
        raise SpecError(f"{source}: field 'tie_word_embeddings' is {tied!r}; true or false is needed")
    return ModelSpec(
        name=name,
        n_layers=size("num_hidden_layers"),
        d_model=d_model,
        d_ff=size("intermediate_size"),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_head=d_model // n_heads if config.get("head_dim") is None else size("head_dim"),
        vocab_size=size("vocab_size"),
        sliding_window=window,
        tied_embeddings=tied,
    )
