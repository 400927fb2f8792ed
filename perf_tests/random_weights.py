"""Random weights of the true shapes, made on the device in seconds.

The same modules, dtypes and storage as from_pretrained gives, and so the same
speed; no download. Normally distributed, never zeros: constant data draws less
power and runs faster under a power cap.
"""

from collections.abc import Mapping
from typing import Any

from analytic import Precision
from perf_tests.quantisation import quantisation, torch_dtype

SEED = 20261122


def build(config: Mapping[str, Any], precision: Precision, device: str) -> Any:
    """A causal LM of that config with random weights. The same seed gives the
    same weights on the same kind of device."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    known = {key: value for key, value in config.items() if key != "model_type"}
    settings = AutoConfig.for_model(config["model_type"], **known)
    quantiser = quantisation(precision)
    torch.manual_seed(SEED)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            settings, dtype=torch_dtype(precision.model), attn_implementation="sdpa"
        )
        if quantiser is not None:
            _quantise_modules(model, quantiser)
    with torch.no_grad():
        for module in model.modules():
            if quantiser is not None and _is_quantised(module):
                _fill_quantised(module, std=_std(settings), dtype=model.dtype, device=device)
            else:
                module.to_empty(device=device, recurse=False)
                model._init_weights(module)
    model.tie_weights()
    return model


def _quantise_modules(model: Any, quantiser: Any) -> None:
    """Replaces linears by bitsandbytes', all but those that it leaves alone."""
    from transformers.integrations.bitsandbytes import replace_with_bnb_linear
    from transformers.quantizers.base import get_keys_to_not_convert

    replace_with_bnb_linear(
        model,
        modules_to_not_convert=get_keys_to_not_convert(model),
        quantization_config=quantiser,
    )


def _std(settings: Any) -> float:
    """How widely a config has its weights drawn, by any of its names; as
    transformers has it where it says nothing."""
    names = ("initializer_range", "init_std")
    return next((getattr(settings, name) for name in names if getattr(settings, name, None)), 0.02)


def _is_quantised(module: Any) -> bool:
    import bitsandbytes

    return isinstance(module, bitsandbytes.nn.Linear4bit | bitsandbytes.nn.Linear8bitLt)


def _fill_quantised(module: Any, *, std: float, dtype: Any, device: str) -> None:
    """Draws one weight in full and lets bitsandbytes store it, as from_pretrained
    does: no more than one matrix is ever held in 16 bit."""
    import torch

    shape = (module.out_features, module.in_features)
    weight = torch.empty(shape, dtype=dtype, device=device).normal_(0, std)
    settings = dict(module.weight.__dict__)
    settings.pop("SCB", None)
    module.weight = type(module.weight)(weight, requires_grad=False, **settings).to(device)
    if module.bias is not None:
        module.bias = torch.nn.Parameter(torch.zeros(shape[0], dtype=dtype, device=device))
