"""python -m analytic footprint: the memory that a case needs, and what would fit."""

import argparse
import json
from collections.abc import Mapping, Sequence

from analytic import text
from analytic.attention import BACKENDS
from analytic.commands import Subparsers
from analytic.commands.arguments import Asked, add_case, add_details, read_all
from analytic.errors import SpecError
from analytic.footprint import (
    Fit,
    KindOfCache,
    cache_by_kind,
    fit,
    footprint,
    held_tokens,
    kv_bytes_per_token,
)


def add(commands: Subparsers) -> None:
    parser = commands.add_parser("footprint", help="the memory that a case needs, and what would fit")
    add_case(parser)
    add_details(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object, SI units")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    asked = read_all(options)
    if asked.cached:
        raise SpecError("--cached is not for footprint: ask for the whole prompt, or for a decode step")
    found = fit(
        asked.model,
        asked.case,
        asked.precision,
        asked.gpu,
        attention=asked.attention,
        bitsandbytes=asked.bitsandbytes,
    )
    kinds = cache_by_kind(
        asked.model, asked.precision, batch=asked.case.batch, tokens=held_tokens(asked.case)
    )
    peaks = _by_backend(asked)
    if options.json:
        print(json.dumps(_as_json(asked, found, kinds, peaks), indent=2))
    else:
        _print(asked, found, kinds, peaks)


def _as_json(
    asked: Asked, found: Fit, kinds: Sequence[KindOfCache], peaks: Mapping[str, int]
) -> dict[str, object]:
    return {
        "model": asked.model.name,
        "gpu": asked.gpu.key,
        "case": asked.case.id,
        "weight_bytes": found.need.weight_bytes,
        "kv_bytes": found.need.kv_bytes,
        "kv_by_kind": [
            {"layers": k.layers, "window": k.window, "tokens": k.tokens, "bytes": k.bytes} for k in kinds
        ],
        "activation_bytes_by_backend": dict(peaks),
        "kv_bytes_per_token": kv_bytes_per_token(asked.model, asked.precision),
        "activation_bytes": found.need.activation_bytes,
        "total_bytes": found.need.total_bytes,
        "usable_bytes": found.usable_bytes,
        "left_bytes": found.left_bytes,
        "fits": found.fits,
        "largest_batch": found.largest_batch,
        "longest": found.longest,
    }


def _print(asked: Asked, found: Fit, kinds: Sequence[KindOfCache], peaks: Mapping[str, int]) -> None:
    need, per_token = found.need, kv_bytes_per_token(asked.model, asked.precision)
    print(f"{asked.model.name} on {asked.gpu.key}: {asked.case.id}")
    left = text.gib(abs(found.left_bytes))
    verdict = f"fits, {left} left" if found.fits else f"does not fit: {left} too much"
    length = "context" if asked.case.phase.value == "decode" else "prompt"
    for name, value in (
        ("weights", text.gib(need.weight_bytes)),
        ("KV cache", f"{text.gib(need.kv_bytes)} ({text.scaled(per_token, 'B')} a token)"),
        *_kinds(kinds),
        ("activations", f"{text.gib(need.activation_bytes)} at the peak, estimated"),
        *((f"  by {name}", text.gib(size)) for name, size in peaks.items()),
        ("total", f"{text.gib(need.total_bytes)} = weights + batch x tokens held x KV a token + activations"),
        ("usable", text.gib(found.usable_bytes)),
        ("verdict", verdict),
        ("largest batch", str(found.largest_batch or "none")),
        (f"longest {length}", _longest(found)),
    ):
        print(f"  {name:<16} {value}")


def _kinds(kinds: Sequence[KindOfCache]) -> list[tuple[str, str]]:
    """A line for each kind of layer, where there are several or a window."""
    if len(kinds) == 1 and kinds[0].window is None:
        return []
    return [
        (
            f"  {kind.layers} layers",
            f"{text.gib(kind.bytes)}, {kind.tokens} tokens held"
            + (f" of a window of {kind.window}" if kind.window else ""),
        )
        for kind in kinds
    ]


def _by_backend(asked: Asked) -> dict[str, int]:
    """The activations' peak by each attention backend that can run there."""
    found = {}
    for backend in BACKENDS:
        try:
            need = footprint(
                asked.model,
                asked.case,
                asked.precision,
                asked.gpu,
                attention=backend,
                bitsandbytes=asked.bitsandbytes,
            )
        except SpecError:
            continue
        found[backend] = need.activation_bytes
    return found


def _longest(found: Fit) -> str:
    if found.longest is None:
        return "no limit: the window caps the cache"
    return f"{found.longest} tokens" if found.longest else "none"
