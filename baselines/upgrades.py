"""Stored files of older schemas, brought up to the present one, step by step.

A step works on plain JSON and knows the form before it and the form after it,
and no later one: a further change of the schema adds a step and leaves these.
"""

from collections.abc import Callable, Mapping
from typing import Any

from analytic import SpecError
from analytic.small_file import shown
from baselines.record import SCHEMA, Record

Json = dict[str, Any]


def upgraded(kind: type, data: Json) -> Json:
    """`data`, a stored `kind` of schema 1 or later, as SCHEMA writes it.

    Raises SpecError that names the place of what a step cannot read. `data` is
    left as it is.
    """
    for schema in range(data["schema"], SCHEMA):
        data = {**_STEPS[schema](kind, data), "schema": schema + 1}
    return data


# The fields of a model in schema 1: always a Mistral, equal layers throughout.
_SIZES_1 = ("n_layers", "d_model", "d_ff", "n_heads", "n_kv_heads", "d_head", "vocab_size")
_FIELDS_1 = ("name", *_SIZES_1, "sliding_window", "tied_embeddings")


def _to_2(kind: type, data: Json) -> Json:
    """Models of several families: nested, layer kind by layer kind. Ceilings with
    the gap between launches. Both stand in records alone."""
    if kind is not Record:
        return data
    changed = dict(data)
    # What is no object here is refused with all other fields.
    if isinstance(data.get("model"), dict):
        changed["model"] = _nested_mistral(data["model"])
    if isinstance(data.get("ceilings"), dict):
        if "launch_gap_s" in data["ceilings"]:
            raise SpecError(".ceilings.launch_gap_s: no such field in schema 1")
        changed["ceilings"] = {**data["ceilings"], "launch_gap_s": None}
    return changed


_STEPS: Mapping[int, Callable[[type, Json], Json]] = {1: _to_2}


def _nested_mistral(flat: Json) -> Json:
    """The nested model of schema 2 for a flat one of schema 1."""
    _check_flat(flat)
    d_model, d_ff, heads, kv_heads, size = (
        flat[name] for name in ("d_model", "d_ff", "n_heads", "n_kv_heads", "d_head")
    )
    attention = {
        "n_heads": heads,
        "n_kv_heads": kv_heads,
        "cached_heads": kv_heads,
        "d_qk": size,
        "d_v": size,
        "inputs": [
            _linear("q_proj", heads * size, d_model),
            _linear("k_proj", kv_heads * size, d_model),
            _linear("v_proj", kv_heads * size, d_model),
        ],
        "output": _linear("o_proj", d_model, heads * size),
        "norms": [],
        "latent": None,
        "rotary": size,
        "window": flat["sliding_window"],
        "softcap": False,
        "alibi": False,
        "broadcast": False,
    }
    mlp = {
        "up": [_linear("gate_proj", d_ff, d_model), _linear("up_proj", d_ff, d_model)],
        "down": _linear("down_proj", d_model, d_ff),
        "d_ff": d_ff,
        "gated": True,
        "activation": "silu",
    }
    layer = {
        "attention": attention,
        "mlp": mlp,
        "moe": None,
        "norms": [_norm("input_layernorm", d_model), _norm("post_attention_layernorm", d_model)],
        "parallel": False,
    }
    return {
        "name": flat["name"],
        "model_type": "mistral",
        "d_model": d_model,
        "d_embed": d_model,
        "vocab_size": flat["vocab_size"],
        "position_rows": 0,
        "stacks": [{"count": flat["n_layers"], "layer": layer}],
        "projections": [],
        "final_norm": _norm("norm", d_model),
        "head_name": "lm_head",
        "head_bias": False,
        "logit_softcap": False,
        "tied_embeddings": flat["tied_embeddings"],
    }


def _check_flat(flat: Json) -> None:
    """Raises SpecError for a model that schema 1 did not write."""
    for name in flat:
        if name not in _FIELDS_1:
            raise SpecError(f".model.{name}: no such field in a model of schema 1")
    for name in _FIELDS_1:
        if name not in flat:
            raise SpecError(f".model.{name}: missing")
    window = () if flat["sliding_window"] is None else ("sliding_window",)
    for name in (*_SIZES_1, *window):
        if type(flat[name]) is not int or flat[name] < 1:
            raise SpecError(f".model.{name}: a positive integer is needed, not {shown(flat[name])}")
    for name, kind in (("name", str), ("tied_embeddings", bool)):
        if type(flat[name]) is not kind:
            raise SpecError(f".model.{name}: {kind.__name__} is needed, not {shown(flat[name])}")


def _linear(name: str, rows: int, cols: int) -> Json:
    return {"name": name, "rows": rows, "cols": cols, "bias": False, "convertible": True}


def _norm(name: str, width: int) -> Json:
    return {"name": name, "kind": "rms", "width": width, "vectors": 1, "params": 1}
