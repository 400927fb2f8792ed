"""python -m analytic ceilings: what a machine was measured to reach, and of what."""

import argparse
import json
from dataclasses import dataclass

from analytic import text
from analytic.ceilings_file import read_ceilings
from analytic.commands import Subparsers
from analytic.errors import SpecError
from analytic.gpus import GpuSpec, find_gpu
from analytic.roofs import Ceilings


def add(commands: Subparsers) -> None:
    ceilings = commands.add_parser("ceilings", help="the measured ceilings of a run")
    ceilings.add_argument("file", metavar="FILE", help="a run's folder, its ceilings.json or a record")
    ceilings.add_argument("--gpu", help="hold them against this GPU (default: the one of the device's name)")
    ceilings.add_argument("--json", action="store_true", help="one JSON object, SI units")
    ceilings.set_defaults(run=run)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One ceiling beside its roof, in bytes/s or FLOP/s; None where there is no roof."""

    name: str
    unit: str
    reached: float
    roof: float | None

    @property
    def share(self) -> float | None:
        return None if self.roof is None else self.reached / self.roof


def run(options: argparse.Namespace) -> None:
    found = read_ceilings(options.file)
    gpu = find_gpu(options.gpu) if options.gpu else _by_name(found.device)
    lines = _lines(found, gpu)
    if options.json:
        print(json.dumps(_as_json(found, gpu, lines), indent=2))
        return
    print(f"{found.device}, measured, against {gpu.key} by datasheet" if gpu else f"{found.device}, measured")
    for line in lines:
        said = f"  {line.name:<10} {text.scaled(line.reached, line.unit):>14}"
        if line.roof is not None:
            said += f" {text.percent(line.share):>8} of {text.scaled(line.roof, line.unit)}"
        print(said)
    if found.launch_gap_s is not None:
        print(
            f"  {'launch gap':<10} {text.seconds(found.launch_gap_s):>14} of the host for each kernel launch"
        )
    if found.event_resolution_s is not None:
        said = text.seconds(found.event_resolution_s)
        print(f"  {'resolution':<10} {said:>14}, the smallest difference that the device's clock shows")
    if gpu is None:
        print("No GPU of the registry has this name: --gpu KEY holds them against one.")


def _by_name(device: str) -> GpuSpec | None:
    """The registry's GPU of that name; never a file, whatever the name says."""
    if device.casefold().endswith(".toml"):
        return None
    try:
        return find_gpu(device)
    except SpecError:
        return None


def _lines(found: Ceilings, gpu: GpuSpec | None) -> list[_Line]:
    memory = gpu.bytes_per_s if gpu else None
    peaks = gpu.flops_per_s if gpu else {}
    return [
        _Line(name="copy", unit="B/s", reached=found.copy_bytes_per_s, roof=memory),
        _Line(name="read", unit="B/s", reached=found.read_bytes_per_s, roof=memory),
        *(
            _Line(name=f"{dtype} gemm", unit="FLOP/s", reached=rate, roof=peaks.get(dtype))
            for dtype, rate in sorted(found.gemm_flops_per_s.items())
        ),
    ]


def _as_json(found: Ceilings, gpu: GpuSpec | None, lines: list[_Line]) -> dict[str, object]:
    """The ceilings as their file has them, and the shares by the same names."""
    copied, read, *gemm = (line.share for line in lines)
    return {
        "device": found.device,
        "gpu": gpu.key if gpu else None,
        "copy_bytes_per_s": found.copy_bytes_per_s,
        "read_bytes_per_s": found.read_bytes_per_s,
        "gemm_flops_per_s": dict(found.gemm_flops_per_s),
        "launch_gap_s": found.launch_gap_s,
        "event_resolution_s": found.event_resolution_s,
        "datasheet_shares": {
            "copy": copied,
            "read": read,
            "gemm": dict(zip(sorted(found.gemm_flops_per_s), gemm, strict=True)),
        },
    }
