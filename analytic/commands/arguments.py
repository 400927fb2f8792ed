"""Arguments that several commands share: a pass of a model on a GPU."""

import argparse
from dataclasses import dataclass

from analytic.attention import CHOICES
from analytic.bitsandbytes import VERSION
from analytic.case import Case, Phase
from analytic.config_file import load_model
from analytic.cost import Pass
from analytic.errors import SpecError, unknown
from analytic.gpus import GpuSpec, find_gpu
from analytic.models import ModelSpec
from analytic.precision import PRECISIONS, Precision, find_precision


def add_case(parser: argparse.ArgumentParser) -> None:
    """The arguments that name a model, a GPU and a pass."""
    parser.add_argument("model", metavar="MODEL", help="a preset, a config.json or its folder")
    parser.add_argument(
        "--gpu", required=True, help="a key (t4, h100-sxm), torch's name for it, or a .toml file"
    )
    parser.add_argument("--phase", required=True, help="prefill, decode or generate")
    parser.add_argument("--batch", type=int, default=1, help="sequences (default: 1)")
    parser.add_argument("--prompt", type=int, metavar="N", help="prefill, generate: prompt length in tokens")
    parser.add_argument("--cached", type=int, metavar="N", help="prefill of a chunk: tokens cached before it")
    parser.add_argument("--context", type=int, metavar="N", help="decode: tokens cached before the step")
    parser.add_argument("--output", type=int, metavar="N", help="generate: output length in tokens")
    parser.add_argument("--precision", default="fp16", help=" | ".join(PRECISIONS) + " (default: fp16)")
    parser.add_argument("--compute", metavar="DTYPE", help="dtype of the products (default: by precision)")
    parser.add_argument("--kv", metavar="DTYPE", help="dtype of the KV cache (default: by precision)")
    parser.add_argument("--attention", default="auto", help=" | ".join(CHOICES) + " (default: auto)")
    parser.add_argument(
        "--bitsandbytes",
        default=".".join(map(str, VERSION)),
        metavar="VERSION",
        help="whose rules a quantised linear follows (default: %(default)s)",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the shared arguments say."""

    model: ModelSpec
    gpu: GpuSpec
    precision: Precision
    case: Case
    cached: int
    attention: str
    bitsandbytes: tuple[int, int]

    def first_pass(self, logits: str = "last") -> Pass:
        """The pass of a prefill or decode case, or the prefill of a generate()."""
        decode = self.case.phase is Phase.DECODE
        return Pass(
            batch=self.case.batch,
            new_tokens=1 if decode else self.case.length,
            context_len=self.case.length if decode else self.cached,
            logits=logits,
        )


def read_case(options: argparse.Namespace) -> Asked:
    """The arguments, checked. Raises SpecError for what does not go together."""
    model, gpu = load_model(options.model), find_gpu(options.gpu)
    precision = find_precision(options.precision, compute=options.compute, kv=options.kv)
    # A KV cache in a dtype without units would be converted at every step.
    for dtype in precision.dtypes:
        gpu.require(dtype)
    length, output, cached = _tokens(options)
    for flag, value, least in (("--batch", options.batch, 1), ("--cached", cached, 0)):
        if value < least:
            raise SpecError(f"{flag} is {value}; at least {least} is needed")
    case = Case(
        model=model.name,
        phase=Phase(options.phase),
        batch=options.batch,
        length=length,
        output_len=output,
        precision=precision.name,
    )
    if options.attention not in CHOICES:
        raise unknown("attention", options.attention, CHOICES)
    return Asked(
        model=model,
        gpu=gpu,
        precision=precision,
        case=case,
        cached=cached,
        attention=options.attention,
        bitsandbytes=_version(options.bitsandbytes),
    )


# What each phase takes, and what it must not be given.
_TAKES = {
    Phase.PREFILL: ("prompt", ("context", "output")),
    Phase.DECODE: ("context", ("prompt", "cached", "output")),
    Phase.GENERATE: ("prompt", ("context", "cached")),
}


def _tokens(options: argparse.Namespace) -> tuple[int, int | None, int]:
    """(length, output length, cached tokens) of the case that the flags describe."""
    if options.phase not in tuple(Phase):
        raise unknown("phase", options.phase, tuple(Phase))
    needed, refused = _TAKES[Phase(options.phase)]
    length = getattr(options, needed)
    wrong = [f"--{name}" for name in refused if getattr(options, name) is not None]
    if length is None or wrong:
        no = f", and no {' or '.join(f'--{name}' for name in refused)}"
        raise SpecError(f"--phase {options.phase} takes --{needed} N (tokens){no}")
    if options.phase == Phase.GENERATE and options.output is None:
        raise SpecError("--phase generate takes --output N (tokens) beside --prompt N")
    for name, value in ((needed, length), ("output", options.output)):
        if value is not None and value < 1:
            raise SpecError(f"--{name} is {value}; at least 1 is needed")
    return length, options.output, options.cached or 0


def _version(text: str) -> tuple[int, int]:
    parts = text.split(".")
    if len(parts) < 2 or not all(part.isdecimal() for part in parts[:2]):
        raise SpecError(f"--bitsandbytes is {text!r}; a version such as 0.50 is needed")
    return int(parts[0]), int(parts[1])
