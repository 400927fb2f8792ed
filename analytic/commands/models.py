"""python -m analytic models: the presets."""

import argparse
import json

from analytic import load_model, preset_names
from analytic.commands import Subparsers
from analytic.models import ModelSpec


def add(commands: Subparsers) -> None:
    models = commands.add_parser("models", help="the presets")
    models.add_argument("--json", action="store_true", help="one JSON list")
    models.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    specs = [load_model(name) for name in preset_names()]
    if options.json:
        print(json.dumps([_as_json(spec) for spec in specs], indent=2))
        return
    print(f"{'name':<18} {'parameters':>15} {'per token':>15}  shapes")
    for spec in specs:
        active = f"{spec.active_param_count:,}" if spec.expert_params else "all"
        print(f"{spec.name:<18} {spec.param_count:>15,} {active:>15}  {spec.shapes}")
    print(
        "L layers, D width, E embedding's width or experts/of a token x width, F MLP, "
        "H heads/key-value heads x size, V vocabulary."
    )


def _as_json(spec: ModelSpec) -> dict[str, object]:
    """The sizes of a model, and kind by kind those of its layers. What is outside
    of "layers" holds for all of them, or is null."""
    dense = {stack.layer.dense.d_ff if stack.layer.dense else None for stack in spec.stacks}
    windows = {stack.layer.attention.window for stack in spec.stacks}
    return {
        "name": spec.name,
        "model_type": spec.model_type,
        "param_count": spec.param_count,
        "active_param_count": spec.active_param_count,
        "n_layers": spec.n_layers,
        "d_model": spec.d_model,
        "d_ff": dense.pop() if len(dense) == 1 else None,
        "n_heads": spec.attention.n_heads,
        "n_kv_heads": spec.attention.n_kv_heads,
        "d_head": spec.attention.d_qk,
        "sliding_window": windows.pop() if len(windows) == 1 else None,
        "vocab_size": spec.vocab_size,
        "tied_embeddings": spec.tied_embeddings,
        "shapes": spec.shapes,
        "layers": [
            {
                "count": stack.count,
                "param_count": stack.layer.params,
                "n_heads": stack.layer.attention.n_heads,
                "n_kv_heads": stack.layer.attention.n_kv_heads,
                "d_qk": stack.layer.attention.d_qk,
                "d_v": stack.layer.attention.d_v,
                "window": stack.layer.attention.window,
                "cached_elements_per_token": stack.layer.attention.cached_elements,
                "d_ff": stack.layer.dense.d_ff if stack.layer.dense else None,
                "n_experts": stack.layer.moe.n_experts if stack.layer.moe else None,
                "top_k": stack.layer.moe.top_k if stack.layer.moe else None,
                "d_expert": stack.layer.moe.d_expert if stack.layer.moe else None,
            }
            for stack in spec.stacks
        ],
    }
