"""python -m analytic bounds: what a pass must cost, and what eager execution will."""

import argparse
import json
from dataclasses import dataclass

from analytic import text
from analytic.bound import Bound, pass_bound
from analytic.case import Phase
from analytic.commands import Subparsers
from analytic.commands.arguments import Asked, add_case, add_details, own_ceilings, read_all
from analytic.cost import LOGITS, Cost, Pass, pass_cost
from analytic.errors import SpecError
from analytic.estimate import LAUNCH_GAP_S, Estimate, estimate
from analytic.generation import Generation, generation_bound
from analytic.regime import Limits, operator_limits, pass_limits
from analytic.roofs import Ceilings
from analytic.traffic import MODELS, Traffic, traffic


def add(commands: Subparsers) -> None:
    bounds = commands.add_parser("bounds", help="the roofline bound of one forward pass")
    add_case(bounds)
    add_details(bounds)
    bounds.add_argument(
        "--logits", default="last", help=f"{' | '.join(LOGITS)} (default: last, as generate())"
    )
    bounds.add_argument(
        "--traffic",
        default="ideal",
        help=f"{' | '.join(MODELS)} (default: ideal, the bound; the others are estimates)",
    )
    bounds.add_argument("--l2", type=float, metavar="MIB", help="eager: the L2 cache (default: the GPU's)")
    bounds.add_argument("--causal", action="store_true", help="count only the scores that the mask leaves")
    bounds.add_argument("--absorbed", action="store_true", help="MLA absorbed, not expanded at every step")
    bounds.add_argument("--ceilings", metavar="FILE", help="measured ceilings for the estimates")
    bounds.add_argument("--json", action="store_true", help="one JSON object, SI units")
    bounds.set_defaults(run=run)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    asked: Asked
    logits: str
    cost: Cost
    bound: Bound
    traffic: Traffic
    estimate: Estimate | None
    no_estimate: str
    limits: Limits
    operators: dict[str, Limits]
    gap_s: float
    generation: Generation | None


def run(options: argparse.Namespace) -> None:
    answer = _answer(options)
    if options.json:
        print(json.dumps(_as_json(answer), indent=2))
    else:
        _print(answer)


def _answer(options: argparse.Namespace) -> _Answer:
    asked = read_all(options)
    ceilings = own_ceilings(options.ceilings, asked.gpu)
    if options.l2 is not None and not 0 <= options.l2 < 1e6:
        raise SpecError(f"--l2 is {options.l2}; a size in MiB is needed")
    if options.l2 is not None and options.traffic != "eager":
        raise SpecError("--l2 goes with --traffic eager: the other models know no cache")
    shape = asked.first_pass(options.logits)
    cost = pass_cost(
        asked.model,
        batch=shape.batch,
        new_tokens=shape.new_tokens,
        context_len=shape.context_len,
        precision=asked.precision,
        logits=shape.logits,
        causal=options.causal,
        absorbed=options.absorbed,
    )
    moved = traffic(
        options.traffic,
        asked.model,
        shape,
        asked.precision,
        asked.gpu,
        attention=asked.attention,
        l2_bytes=None if options.l2 is None else options.l2 * 2**20,
        bitsandbytes=asked.bitsandbytes,
    )
    guess, why_none = _estimated(asked, shape, ceilings)
    gap_s = (ceilings.launch_gap_s if ceilings else None) or LAUNCH_GAP_S
    roofs = asked.gpu.roofs
    generation = None
    if asked.case.phase is Phase.GENERATE:
        generation = generation_bound(
            asked.model,
            asked.case,
            asked.precision,
            roofs,
            causal=options.causal,
            absorbed=options.absorbed,
        )
    return _Answer(
        asked=asked,
        logits=shape.logits,
        cost=cost,
        bound=pass_bound(cost, roofs),
        traffic=moved,
        estimate=guess,
        no_estimate=why_none,
        limits=pass_limits(cost, roofs, overhead_s=guess.overhead_s if guess else 0.0),
        operators=operator_limits(cost, roofs, launches=_launches(guess), launch_gap_s=gap_s),
        gap_s=gap_s,
        generation=generation,
    )


def _estimated(asked: Asked, shape: Pass, ceilings: Ceilings | None) -> tuple[Estimate | None, str]:
    """The estimate, or why there is none: a GPU may have roofs and still not be one
    that eager execution is modelled for."""
    try:
        guess = estimate(
            asked.model,
            shape,
            asked.precision,
            asked.gpu,
            ceilings=ceilings,
            attention=asked.attention,
            bitsandbytes=asked.bitsandbytes,
        )
    except SpecError as error:
        if asked.attention != "auto":  # asked for by name: it must run
            raise
        return None, str(error)
    return guess, ""


def _launches(guess: Estimate | None) -> dict[str, int]:
    return {op.name: op.launches for op in guess.operators} if guess else {}


def _as_json(answer: _Answer) -> dict[str, object]:
    asked, cost, bound = answer.asked, answer.cost, answer.bound
    moved = {op.name: op for op in answer.traffic.operators}
    compulsory = {op.name: op for op in cost.operators}
    launches = _launches(answer.estimate)
    rows = []
    for name, limits in answer.operators.items():
        op, seen = compulsory.get(name), moved.get(name)
        rows.append(
            {
                "name": name,
                "count": op.count if op else 0,
                "flops": op.flops if op else 0,
                "bytes": op.bytes if op else 0,
                "weight_bytes": op.weight_bytes if op else 0,
                "kv_bytes": op.kv_bytes if op else 0,
                "traffic_bytes": seen.bytes if seen else 0,
                "launches": launches.get(name, 0),
                "compute_s": limits.compute_s,
                "memory_s": limits.memory_s,
                "overhead_s": limits.overhead_s,
                "regime": limits.regime,
            }
        )
    return {
        "model": asked.model.name,
        "gpu": asked.gpu.key,
        "phase": asked.case.phase.value,
        "batch": cost.batch,
        "new_tokens": cost.new_tokens,
        "context_len": cost.context_len,
        "precision": asked.precision.name,
        "logits": answer.logits,
        "flops": cost.flops,
        "bytes": cost.bytes,
        "intensity": cost.intensity,
        "ridge_point": bound.ridge_point,
        "compute_s": bound.compute_s,
        "memory_s": bound.memory_s,
        "lower_s": bound.lower_s,
        "serial_s": bound.serial_s,
        "limiter": bound.limiter,
        "param_count": asked.model.param_count,
        "weight_traffic_bytes": cost.weight_bytes,
        "kv_traffic_bytes": cost.kv_bytes,
        "traffic": {
            "model": answer.traffic.model,
            "bytes": answer.traffic.bytes,
            "read_bytes": answer.traffic.read_bytes,
            "written_bytes": answer.traffic.written_bytes,
            "resident": [{"tensor": name, "bytes": size} for name, size in answer.traffic.resident],
        },
        "attention": [{"backend": r.backend, "reason": r.reason} for r in answer.traffic.attention],
        "estimate": _estimate_json(answer),
        "regime": answer.limits.regime,
        "operators": rows,
        "generation": _generation_json(answer.generation),
    }


def _estimate_json(answer: _Answer) -> dict[str, object] | None:
    guess = answer.estimate
    if guess is None:
        return None
    return {
        "device_s": _interval(guess.device.low_s, guess.device.typical_s, guess.device.high_s),
        "wall_s": _interval(guess.wall.low_s, guess.wall.typical_s, guess.wall.high_s),
        "launches": guess.launches,
        "launch_gap_s": answer.gap_s,
        "overhead_s": guess.overhead_s,
        "host_s": guess.host_s,
        "basis": guess.basis,
    }


def _interval(low: float, typical: float, high: float) -> dict[str, float]:
    return {"low": low, "typical": typical, "high": high}


def _generation_json(generation: Generation | None) -> dict[str, object] | None:
    if generation is None:
        return None
    return {
        "prefill_s": generation.prefill.lower_s,
        "tpot_s": generation.tpot_s,
        "total_s": generation.total_s,
        "tokens_per_s": generation.tokens_per_s,
    }


def _print(answer: _Answer) -> None:
    asked, cost = answer.asked, answer.cost
    tokens = f"{cost.new_tokens} new on {cost.context_len} cached"
    phase = asked.case.phase.value
    print(
        f"{asked.model.name} on {asked.gpu.key}: {phase}, batch {cost.batch}, {tokens}, "
        f"{asked.precision.name}"
    )
    for name, value in (*_bound_lines(answer), *_traffic_lines(answer), *_estimate_lines(answer)):
        print(f"  {name:<15} {value}")
    _print_operators(answer)


def _bound_lines(answer: _Answer) -> list[tuple[str, str]]:
    cost, bound = answer.cost, answer.bound
    rate = text.scaled(bound.attainable_flops_per_s, "FLOP/s")
    lines = [
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
        ("lower bound", f"{text.seconds(bound.lower_s)}, {bound.limiter}-bound, {rate} attainable"),
        ("serial bound", text.seconds(bound.serial_s)),
    ]
    if answer.generation:
        whole = answer.generation
        prefill, step = text.seconds(whole.prefill.lower_s), text.seconds(whole.tpot_s)
        rate = text.tokens_per_s(whole.tokens_per_s)
        parts = f"prefill {prefill}, then {step} per output token, at most {rate} tokens/s"
        lines.append(("generate()", f"at least {text.seconds(whole.total_s)}: {parts}"))
    return lines


def _traffic_lines(answer: _Answer) -> list[tuple[str, str]]:
    moved = answer.traffic
    if moved.model == "ideal":
        return []
    size = text.scaled(moved.bytes, "B")
    if moved.read_bytes is not None and moved.written_bytes is not None:
        size += (
            f" ({text.scaled(moved.read_bytes, 'B')} read, {text.scaled(moved.written_bytes, 'B')} written)"
        )
    time = text.seconds(moved.bytes / answer.asked.gpu.bytes_per_s)
    lines = [(f"{moved.model} traffic", f"{size}, {time} at the datasheet's bandwidth (estimate)")]
    lines += [("attention", f"{r.backend}: {r.reason}") for r in moved.attention]
    if moved.resident:
        kept = ", ".join(
            f"{name} {text.scaled(spared, 'B', digits=3)}" for name, spared in moved.resident[:6]
        )
        more = f", and {len(moved.resident) - 6} more" if len(moved.resident) > 6 else ""
        lines.append(("read from L2", f"{kept}{more}"))
    return lines


def _estimate_lines(answer: _Answer) -> list[tuple[str, str]]:
    guess = answer.estimate
    if guess is None:
        return [("estimate", f"none: {answer.no_estimate}")]
    return [
        (
            "launches",
            f"{guess.launches} at {text.seconds(answer.gap_s)} each: {text.seconds(guess.overhead_s)}",
        ),
        ("regime", f"{answer.limits.regime}-bound under eager execution"),
        ("device estimate", _between(guess.device.low_s, guess.device.typical_s, guess.device.high_s)),
        ("wall estimate", _between(guess.wall.low_s, guess.wall.typical_s, guess.wall.high_s)),
        ("", f"(estimates by {guess.basis})"),
    ]


def _between(low: float, typical: float, high: float) -> str:
    return f"{text.seconds(typical)} ({text.seconds(low)} to {text.seconds(high)})"


def _print_operators(answer: _Answer) -> None:
    moved = {op.name: op for op in answer.traffic.operators}
    compulsory = {op.name: op for op in answer.cost.operators}
    launches = _launches(answer.estimate)
    beside = f"  {answer.traffic.model:>12}" if answer.traffic.model != "ideal" else ""
    print(f"\n  {'operator':<26} {'FLOPs':>12}  {'bytes':>12}{beside}  {'launches':>8}  regime")
    for name, limits in answer.operators.items():
        op, seen = compulsory.get(name), moved.get(name)
        more = f"  {text.scaled(seen.bytes if seen else 0, 'B'):>12}" if beside else ""
        print(
            f"  {name:<26} {text.scaled(op.flops if op else 0, 'FLOP'):>12}"
            f"  {text.scaled(op.bytes if op else 0, 'B'):>12}{more}  {launches.get(name, 0):>8}  {limits.regime}"
        )
