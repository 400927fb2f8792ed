"""python -m analytic bounds: what a pass must cost, and what eager execution will."""

import argparse
import json

from analytic.attention import Resolution
from analytic.bound import pass_bound
from analytic.case import Phase
from analytic.commands import Subparsers
from analytic.commands.arguments import Asked, add_case, add_details, own_ceilings, read_all
from analytic.commands.bounds_answer import Answer, as_json, launches_of
from analytic.commands.bounds_text import show
from analytic.counting import cost_of
from analytic.eager.model import resolutions
from analytic.eager.writer import four_bit_path
from analytic.errors import SpecError
from analytic.estimate import LAUNCH_GAP_S, Estimate, estimate
from analytic.generation import Eager, GenerationEstimate, generation_bound, generation_estimate
from analytic.passes import LOGITS, Pass
from analytic.regime import operator_limits, pass_limits
from analytic.roofs import Ceilings
from analytic.traffic import MODELS, traffic


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


def run(options: argparse.Namespace) -> None:
    answer = _answer(options)
    if options.json:
        print(json.dumps(as_json(answer), indent=2))
    else:
        show(answer)


def _answer(options: argparse.Namespace) -> Answer:
    asked = read_all(options)
    ceilings = own_ceilings(options.ceilings, asked.gpu)
    if options.l2 is not None and not 0 <= options.l2 < 1e6:
        raise SpecError(f"--l2 is {options.l2}; a size in MiB is needed")
    if options.absorbed and not any(stack.layer.attention.latent for stack in asked.model.stacks):
        raise SpecError(f"--absorbed is for latent attention (MLA); {asked.model.name} has none")
    if asked.case.phase is Phase.GENERATE and options.logits != "last":
        raise SpecError("--logits all is for one pass: generate() computes the last position's alone")
    if options.l2 is not None and options.traffic != "eager":
        raise SpecError("--l2 goes with --traffic eager: the other models know no cache")
    shape = asked.first_pass(options.logits)
    cost = cost_of(asked.model, shape, asked.precision, causal=options.causal, absorbed=options.absorbed)
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
    return Answer(
        asked=asked,
        logits=shape.logits,
        cost=cost,
        bound=pass_bound(cost, roofs),
        traffic=moved,
        attention=_attention(asked, shape) if guess else (),
        four_bit=_four_bit(asked, shape) if guess else {},
        estimate=guess,
        no_estimate=why_none,
        limits=pass_limits(cost, roofs, overhead_s=guess.overhead_s if guess else 0.0),
        operators=operator_limits(cost, roofs, launches=launches_of(guess), launch_gap_s=gap_s),
        gap_s=gap_s,
        generation=generation,
        generation_estimate=_whole(asked, ceilings) if generation and guess else None,
    )


def _whole(asked: Asked, ceilings: Ceilings | None) -> GenerationEstimate:
    how = Eager(ceilings=ceilings, attention=asked.attention, bitsandbytes=asked.bitsandbytes)
    return generation_estimate(asked.model, asked.case, asked.precision, asked.gpu, options=how)


def _attention(asked: Asked, shape: Pass) -> tuple[Resolution, ...]:
    return tuple(resolutions(asked.model, shape, asked.precision, asked.gpu, asked.attention).values())


def _four_bit(asked: Asked, shape: Pass) -> dict[str, tuple[str, ...]]:
    """Which linears bitsandbytes fuses and which it unpacks first, by the reason."""
    if not asked.precision.name.startswith("nf4"):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for _, linear in asked.model.linears:
        if not linear.convertible:
            continue
        path = four_bit_path(
            linear, shape.tokens, asked.precision, asked.gpu, bitsandbytes=asked.bitsandbytes
        )
        found[path.reason] = tuple(dict.fromkeys((*found.get(path.reason, ()), linear.name)))
    return found


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
