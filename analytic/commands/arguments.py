"""Arguments that several commands share: a pass of a model on a GPU."""

import argparse
from dataclasses import dataclass

from analytic.attention import CHOICES
from analytic.bitsandbytes import VERSION
from analytic.case import Case, Phase
from analytic.ceilings_file import read_ceilings
from analytic.config_file import load_model
from analytic.errors import SpecError, unknown
from analytic.footprint import held_tokens
from analytic.gpus import GpuSpec, find_gpu
from analytic.models import ModelSpec
from analytic.passes import Pass
from analytic.precision import PRECISIONS, Precision, find_precision
from analytic.roofs import Ceilings
from analytic.small_file import shown

# No machine runs more; beyond, numbers only overflow. generate() is counted step by step.
MOST = {"batch": 10**6, "prompt": 10**8, "context": 10**8, "cached": 10**8, "output": 2**15}


def add_case(parser: argparse.ArgumentParser) -> None:
    """The arguments that name a model, a GPU and a pass."""
    parser.add_argument("model", metavar="MODEL", help="a preset, a config.json or its folder")
    parser.add_argument(
        "--gpu", required=True, help="a key (t4, h100-sxm), torch's name for it, or a .toml file"
    )
    parser.add_argument("--phase", required=True, help=" or ".join(Phase))
    parser.add_argument("--batch", type=int, default=1, help="sequences (default: 1)")
    parser.add_argument("--prompt", type=int, metavar="N", help="prefill, generate: prompt length in tokens")
    parser.add_argument("--context", type=int, metavar="N", help="decode: tokens cached before the step")
    parser.add_argument("--output", type=int, metavar="N", help="generate: output length in tokens")
    parser.add_argument("--precision", default="fp16", help=" | ".join(PRECISIONS) + " (default: fp16)")


def add_details(parser: argparse.ArgumentParser) -> None:
    """The arguments that say how the pass is run."""
    parser.add_argument("--cached", type=int, metavar="N", help="prefill of a chunk: tokens cached before it")
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


def read_case(options: argparse.Namespace, model: ModelSpec) -> Case:
    """The case that the arguments name. Raises SpecError for what does not go together."""
    for name, most in MOST.items():
        value = getattr(options, name, None)
        if value is not None and value > most:
            raise SpecError(f"--{name} is {shown(value)}; at most {most:,} is taken")
    length, output = _tokens(options)
    if options.batch < 1:
        raise SpecError(f"--batch is {options.batch}; at least 1 is needed")
    return Case(
        model=model.name,
        phase=Phase(options.phase),
        batch=options.batch,
        length=length,
        output_len=output,
        precision=find_precision(options.precision).name,
    )


def read_all(options: argparse.Namespace) -> Asked:
    """The arguments and their details. Raises SpecError for what does not go together."""
    model, gpu = load_model(options.model), find_gpu(options.gpu)
    precision = find_precision(options.precision, compute=options.compute, kv=options.kv)
    # A KV cache in a dtype without units would be converted at every step.
    for dtype in precision.dtypes:
        gpu.require(dtype)
    case, cached = read_case(options, model), options.cached or 0
    if cached < 0:
        raise SpecError(f"--cached is {cached}; at least 0 is needed")
    last = held_tokens(case) + cached
    if model.positions and last > model.positions:
        raise SpecError(f"{model.name} has {model.positions} learned positions; {last} tokens are too many")
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


def own_ceilings(path: str | None, gpu: GpuSpec) -> Ceilings | None:
    """The measured ceilings of `gpu`. Raises SpecError for those of another device."""
    if path is None:
        return None
    found = read_ceilings(path)
    names = (*gpu.torch_names, gpu.key)
    if found.device.casefold() not in (name.casefold() for name in names):
        raise SpecError(f"--ceilings {path} is of {found.device}; of {gpu.key} ({names[0]}) is needed")
    return found


# What each phase takes, and what it must not be given.
_TAKES = {
    Phase.PREFILL: ("prompt", ("context", "output")),
    Phase.DECODE: ("context", ("prompt", "output", "cached")),
    Phase.GENERATE: ("prompt", ("context", "cached")),
}


def _tokens(options: argparse.Namespace) -> tuple[int, int | None]:
    """(length, output length) of the case that the flags describe."""
    if options.phase not in tuple(Phase):
        raise unknown("phase", options.phase, tuple(Phase))
    needed, refused = _TAKES[Phase(options.phase)]
    length = getattr(options, needed)
    if length is None or any(getattr(options, name, None) is not None for name in refused):
        no = " or ".join(f"--{name}" for name in refused)
        raise SpecError(f"--phase {options.phase} takes --{needed} N (tokens), and no {no}")
    if options.phase == Phase.GENERATE and options.output is None:
        raise SpecError("--phase generate takes --output N (tokens) beside --prompt N")
    for name, value, least in ((needed, length, 1), ("output", options.output, 2)):
        if value is not None and value < least:
            raise SpecError(f"--{name} is {value}; at least {least} is needed")
    return length, options.output


def _version(text: str) -> tuple[int, int]:
    parts = text.split(".")
    if len(parts) < 2 or not all(part.isdecimal() for part in parts[:2]):
        raise SpecError(f"--bitsandbytes is {text!r}; a version such as 0.50 is needed")
    return int(parts[0]), int(parts[1])
