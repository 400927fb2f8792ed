"""Other weights: the fastest 16-bit type and what bitsandbytes stores, run eagerly."""

from collections.abc import Mapping
from dataclasses import replace

from analytic import text
from analytic.cost import total_bytes
from analytic.counting import case_costs
from analytic.gpus import GpuSpec
from analytic.precision import QUANTISED, Precision, find_precision
from analytic.roofs import Roofs
from analytic.whatif.memory import refusal
from analytic.whatif.option import Option, floored, foretold, impossible
from analytic.whatif.present import Present

HALVES = ("fp16", "bf16")


def formats(now: Present) -> list[Option]:
    own = now.case.precision
    half = [] if own in HALVES else [fastest_half(now.roofs)]
    return [_format(now, name) for name in (*half, *QUANTISED) if name != own]


def fastest_half(roofs: Roofs) -> str:
    """fp16 and bf16 move the same bytes: the one whose units are faster."""
    known = [dtype for dtype in HALVES if dtype in roofs.flops_per_s]
    return max(known, key=roofs.peak) if known else HALVES[0]


def missing_dtype(precision: Precision, flops_per_s: Mapping[str, float]) -> str | None:
    """The first dtype of a precision that a machine has no units for."""
    return next((dtype for dtype in precision.dtypes if dtype not in flops_per_s), None)


def no_units(dtype: str, gpu: GpuSpec | None, roofs: Roofs) -> str:
    return f"{gpu.key} has no {dtype} units" if gpu else f"no {dtype} compute roof ({roofs.label})"


def _format(now: Present, name: str) -> Option:
    case, label, precision = replace(now.case, precision=name), f"{name} weights", find_precision(name)
    missing = missing_dtype(precision, now.roofs.flops_per_s)
    if missing:
        return impossible(label, case, no_units(missing, now.gpu, now.roofs))
    refused = refusal(now, case)
    if refused:
        return impossible(label, case, refused)
    run = now.eager(case)
    here = total_bytes(case_costs(now.model, now.case, now.precision))
    there = total_bytes(case_costs(now.model, case, precision))
    reason = f"{text.scaled(there, 'B')} to move instead of {text.scaled(here, 'B')}"
    if name in QUANTISED:
        reason += _kernels(now, run.launches)
    return foretold(now, label, case, run, reason + floored(now, run))


def _kernels(now: Present, launches: float) -> str:
    if not now.estimated:
        return "; by the bound: the kernels of bitsandbytes may not reach it"
    if launches > now.run.launches:
        return f"; the host works as for {launches:,.0f} launches instead of {now.run.launches:,.0f}"
    return "; with the kernels of bitsandbytes"
