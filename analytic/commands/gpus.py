"""python -m analytic gpus: the registry of GPUs."""

import argparse
import json

from analytic.commands import Subparsers
from analytic.gpu_file import PEAKS
from analytic.gpus import registry


def add(commands: Subparsers) -> None:
    gpus = commands.add_parser("gpus", help="the registry of GPUs")
    gpus.add_argument("--json", action="store_true", help="one JSON list, SI units")
    gpus.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    if options.json:
        rows = [
            {
                "key": gpu.key,
                "torch_names": list(gpu.torch_names),
                "arch": gpu.arch,
                "compute_capability": list(gpu.compute_capability),
                "sm_count": gpu.sm_count,
                "memory_bytes": gpu.memory_bytes,
                "usable_bytes": gpu.usable_bytes,
                "bytes_per_s": gpu.bytes_per_s,
                "l2_bytes": gpu.l2_bytes,
                "flops_per_s": dict(gpu.flops_per_s),
                "source": gpu.source,
                "note": gpu.note,
            }
            for gpu in registry()
        ]
        print(json.dumps(rows, indent=2))
        return
    print(f"{'key':<12} {'GB/s':>6} {'GB':>4} {'SMs':>4} " + " ".join(f"{d:>6}" for d in PEAKS) + "  name")
    for gpu in registry():
        peaks = " ".join(
            f"{gpu.flops_per_s[d] / 1e12:>6.4g}" if gpu.supports(d) else f"{'–':>6}" for d in PEAKS
        )
        print(
            f"{gpu.key:<12} {gpu.bytes_per_s / 1e9:>6.4g} {gpu.memory_bytes / 1e9:>4.3g} "
            f"{gpu.sm_count:>4} {peaks}  {', '.join(gpu.torch_names)}"
        )
    print("Peaks are dense, in TFLOP/s. A dash: the chip has no such units.")
