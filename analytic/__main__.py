"""python -m analytic bounds | gpus | models: the model at the command line."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from analytic import text
from analytic.bound import Bound, pass_bound
from analytic.case import Phase
from analytic.cost import Cost, pass_cost
from analytic.errors import SpecError, unknown
from analytic.gpus import GpuSpec, find_gpu, registry
from analytic.models import ModelSpec, load_model, preset_names
from analytic.precision import PRECISIONS, find_precision


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Bad input prints one line to stderr and returns 2."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except SpecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader (head, less) has seen enough
        # What is left in the buffer would raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analytic", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    bounds = commands.add_parser("bounds", help="the roofline bound of one forward pass")
    bounds.add_argument("model", metavar="MODEL", help="a preset, a config.json or its folder")
    bounds.add_argument("--gpu", required=True, help="a key (t4, h100-sxm) or torch's name for it")
    bounds.add_argument("--phase", required=True, help="prefill or decode")
    bounds.add_argument("--batch", type=int, default=1, help="sequences (default: 1)")
    bounds.add_argument("--prompt", type=int, metavar="N", help="prefill: prompt length in tokens")
    bounds.add_argument("--context", type=int, metavar="N", help="decode: tokens cached before the step")
    bounds.add_argument("--precision", default="fp16", help=" | ".join(PRECISIONS) + " (default: fp16)")
    bounds.add_argument("--compute", metavar="DTYPE", help="dtype of the products (default: by precision)")
    bounds.add_argument("--kv", metavar="DTYPE", help="dtype of the KV cache (default: by precision)")
    bounds.add_argument("--logits", default="last", help="last (as generate() does) or all")
    bounds.add_argument("--json", action="store_true", help="one JSON object, SI units")
    bounds.set_defaults(run=_bounds)

    gpus = commands.add_parser("gpus", help="the registry of GPUs")
    gpus.add_argument("--json", action="store_true")
    gpus.set_defaults(run=_gpus)

    models = commands.add_parser("models", help="the presets")
    models.add_argument("--json", action="store_true")
    models.set_defaults(run=_models)
    return parser


def _bounds(options: argparse.Namespace) -> None:
    model, gpu = load_model(options.model), find_gpu(options.gpu)
    precision = find_precision(options.precision, compute=options.compute, kv=options.kv)
    # A KV cache in a dtype without units would be converted at every step.
    for dtype in precision.dtypes:
        gpu.require(dtype)
    new_tokens, context_len = _tokens(options)
    cost = pass_cost(
        model,
        batch=options.batch,
        new_tokens=new_tokens,
        context_len=context_len,
        precision=precision,
        logits=options.logits,
    )
    bound = pass_bound(cost, gpu.roofs)
    if options.json:
        print(json.dumps(_bounds_json(options, model, gpu, cost, bound), indent=2))
    else:
        _print_bounds(options, model, gpu, cost, bound)


def _tokens(options: argparse.Namespace) -> tuple[int, int]:
    """(new tokens, cached tokens) per sequence; raises SpecError if they are not given."""
    if options.phase == Phase.PREFILL:
        if options.prompt is None or options.context is not None:
            raise SpecError("--phase prefill takes --prompt N (tokens), and no --context")
        return options.prompt, 0
    if options.phase == Phase.DECODE:
        if options.context is None or options.prompt is not None:
            raise SpecError("--phase decode takes --context N (cached tokens), and no --prompt")
        return 1, options.context
    raise unknown("phase", options.phase, (Phase.PREFILL, Phase.DECODE))


def _bounds_json(
    options: argparse.Namespace, model: ModelSpec, gpu: GpuSpec, cost: Cost, bound: Bound
) -> dict[str, object]:
    return {
        "model": model.name,
        "gpu": gpu.key,
        "phase": options.phase,
        "batch": cost.batch,
        "new_tokens": cost.new_tokens,
        "context_len": cost.context_len,
        "precision": options.precision,
        "logits": options.logits,
        "flops": cost.flops,
        "bytes": cost.bytes,
        "intensity": cost.intensity,
        "ridge_point": bound.ridge_point,
        "compute_s": bound.compute_s,
        "memory_s": bound.memory_s,
        "lower_s": bound.lower_s,
        "serial_s": bound.serial_s,
        "limiter": bound.limiter,
        "param_count": model.param_count,
        "weight_traffic_bytes": cost.weight_bytes,
        "kv_traffic_bytes": cost.kv_bytes,
        "operators": [
            {
                "name": op.name,
                "count": op.count,
                "flops": op.flops,
                "bytes": op.bytes,
                "weight_bytes": op.weight_bytes,
                "kv_bytes": op.kv_bytes,
            }
            for op in cost.operators
        ],
    }


def _print_bounds(
    options: argparse.Namespace, model: ModelSpec, gpu: GpuSpec, cost: Cost, bound: Bound
) -> None:
    tokens = f"{cost.new_tokens} new on {cost.context_len} cached"
    print(f"{model.name} on {gpu.key}: {options.phase}, batch {cost.batch}, {tokens}, {options.precision}")
    rate = bound.attainable_flops_per_s
    for name, value in (
        ("FLOPs", text.scaled(cost.flops, "FLOP")),
        (
            "bytes",
            (
                f"{text.scaled(cost.bytes, 'B')} (weights {text.scaled(cost.weight_bytes, 'B')}, "
                f"KV {text.scaled(cost.kv_bytes, 'B')})"
            ),
        ),
        ("intensity", f"{cost.intensity:.1f} FLOP/B (ridge point {bound.ridge_point:.1f})"),
        ("compute", text.seconds(bound.compute_s)),
        ("memory", text.seconds(bound.memory_s)),
        (
            "lower bound",
            f"{text.seconds(bound.lower_s)}, {bound.limiter}-bound, {text.scaled(rate, 'FLOP/s')} attainable",
        ),
        ("serial bound", text.seconds(bound.serial_s)),
    ):
        print(f"  {name:<13} {value}")
    print(f"\n  {'operator':<13} {'count':>5}  {'FLOPs':>12}  {'bytes':>12}")
    for op in cost.operators:
        print(
            f"  {op.name:<13} {op.count:>5}  {text.scaled(op.flops, 'FLOP'):>12}"
            f"  {text.scaled(op.bytes, 'B'):>12}"
        )


def _gpus(options: argparse.Namespace) -> None:
    if options.json:
        rows = [
            {
                "key": gpu.key,
                "torch_names": list(gpu.torch_names),
                "arch": gpu.arch,
                "compute_capability": list(gpu.compute_capability),
                "sm_count": gpu.sm_count,
                "memory_bytes": gpu.memory_bytes,
                "bytes_per_s": gpu.bytes_per_s,
                "l2_bytes": gpu.l2_bytes,
                "flops_per_s": dict(gpu.flops_per_s),
                "source": gpu.source,
            }
            for gpu in registry()
        ]
        print(json.dumps(rows, indent=2))
        return
    dtypes = ("fp32", "fp16", "bf16", "int8")
    print(f"{'key':<12} {'GB/s':>6} {'GB':>4} {'SMs':>4} " + " ".join(f"{d:>6}" for d in dtypes) + "  name")
    for gpu in registry():
        peaks = " ".join(
            f"{gpu.flops_per_s[d] / 1e12:>6.4g}" if gpu.supports(d) else f"{'–':>6}" for d in dtypes
        )
        print(
            f"{gpu.key:<12} {gpu.bytes_per_s / 1e9:>6.4g} {gpu.memory_bytes / 1e9:>4.3g} "
            f"{gpu.sm_count:>4} {peaks}  {', '.join(gpu.torch_names)}"
        )
    print("Peaks are dense, in TFLOP/s. A dash: the chip has no such units.")


def _models(options: argparse.Namespace) -> None:
    specs = [load_model(name) for name in preset_names()]
    if options.json:
        rows = [
            {
                "name": m.name,
                "param_count": m.param_count,
                "n_layers": m.n_layers,
                "d_model": m.d_model,
                "d_ff": m.d_ff,
                "n_heads": m.n_heads,
                "n_kv_heads": m.n_kv_heads,
                "d_head": m.d_head,
                "vocab_size": m.vocab_size,
                "sliding_window": m.sliding_window,
            }
            for m in specs
        ]
        print(json.dumps(rows, indent=2))
        return
    for m in specs:
        window = f", window {m.sliding_window}" if m.sliding_window else ""
        print(
            f"{m.name:<18} {m.param_count:>13,} parameters, {m.n_layers} layers, d_model {m.d_model}, "
            f"{m.n_heads}/{m.n_kv_heads} heads of {m.d_head}, vocabulary {m.vocab_size}{window}"
        )


if __name__ == "__main__":
    sys.exit(main())
