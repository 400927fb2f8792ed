"""What others and this model say of Mistral-7B's points, in fp16 at batch 1.

What is known of the others is in peers.csv, each row with its source. A figure
"by its rule" is this model's with that one rule of the other tool put in.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analytic import Cost, find_gpu, text
from perf_tests.bounds.naive_record import MISTRAL, bound, decode, operator, prefill

TABLE = Path(__file__).with_name("peers.csv")
TOOLS = ("LLM-Viewer", "GenZ", "llm-analysis", "AIConfigurator")
LENGTHS = (128, 512, 2048)
BY_RULE, ELSEWHERE, NOTHING = "†", "‡", "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    tool: str
    what: str
    value: str
    source: str


def facts() -> tuple[Fact, ...]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(Fact(**row) for row in csv.DictReader(file))


def peer_tables() -> dict[str, str]:
    """Markdown by the name of the page's markers."""
    return {
        "peers": _table(("Mistral-7B, fp16, batch 1", "this model", *TOOLS), _rows()),
        "sources": _table(
            ("Tool", "What", "Value", "Source"),
            ((f.tool, f.what, _number(f.value), f.source) for f in facts()),
        ),
    }


def _rows() -> Iterator[tuple[str, ...]]:
    for length in LENGTHS:
        yield _flops(f"FLOPs, prefill of {length}", prefill(MISTRAL, length), _prefill_rules(length))
    for length in LENGTHS:
        yield _flops(f"FLOPs, decode at {length}", decode(MISTRAL, length), _decode_rules(length))
    for length in LENGTHS:
        ours = text.scaled(prefill(MISTRAL, length).bytes, "B")
        yield (f"bytes, prefill of {length}", ours, *[NOTHING] * len(TOOLS))
    for length in LENGTHS:
        cost = decode(MISTRAL, length)
        read = cost.kv_bytes - sum(op.kv_written_bytes for op in cost.operators)
        groups = MISTRAL.attention.n_heads // MISTRAL.attention.n_kv_heads
        naive = {"LLM-Viewer": cost.bytes + (groups - 1) * read}
        yield _row(f"bytes, decode at {length}", cost.bytes, naive, lambda v: text.scaled(v, "B"))
    floor = text.seconds(bound(decode(MISTRAL, 128), find_gpu("t4")).lower_s)
    yield (
        "bound, decode at 128 on a T4",
        floor,
        NOTHING,
        _given("GenZ", "decode bound, T4"),
        NOTHING,
        NOTHING,
    )
    yield (
        "points/s",
        _given("this model", "speed of a sweep", mark=""),
        *(_given(t, "speed") for t in TOOLS),
    )


def _prefill_rules(length: int) -> dict[str, float]:
    """Other tools' FLOPs, as far as a rule of theirs gives them."""
    cost = prefill(MISTRAL, length)
    every = prefill(MISTRAL, length, logits="all").flops
    return {"LLM-Viewer": cost.flops - operator(cost, "lm_head").flops / 2, "llm-analysis": every}


def _decode_rules(length: int) -> dict[str, float]:
    cost = decode(MISTRAL, length)
    return {
        "LLM-Viewer": cost.flops - operator(cost, "lm_head").flops / 2,
        "llm-analysis": decode(MISTRAL, 0).flops,
    }


def _flops(name: str, cost: Cost, naive: dict[str, float]) -> tuple[str, ...]:
    return _row(name, cost.flops, naive, lambda v: text.scaled(v, "FLOP", digits=6))


def _row(name: str, right: float, naive: dict[str, float], shown: Callable[[float], str]) -> tuple[str, ...]:
    cells = [
        f"{shown(naive[t])} ({100 * (naive[t] / right - 1):+.2g} %) {BY_RULE}" if t in naive else NOTHING
        for t in TOOLS
    ]
    return (name, shown(right), *cells)


def _given(tool: str, what: str, *, mark: str = f" {ELSEWHERE}") -> str:
    """A figure of peers.csv."""
    (found,) = [fact.value for fact in facts() if (fact.tool, fact.what) == (tool, what)]
    return _number(found).removesuffix(" points/s") + mark


def _number(value: str) -> str:
    """Rates with thousands apart; other values as they are."""
    number, _, unit = value.partition(" ")
    return f"{float(number):,.0f} {unit}" if unit == "points/s" and float(number) >= 1 else value


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
