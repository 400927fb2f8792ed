"""Attention that never writes its scores, where transformers' choice does."""

from collections.abc import Mapping
from dataclasses import replace

from analytic.attention import Resolution
from analytic.eager.model import resolutions
from analytic.errors import SpecError
from analytic.estimate import PACES, Interval, typical_ceilings
from analytic.gpus import GpuSpec
from analytic.layers import Attention
from analytic.passes import Pass, case_pass
from analytic.whatif.memory import refusal
from analytic.whatif.option import Option, floored, foretold, impossible
from analytic.whatif.present import Present
from analytic.whatif.run import Run

# Tried in this order: what cannot run the attention is passed over.
FUSED = ("flash", "efficient")


def flash(now: Present) -> list[Option]:
    """None where the attention is fused already, or nothing can be estimated."""
    if now.gpu is None or not now.estimated:
        return []
    shape = case_pass(now.case)
    chosen = resolutions(now.model, shape, now.precision, now.gpu, "auto")
    why = "; ".join(dict.fromkeys(found.reason for found in chosen.values() if found.materialised))
    if not why:
        return []
    refused: list[str] = []
    for backend in FUSED:
        try:
            resolved = resolutions(now.model, shape, now.precision, now.gpu, backend)
            run = now.eager(now.case, attention=backend)
        except SpecError as error:
            refused.append(str(error).removeprefix(f"--attention {backend}: "))
            continue
        unfit = refusal(now, now.case, attention=backend)
        if unfit:
            return [impossible(f"{backend} attention", None, unfit)]
        return [_option(now, now.gpu, backend, _repeated(now, now.gpu, shape, resolved, run), why)]
    return [impossible("flash attention", None, f"{why}; {refused[-1]}")]


def _option(now: Present, gpu: GpuSpec, backend: str, run: Run, why: str) -> Option:
    reason = f"transformers chooses {why}, which writes its scores to memory; {backend} attention never does"
    if backend == "efficient":
        older = "" if gpu.has_flash_attention else f"; {gpu.key} has no flash attention"
        reason += (
            f"{older}; transformers takes it where keys and values are repeated for all heads "
            "(use_gqa_in_sdpa made to answer no, transformers#48633) or a padding mask is given"
        )
    return foretold(now, f"{backend} attention", None, run, reason + floored(now, run))


def _repeated(
    now: Present, gpu: GpuSpec, shape: Pass, resolved: Mapping[Attention, Resolution], run: Run
) -> Run:
    """With keys and values copied out to all heads, which SDPA's memory-efficient
    kernel needs. Newer releases of transformers (pack_gqa) spare it for one query:
    then the low end of the interval is without."""
    reached = now.ceilings or typical_ceilings(gpu)
    extra_s, launches = 0.0, 0
    for stack in now.model.stacks:
        attention = stack.layer.attention
        found = resolved[attention]
        ratio = attention.n_heads / attention.cached_heads
        plain = found.backend == "flash" and not attention.broadcast
        if ratio == 1 or found.repeats or plain:
            continue
        kept = shape.batch * shape.attended(attention) * attention.cached_elements * now.precision.kv_bytes
        copied_s = (1 + ratio) * kept / PACES["copy"].dram
        extra_s += stack.count * (copied_s + (ratio - 1) * kept / PACES["attention"].dram)
        launches += 2 * stack.count
    extra_s = extra_s / reached.copy_bytes_per_s + launches * PACES["copy"].fixed_s
    low_s = run.device.low_s + (0.0 if shape.new_tokens == 1 else extra_s)
    device = Interval(
        low_s=low_s, typical_s=run.device.typical_s + extra_s, high_s=run.device.high_s + extra_s
    )
    return replace(run, device=device, launches=run.launches + launches)
