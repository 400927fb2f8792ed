"""Stored files of older schemas, brought up to the present one, step by step.

A step works on plain JSON and knows the form before it and the form after it,
and no later one: a further change of the schema adds a step and leaves these.
"""

from collections.abc import Callable, Iterable, Mapping
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
        _refuse(data["ceilings"], ("launch_gap_s",), ".ceilings", schema=1)
        changed["ceilings"] = {**data["ceilings"], "launch_gap_s": None}
    return changed


# What schema 3 added to a measurement, and what it stands for where it was not observed.
_ADDED_3: Json = {
    "prepare_s": None,
    "warmup_stop": None,
    "back_to_back_s": None,
    "energy_j": None,
    "kernels": None,
    "teardown": True,  # nothing was measured without it
    "retried": [],
}


def _to_3(kind: type, data: Json) -> Json:
    """Measurements with conditions, kernels and more; baselines with counts, kernels and ceilings."""
    # By name: the modules that define these two import this one.
    if kind.__name__ == "Baseline":
        return _baseline_3(data)
    changed = dict(data)
    if kind.__name__ == "RunInfo":
        _refuse(data, ("spent_s",), "", schema=2)
        changed["spent_s"] = {}
    if kind is not Record:
        return changed
    measurement = data.get("measurement")
    if isinstance(measurement, dict):
        changed["measurement"] = _measurement_3(measurement)
    if isinstance(data.get("ceilings"), dict):
        changed["ceilings"] = _ceilings_3(data["ceilings"], ".ceilings")
    return changed


def _measurement_3(old: Json) -> Json:
    _refuse(old, (*_ADDED_3, "conditions"), ".measurement", schema=2)
    for name in ("state_before", "state_after", "operators"):
        if name not in old:
            raise SpecError(f".measurement.{name}: missing")
    if old["operators"] is not None:
        raise SpecError(".measurement.operators: null is needed, for nothing was attributed in schema 2")
    before, after = old["state_before"], old["state_after"]
    if (before is None) != (after is None):
        raise SpecError(".measurement.state_after: given or null as state_before is")
    conditions = None
    if before is not None:
        conditions = {"before": before, "during": [], "after": after, "observed_s": 0.0}
        unknown = (
            "slowed_s",
            "foreign",
            "memory_at_start_bytes",
            "memory_clock_max_mhz",
            "persistence",
            "pcie",
        )
        conditions |= dict.fromkeys(unknown)
    gone = ("state_before", "state_after", "operators")
    return {name: value for name, value in old.items() if name not in gone} | {
        **_ADDED_3,
        "conditions": conditions,
    }


def _ceilings_3(old: Json, where: str) -> Json:
    _refuse(old, ("event_resolution_s",), where, schema=2)
    return {**old, "event_resolution_s": None}


def _baseline_3(old: Json) -> Json:
    _refuse(old, ("kernels",), "", schema=2)
    changed = {**old, "kernels": None}
    sessions = old.get("sessions")
    if isinstance(sessions, list) and all(isinstance(s, dict) for s in sessions):
        for number, session in enumerate(sessions):
            _refuse(session, ("counts", "ceilings"), f".sessions[{number}]", schema=2)
        changed["sessions"] = [{**session, "counts": None, "ceilings": None} for session in sessions]
    return changed


def _refuse(old: Json, names: Iterable[str], where: str, *, schema: int) -> None:
    """Fields that `schema` did not have."""
    for name in names:
        if name in old:
            raise SpecError(f"{where}.{name}: no such field in schema {schema}")


def _to_4(kind: type, data: Json) -> Json:
    """Measurements with the time for which the device was held: in schema 3 some were,
    for a time that nobody wrote down."""
    measurement = _measurement(kind, data)
    if measurement is None:
        return data
    _refuse(measurement, ("hold_s",), ".measurement", schema=3)
    return {**data, "measurement": {**measurement, "hold_s": None}}


def _to_5(kind: type, data: Json) -> Json:
    """Measurements with the SM clock that the device was held at, and conditions with
    the highest it is said to have."""
    measurement = _measurement(kind, data)
    if measurement is None:
        return data
    _refuse(measurement, ("held_clock_mhz",), ".measurement", schema=4)
    changed = {**measurement, "held_clock_mhz": None}
    conditions = measurement.get("conditions")
    if isinstance(conditions, dict):
        _refuse(conditions, ("sm_clock_max_mhz",), ".measurement.conditions", schema=4)
        changed["conditions"] = {**conditions, "sm_clock_max_mhz": None}
    return {**data, "measurement": changed}


# What is promised where nothing else is declared.
_PROMISE_6: Json = {"device": 0.01, "wall": None}
_ORIGIN_6 = ("anchor", "previous", "by", "reason")


def _to_6(kind: type, data: Json) -> Json:
    """Cases with what they promise to catch; baselines with where they come from; verdicts
    with what would have been seen."""
    changed = dict(data)
    if kind is Record:
        changed = dict(_promising(data, ""))
    if kind.__name__ == "RunInfo" and isinstance(data.get("planned"), list):
        changed["planned"] = [
            _promising(planned, f".planned[{number}]") for number, planned in enumerate(data["planned"])
        ]
    if kind.__name__ == "Baseline":
        _refuse(data, _ORIGIN_6, "", schema=5)
        changed |= dict.fromkeys(_ORIGIN_6)
    if kind.__name__ == "Verdicts":
        _refuse(data, ("shift",), "", schema=5)
        changed["shift"] = None
        if isinstance(data.get("verdicts"), list):
            changed["verdicts"] = [
                _seeing(verdict, f".verdicts[{number}]") for number, verdict in enumerate(data["verdicts"])
            ]
    return changed


def _promising(holder: Any, where: str) -> Any:
    """What holds a case, with a promise in it. What is no object is refused with all other fields."""
    if not isinstance(holder, dict) or not isinstance(holder.get("case"), dict):
        return holder
    _refuse(holder["case"], ("promise",), f"{where}.case", schema=5)
    return {**holder, "case": {**holder["case"], "promise": dict(_PROMISE_6)}}


def _seeing(verdict: Any, where: str) -> Any:
    if not isinstance(verdict, dict):
        return verdict
    _refuse(verdict, ("for_all", "sees_device", "sees_wall"), where, schema=5)
    return {**verdict, "for_all": False, "sees_device": None, "sees_wall": None}


def _measurement(kind: type, data: Json) -> Json | None:
    """A record's; None of what is no object, which is refused with all other fields."""
    measurement = data.get("measurement")
    return measurement if kind is Record and isinstance(measurement, dict) else None


_STEPS: Mapping[int, Callable[[type, Json], Json]] = {1: _to_2, 2: _to_3, 3: _to_4, 4: _to_5, 5: _to_6}


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
