"""From a preset's name, a config.json or a folder to a ModelSpec."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analytic.errors import SpecError, unknown
from analytic.families import FAMILIES
from analytic.fields import Fields
from analytic.models import ModelSpec
from analytic.small_file import shown

PRESETS = Path(__file__).parent / "presets"

# The largest published config.json has some 100 kB; weights have gigabytes.
LARGEST_FILE_BYTES = 10 * 2**20


def preset_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in PRESETS.glob("*.json")))


def find_config(model: str) -> Path:
    """The config.json that `model` means: a preset's name, a file or a folder.

    Raises SpecError where there is none.
    """
    if not model.strip():
        raise SpecError("the model is empty; a preset, a config.json or its folder is needed")
    path = Path(model)
    try:
        if path.name == model and (PRESETS / f"{model}.json").is_file():
            return PRESETS / f"{model}.json"
        if path.is_dir():
            if not (path / "config.json").is_file():
                raise SpecError(f"{path} is a folder without a config.json")
            return path / "config.json"
        if path.is_file():
            return path
    except OSError as error:  # a name that no file can have, a folder that may not be entered
        raise SpecError(
            f"model {shown(model)}: {error.strerror}; a preset or a config.json is needed"
        ) from error
    raise unknown("model (neither a preset nor a file)", model, preset_names())


def read_file(path: Path) -> dict[str, Any]:
    """The JSON object at `path`. Raises SpecError, naming the file, for one that
    is too large to be a config, cannot be read, or holds something else."""
    config: Any = None
    try:
        size = path.stat().st_size
        if size <= LARGEST_FILE_BYTES:
            config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # as json raises for any malformed text
        raise SpecError(f"{path}: not a readable config.json: {error}") from error
    if size > LARGEST_FILE_BYTES:
        raise SpecError(
            f"{path}: {size:,} bytes are no config.json (at most {LARGEST_FILE_BYTES:,}); "
            "give the config.json of the model, not its weights"
        )
    if not isinstance(config, dict):
        raise SpecError(f"{path}: a config.json holds an object, not a {type(config).__name__}")
    return config


def load_model(model: str) -> ModelSpec:
    """The shapes of `model`: a preset's name, a config.json or its folder.

    Raises SpecError for an unknown name, and for a file that is not a usable
    config, naming the file and the field.
    """
    path = find_config(model)
    name = path.resolve().parent.name if path.name == "config.json" else path.stem
    return read_config(read_file(path), name=name or "model", source=str(path))


def read_config(config: Mapping[str, Any], *, name: str, source: str) -> ModelSpec:
    """A transformers config as ModelSpec; `source` is named in errors.

    Raises SpecError for an unsupported model_type, with those that are, and for
    a field that is missing, of the wrong type, out of range or at odds with
    another. No type falls back on another's reading.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise SpecError(
            f"{source}: model_type {model_type!r} is not supported; supported: {', '.join(sorted(FAMILIES))}"
        )
    fields = Fields(config, source)
    if fields.has("quantization_config"):
        method = fields.table("quantization_config").word("quant_method", default="bitsandbytes")
        if method != "bitsandbytes":
            raise SpecError(
                f"{source}: quantization_config is of {shown(method)}, whose storage is not modelled; "
                "without the field the model is counted unquantised, or by --precision"
            )
    return FAMILIES[model_type](fields, name)
