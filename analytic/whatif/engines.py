"""Engines that launch a step at once: CUDA graphs of the same kernels, a compiler."""

from dataclasses import replace

from analytic import text
from analytic.counting import case_costs
from analytic.gpus import GpuSpec
from analytic.whatif.fused import bitsandbytes_s, fused_s
from analytic.whatif.memory import refusal
from analytic.whatif.option import Option, foretold, impossible
from analytic.whatif.present import Present
from analytic.whatif.run import Run, around, eager_estimate, unproven_width

GRAPHS, COMPILED = "CUDA graphs", "compiled engine"


def engines(now: Present) -> list[Option]:
    """None on a CPU, which has nothing to launch."""
    if now.gpu is None or now.case.engine != "eager":
        return []
    unfit = refusal(now, now.case)
    if unfit:
        return [impossible(name, None, unfit) for name in (GRAPHS, COMPILED)]
    return [_graphs(now), *([_compiled(now, now.gpu)] if now.estimated else [])]


def _graphs(now: Present) -> Option:
    """The same kernels, launched at once."""
    wall = text.seconds(now.wall_s)
    if not now.timed:
        return impossible(GRAPHS, None, "neither an estimate nor a measurement: launches are not known")
    if now.device_s is None:
        return impossible(GRAPHS, None, f"no device time to hold against the wall of {wall}")
    # The same kernels take what they were seen to take.
    device = now.run.device if now.observation is None else around(now.run.device.typical_s, 0.0)
    run = replace(now.run, device=device, launches=0)
    kernels = text.seconds(now.device_s)
    if not now.launch_bound:
        reason = f"the kernels run for {kernels} of the wall of {wall}: hardly a launch is waited for"
    else:
        reason = (
            f"the kernels need {kernels} of the wall of {wall}: the rest is waiting for launches. "
            "A graph launches all at once; it needs a static cache"
        )
    return foretold(now, GRAPHS, None, run, reason)


def _compiled(now: Present, gpu: GpuSpec) -> Option:
    (cost,) = case_costs(now.model, now.case, now.precision)
    eager = eager_estimate(now.model, now.case, gpu, now.ceilings)
    kept = bitsandbytes_s(now.model, now.precision, eager.operators)
    device_s = fused_s(cost, gpu, now.ceilings, kept=kept)
    run = Run(
        lower_s=now.run.lower_s,
        device=around(device_s, unproven_width(gpu)),
        launches=0,
        tokens=now.run.tokens,
    )
    reason = (
        f"a kernel for each operator, {text.scaled(cost.fused_bytes, 'B')} of fused traffic at the read ceiling, "
        "launched as one graph (torch.compile and a static cache)"
    )
    if kept:
        reason += "; the kernels of bitsandbytes stay"
    return foretold(now, COMPILED, None, run, reason)
