"""What `bounds` answers, and its form as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass

from analytic.attention import Resolution
from analytic.bound import Bound
from analytic.commands.arguments import Asked
from analytic.cost import Cost
from analytic.estimate import Estimate, Interval
from analytic.generation import Generation, GenerationEstimate
from analytic.regime import Limits
from analytic.traffic import Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    asked: Asked
    logits: str
    cost: Cost
    bound: Bound
    traffic: Traffic
    attention: tuple[Resolution, ...]
    four_bit: Mapping[str, tuple[str, ...]]
    estimate: Estimate | None
    no_estimate: str
    limits: Limits
    operators: dict[str, Limits]
    gap_s: float
    generation: Generation | None
    generation_estimate: GenerationEstimate | None


def launches_of(guess: Estimate | None) -> dict[str, int]:
    return {op.name: op.launches for op in guess.operators} if guess else {}


def as_json(answer: Answer) -> dict[str, object]:
    asked, cost, bound = answer.asked, answer.cost, answer.bound
    moved = {op.name: op for op in answer.traffic.operators}
    compulsory = {op.name: op for op in cost.operators}
    launches = launches_of(answer.estimate)
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
        "of": "its prefill" if answer.generation else "the pass",
        "batch": cost.batch,
        "output_len": asked.case.output_len,
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
        "four_bit": {reason: list(names) for reason, names in answer.four_bit.items()},
        "attention": [{"backend": r.backend, "reason": r.reason} for r in answer.attention],
        "estimate": _estimate_json(answer),
        "regime": answer.limits.regime,
        "operators": rows,
        "generation": _generation_json(answer),
    }


def _estimate_json(answer: Answer) -> dict[str, object] | None:
    guess = answer.estimate
    if guess is None:
        return None
    return {
        "device_s": _ends(guess.device),
        "wall_s": _ends(guess.wall),
        "launches": guess.launches,
        "launch_gap_s": answer.gap_s,
        "overhead_s": guess.overhead_s,
        "host_s": guess.host_s,
        "basis": guess.basis,
    }


def _generation_json(answer: Answer) -> dict[str, object] | None:
    """The whole generate(); all else in the answer is its prefill."""
    whole, guess = answer.generation, answer.generation_estimate
    if whole is None:
        return None
    return {
        "prefill_s": whole.prefill.lower_s,
        "tpot_s": whole.tpot_s,
        "total_s": whole.total_s,
        "tokens_per_s": whole.tokens_per_s,
        "device_s": _ends(guess.device) if guess else None,
        "wall_s": _ends(guess.wall) if guess else None,
    }


def _ends(interval: Interval) -> dict[str, float]:
    return {"low": interval.low_s, "typical": interval.typical_s, "high": interval.high_s}
