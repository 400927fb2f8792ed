"""python -m analytic whatif: what a change would do to one case."""

import argparse
import json
from collections.abc import Sequence

from analytic import text
from analytic.case import Phase
from analytic.commands import Subparsers
from analytic.commands.arguments import add_case, own_ceilings, read_case
from analytic.config_file import load_model
from analytic.errors import SpecError
from analytic.estimate import Interval
from analytic.gpus import find_gpu
from analytic.whatif import NO_GAIN, Option, Outlook, Present, Speculation, options, other_gpus, present
from analytic.whatif.memory import refusal
from analytic.whatif.speculation import DRAFT_COST, DRAFT_TOKENS

# Widths of the columns of times.
_NAME, _BOUND, _TIME = 20, 10, 23


def add(commands: Subparsers) -> None:
    whatif = commands.add_parser("whatif", help="what a change would do to one case, best gain first")
    add_case(whatif)
    whatif.add_argument(
        "--acceptance", type=float, metavar="A", help="decode: chance of a drafted token's acceptance, 0 to 1"
    )
    whatif.add_argument(
        "--draft-tokens", type=int, metavar="K", help=f"drafted tokens a round (default: {DRAFT_TOKENS})"
    )
    whatif.add_argument(
        "--draft-cost",
        type=float,
        metavar="C",
        help=f"time of a draft step as a share of a step (default: {DRAFT_COST:g})",
    )
    whatif.add_argument("--ceilings", metavar="FILE", help="what this GPU was measured to reach")
    whatif.add_argument("--json", action="store_true", help="one JSON object, SI units")
    whatif.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    model, gpu = load_model(arguments.model), find_gpu(arguments.gpu)
    case, plan = read_case(arguments, model), _speculation(arguments)
    if case.phase is Phase.GENERATE:
        raise SpecError("--phase is generate; prefill or decode is needed: ask of its passes one by one")
    now = present(model, case, gpu=gpu, ceilings=own_ceilings(arguments.ceilings, gpu))
    found, gpus = options(now, plan), other_gpus(now)
    if arguments.json:
        print(json.dumps(_as_json(now, found, gpus), indent=2))
    else:
        _print(now, found, gpus)


def _speculation(arguments: argparse.Namespace) -> Speculation:
    """Raises SpecError for what goes with speculation where there is none."""
    given = {
        "--acceptance": arguments.acceptance,
        "--draft-tokens": arguments.draft_tokens,
        "--draft-cost": arguments.draft_cost,
    }
    named = [name for name, value in given.items() if value is not None]
    if named and arguments.phase != Phase.DECODE:
        raise SpecError(f"{named[0]} is for --phase decode: only decoding can be drafted")
    return Speculation(
        acceptance=arguments.acceptance,
        draft_tokens=DRAFT_TOKENS if arguments.draft_tokens is None else arguments.draft_tokens,
        draft_cost=DRAFT_COST if arguments.draft_cost is None else arguments.draft_cost,
    )


def _as_json(now: Present, found: Sequence[Option], gpus: Sequence[Outlook]) -> dict[str, object]:
    case = now.case
    return {
        "model": now.model.name,
        "gpu": now.gpu.key if now.gpu else None,
        "phase": case.phase.value,
        "batch": case.batch,
        "length": case.length,
        "precision": case.precision,
        "present": {
            "lower_s": now.run.lower_s,
            "device_s": _ends(now.device(now.run)),
            "wall_s": _ends(now.wall(now.run)),
            "launches": now.run.launches if now.estimated else None,
            "launch_bound": now.launch_bound if now.estimated else None,
            "note": refusal(now, case),
        },
        "options": [
            {
                "name": o.name,
                "case": o.case.id if o.case else None,
                "lower_s": o.lower_s,
                "device_s": _ends(o.device),
                "wall_s": _ends(o.wall),
                "tokens": o.tokens,
                "gain": o.gain,
                "pace": o.pace,
                "basis": o.basis,
                "reason": o.reason,
            }
            for o in found
        ],
        "gpus": [
            {
                "gpu": o.gpu,
                "lower_s": o.lower_s,
                "device_s": _ends(o.device),
                "wall_s": _ends(o.wall),
                "speedup": o.speedup,
                "note": o.note,
            }
            for o in gpus
        ],
    }


def _ends(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {"low": interval.low_s, "typical": interval.typical_s, "high": interval.high_s}


def _print(now: Present, found: Sequence[Option], gpus: Sequence[Outlook]) -> None:
    case, key = now.case, now.gpu.key if now.gpu else "cpu"
    length = f"{case.length} {'cached' if case.phase is Phase.DECODE else 'prompt tokens'}"
    print(f"{now.model.name} on {key}: {case.phase}, batch {case.batch}, {length}, {case.precision}")
    refused = refusal(now, case)
    if refused:
        print(f"  {refused}: the present, which gains refer to, is what it would take if it did")
    columns = f"{'bound':>{_BOUND}}  {'device':<{_TIME}}  {'wall':<{_TIME}}"
    print(f"\n  {'change':<{_NAME}} {columns} {'gain':>7} {'each':>7}  reason")
    own = _times(now.run.lower_s, now.device(now.run), now.wall(now.run))
    held = "bound only: no kernel of this maker was ever timed"
    if now.estimated:
        held = f"{now.run.launches:,.0f} launches, {'' if now.launch_bound else 'not '}waited for"
    print(f"  {'as it is':<{_NAME}} {own} {text.ratio(1.0):>7} {text.ratio(1.0):>7}  {held}")
    for o in found:
        times = _times(o.lower_s, o.device, o.wall)
        print(f"  {o.name:<{_NAME}} {times} {text.ratio(o.gain):>7} {text.ratio(o.pace):>7}  {o.reason}")
    _print_best(found)
    print(f"\n  {'GPU':<{_NAME}} {columns} {'gain':>7}  note")
    for g in gpus:
        print(
            f"  {g.gpu:<{_NAME}} {_times(g.lower_s, g.device, g.wall)} {text.ratio(g.speedup):>7}  {g.note}".rstrip()
        )
    print(
        "\nbound: no implementation is faster. device, wall: estimates, with the interval they lie in. "
        "gain: throughput against the present; each: the pace of one sequence."
    )


def _print_best(found: Sequence[Option]) -> None:
    """What to begin with: more throughput is not always a faster answer."""
    gaining = [o for o in found if o.gains]
    quicker = [o for o in gaining if o.pace is not None and o.pace > NO_GAIN]
    if gaining:
        print(f"\n  most throughput: {gaining[0].name}, {text.ratio(gaining[0].gain)}")
    if quicker:
        best = max(quicker, key=lambda o: o.pace or 0.0)
        print(f"  fastest for each sequence: {best.name}, {text.ratio(best.pace)}")
    if not gaining:
        print("\n  nothing here gains")


def _times(lower_s: float | None, device: Interval | None, wall: Interval | None) -> str:
    return f"{text.seconds(lower_s):>{_BOUND}}  {_told(device):<{_TIME}}  {_told(wall):<{_TIME}}"


def _told(interval: Interval | None) -> str:
    if interval is None:
        return text.seconds(None)
    return text.interval(interval.low_s, interval.typical_s, interval.high_s)
