"""What Nsight Compute watches: one step of each case, every kernel in a named range.

Started by dram_counters.py under ncu; alone it runs the same steps unseen.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from analytic import Case, find_precision
from analytic.config_file import find_config, read_config, read_file

#: Ranges that dram_counters.py reads back: the case outside, the operator inside.
CASE, OPERATOR = "roofgate-case", "roofgate-operator"

WARMUPS = 2

# Where a decoder's own kernels go, by the name of the module that runs them.
_CONTAINERS = {
    "self_attn": "attention",
    "self_attention": "attention",
    "attention": "attention",
    "attn": "attention",
    "mlp": "act_fn",
    "act": "act_fn",
    "act_fn": "act_fn",
    "embed_in": "embed_tokens",
    "wte": "embed_tokens",
    "word_embeddings": "embed_tokens",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--cases", required=True, help="case ids, with commas; sorted by precision")
    options = parser.parse_args(arguments)
    run(options.model, options.layers, options.cases.split(","))
    return 0


def cut_config(model: str, layers: int | None) -> dict[str, Any]:
    """The config of `model` with no more than so many layers."""
    config = read_file(find_config(model))
    name = "n_layer" if "n_layer" in config else "num_hidden_layers"
    return config if layers is None else config | {name: min(layers, config[name])}


def run(model_name: str, layers: int | None, case_ids: Sequence[str]) -> None:
    """One profiled step of each case, after two that are not."""
    import torch

    from perf_tests.device import CudaDevice
    from perf_tests.engines.eager import prepare
    from perf_tests.random_weights import build

    device = CudaDevice()
    config = cut_config(model_name, layers)
    spec = read_config(config, name=model_name, source=model_name)
    loaded, model = None, None
    for case_id in case_ids:
        case = Case.parse(case_id, model=model_name)
        if case.precision != loaded:
            model = None
            torch.cuda.empty_cache()
            model = build(config, find_precision(case.precision), device.torch_device)
            name_ranges(model)
            loaded = case.precision
        step = prepare(model, spec, case, device)
        with torch.inference_mode():
            for _ in range(WARMUPS):
                step.reset()
                step.run()
            step.reset()
            device.synchronise()
            torch.cuda.cudart().cudaProfilerStart()
            torch.cuda.nvtx.range_push(f"{CASE}={case.id}")
            step.run()
            device.synchronise()
            torch.cuda.nvtx.range_pop()
            torch.cuda.cudart().cudaProfilerStop()


def name_ranges(model: Any) -> None:
    """Opens a range around each module's forward, of its operator's name."""
    import torch

    nvtx = torch.cuda.nvtx
    for name, module in model.named_modules():
        if not name:
            continue
        operator = operator_of(name.rpartition(".")[2], type(module).__name__)

        def opened(*_: Any, operator: str = operator) -> None:
            nvtx.range_push(f"{OPERATOR}={operator}")

        def closed(*_: Any) -> None:
            nvtx.range_pop()

        module.register_forward_pre_hook(opened)
        module.register_forward_hook(closed)


def operator_of(name: str, kind: str) -> str:
    """The operator of a module of that name and class."""
    if name.isdigit():
        return "residual"  # a layer's own kernels are its additions
    if "Norm" in kind:
        return "norms"
    return _CONTAINERS.get(name, name)


if __name__ == "__main__":
    raise SystemExit(main())
