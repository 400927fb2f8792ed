"""What `bounds` answers, as text."""

from analytic import text
from analytic.commands.bounds_answer import Answer, launches_of


def show(answer: Answer) -> None:
    asked, cost = answer.asked, answer.cost
    tokens = f"{cost.new_tokens} new on {cost.context_len} cached"
    phase = asked.case.phase.value
    print(
        f"{asked.model.name} on {asked.gpu.key}: {phase}, batch {cost.batch}, {tokens}, "
        f"{asked.precision.name}"
    )
    whole = _generation_lines(answer)
    for name, value in (
        *whole,
        *_bound_lines(answer),
        *_traffic_lines(answer),
        *_estimate_lines(answer),
    ):
        print(f"  {name:<17} {value}")
    _print_operators(answer)


def _generation_lines(answer: Answer) -> list[tuple[str, str]]:
    whole, guess = answer.generation, answer.generation_estimate
    if whole is None:
        return []
    prefill, step = text.seconds(whole.prefill.lower_s), text.seconds(whole.tpot_s)
    rate = text.tokens_per_s(whole.tokens_per_s)
    parts = f"prefill {prefill}, then {step} per output token, at most {rate} tokens/s"
    lines = [("generate()", f"at least {text.seconds(whole.total_s)}: {parts}")]
    if guess:
        device, wall = guess.device, guess.wall
        lines += [
            ("  device estimate", _between(device.low_s, device.typical_s, device.high_s)),
            ("  wall estimate", _between(wall.low_s, wall.typical_s, wall.high_s)),
        ]
    return [*lines, ("its prefill", "")]


def _bound_lines(answer: Answer) -> list[tuple[str, str]]:
    cost, bound = answer.cost, answer.bound
    rate = text.scaled(bound.attainable_flops_per_s, "FLOP/s")
    return [
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


def _traffic_lines(answer: Answer) -> list[tuple[str, str]]:
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
    if moved.resident:
        kept = ", ".join(
            f"{name} {text.scaled(spared, 'B', digits=3)}" for name, spared in moved.resident[:6]
        )
        more = f", and {len(moved.resident) - 6} more" if len(moved.resident) > 6 else ""
        lines.append(("read from L2", f"{kept}{more}"))
    return lines


def _estimate_lines(answer: Answer) -> list[tuple[str, str]]:
    guess = answer.estimate
    if guess is None:
        return [("estimate", f"none: {answer.no_estimate}")]
    return [
        *(("attention", f"{r.backend}: {r.reason}") for r in answer.attention),
        *(("4-bit linears", f"{', '.join(names)}: {why}") for why, names in answer.four_bit.items()),
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


def _print_operators(answer: Answer) -> None:
    moved = {op.name: op for op in answer.traffic.operators}
    compulsory = {op.name: op for op in answer.cost.operators}
    launches = launches_of(answer.estimate)
    beside = f"  {answer.traffic.model:>12}" if answer.traffic.model != "ideal" else ""
    print(f"\n  {'operator':<26} {'FLOPs':>12}  {'bytes':>12}{beside}  {'launches':>8}  regime")
    for name, limits in answer.operators.items():
        op, seen = compulsory.get(name), moved.get(name)
        more = f"  {text.scaled(seen.bytes if seen else 0, 'B'):>12}" if beside else ""
        print(
            f"  {name:<26} {text.scaled(op.flops if op else 0, 'FLOP'):>12}"
            f"  {text.scaled(op.bytes if op else 0, 'B'):>12}{more}  {launches.get(name, 0):>8}  {limits.regime}"
        )
