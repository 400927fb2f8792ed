"""Which model is measured, and where its weights come from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analytic import ModelSpec, Precision, SpecError, find_config, load_model, read_config
from analytic.config_file import read_file
from perf_tests.hub_errors import advice
from perf_tests.quantisation import quantisation, torch_dtype
from perf_tests.random_weights import build

RANDOM = "random weights"
_WHAT_TO_GIVE = "Give a folder that holds config.json and *.safetensors, or a hub id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model's shapes and config, and its weights: `checkpoint` is None for
    random weights, else a hub id or a folder, at `revision` where one is named.
    Code that comes with it runs only where `trust_remote_code` is asked for."""

    spec: ModelSpec
    config: dict[str, Any]
    checkpoint: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False

    @property
    def label(self) -> str:
        """What a fingerprint says of the weights."""
        if self.checkpoint is None:
            return RANDOM
        return f"{self.checkpoint}@{self.revision}" if self.revision else self.checkpoint


def random_source(model: str) -> Source:
    """A preset's name, a config.json or its folder. Raises SpecError."""
    spec = load_model(model)
    return Source(spec=spec, config=read_file(find_config(model)))


def model_name(checkpoint: str) -> str:
    """What a checkpoint's model is called in ids and folders: the last part of a
    hub id or of a folder's full path."""
    place = Path(_split(checkpoint)[0])
    return (place.resolve() if place.is_dir() else place).name.lower()


def _split(name: str) -> tuple[str, str | None]:
    """The checkpoint and its revision; a folder may have an "@" in its path."""
    if Path(name).is_dir():
        return name, None
    checkpoint, at, revision = name.rpartition("@")
    return (checkpoint, revision or None) if at else (name, None)


def checkpoint_source(name: str, *, trust_remote_code: bool = False) -> Source:
    """A hub id or a folder, optionally with @REVISION; reads its config only.

    Raises SpecError where there is no such checkpoint or this machine may not
    have it, with what to do. It never falls back to random weights.
    """
    checkpoint, revision = _split(name)
    _require_folder(name, checkpoint)
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            checkpoint, revision=revision, trust_remote_code=trust_remote_code
        ).to_dict()
    except (OSError, ValueError, ImportError, StrictDataclassError) as error:
        raise _refusal(name, error) from error
    return Source(
        spec=read_config(config, name=model_name(name), source=f"{checkpoint}/config.json"),
        config=config,
        checkpoint=str(Path(checkpoint).resolve()) if Path(checkpoint).is_dir() else checkpoint,
        revision=revision,
        trust_remote_code=trust_remote_code,
    )


def _refusal(name: str, error: Exception) -> SpecError:
    checkpoint, revision = _split(name)
    return SpecError(f"--perf-checkpoint {name}: {_said(error)}. {advice(error, checkpoint, revision)}")


def _said(error: Exception) -> str:
    """An error's message in one line. Those of files go on with advice of their own;
    those of packages and fields name them only further down."""
    lines = str(error).strip().splitlines()
    if isinstance(error, OSError | ValueError):
        lines = lines[:1]
    said = " ".join(line.strip() for line in lines).rstrip(".: ")
    return said or f"{type(error).__name__} without a word"


def _require_folder(name: str, checkpoint: str) -> None:
    """What is plainly meant as a folder is not looked for on the hub."""
    folder = Path(checkpoint)
    if folder.is_dir():
        lacking = next((p for p in ("config.json", "*.safetensors") if not any(folder.glob(p))), None)
        if lacking:
            raise SpecError(f"--perf-checkpoint {name}: the folder holds no {lacking}. {_WHAT_TO_GIVE}")
    elif checkpoint.startswith((".", "/", "~")) or checkpoint.count("/") > 1:
        raise SpecError(f"--perf-checkpoint {name}: there is no such folder. {_WHAT_TO_GIVE}")


def load(source: Source, precision: Precision, device: str) -> Any:
    """The model, ready to run on `device` ("cuda:0", "cpu"), in eval mode.

    Raises SpecError for a checkpoint that cannot be had, with what to do, and for
    a config with a field of the wrong type or a name that transformers does not know.
    """
    model = (
        _made(source, precision, device) if source.checkpoint is None else _loaded(source, precision, device)
    )
    model.eval()
    return model


def _made(source: Source, precision: Precision, device: str) -> Any:
    from huggingface_hub.errors import StrictDataclassError

    try:
        return build(source.config, precision, device)
    except StrictDataclassError as error:
        raise SpecError(f"{source.spec.name}: {_said(error)}. Correct its config.json") from error
    except KeyError as error:  # an activation, a kind of rope: looked up by name
        raise SpecError(f"{source.spec.name}: transformers: {error}. Correct its config.json") from error


def _loaded(source: Source, precision: Precision, device: str) -> Any:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(
            source.checkpoint,
            revision=source.revision,
            dtype=torch_dtype(precision.model),
            device_map={"": device},
            quantization_config=quantisation(precision),
            attn_implementation="sdpa",
            use_safetensors=True,
            trust_remote_code=source.trust_remote_code,
        )
    except (OSError, ValueError, ImportError, StrictDataclassError) as error:
        if isinstance(error, ValueError) and "trust_remote_code" not in str(error):
            raise
        raise _refusal(source.label, error) from error
