"""Counted DRAM bytes beside the model's, by case and by operator, and what is promised."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from analytic import Case, Phase, find_gpu, find_precision
from analytic.config_file import read_config
from analytic.passes import case_pass
from analytic.traffic import traffic
from perf_tests.dram_steps import cut_config

# Counters are of an H100: whose L2 and rules the predictions take.
GPU = "h100-sxm"

# The models of which this is promised; others are shown beside them.
PROMISED = ("mistral-7b-v0.2", "qwen2.5-7b")
# What is promised: eager traffic within a tenth of the counters; compulsory reads
# never above them, and within 2 % in a decode step of one sequence.
EAGER_TOLERANCE = 0.10
IDEAL_TOLERANCE = 0.02

# Groups of operators that a counter can tell apart: data is written to DRAM by
# whichever kernel evicts it, seldom the one that made it.
GROUPS = {
    "attention": "attention, rope, cache",
    "norms": "norms, residual, activation",
    "residual": "norms, residual, activation",
    "act_fn": "norms, residual, activation",
    "embed_tokens": "embedding",
}
# Smaller groups' shares of a case say little.
WORTH_A_LOOK = 0.05

# Predicted operators that one module's range covers on the GPU.
_SEEN_AS = {"rope": "attention", "cache": "attention"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """DRAM bytes and launches of one operator in one step, by hardware counter.
    `layers` is how many the model was cut to, 0 for all."""

    model: str
    layers: int
    case: str
    operator: str
    launches: int
    read_bytes: int
    written_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A case counted and predicted, in bytes. `operators` are (name, counted, predicted)."""

    model: str
    layers: int
    case: Case
    launches: int
    read_bytes: int
    written_bytes: int
    ideal_read_bytes: float
    eager_read_bytes: float
    eager_written_bytes: float
    eager_launches: int
    operators: tuple[tuple[str, float, float], ...]

    @property
    def eager_error(self) -> float:
        """The relative error of read + written."""
        counted = self.read_bytes + self.written_bytes
        return (self.eager_read_bytes + self.eager_written_bytes) / counted - 1

    @property
    def ideal_share(self) -> float:
        """Compulsory reads over counted ones: at most 1."""
        return self.ideal_read_bytes / self.read_bytes


def compare(rows: Sequence[Counted]) -> Compared:
    """One case's counters beside the model's predictions."""
    first = rows[0]
    case = Case.parse(first.case, model=first.model)
    config = cut_config(first.model, first.layers or None)
    spec = read_config(config, name=first.model, source=first.model)
    shape = case_pass(case)
    precision, gpu = find_precision(case.precision), find_gpu(GPU)
    ideal = traffic("ideal", spec, shape, precision, gpu)
    eager = traffic("eager", spec, shape, precision, gpu)
    assert ideal.read_bytes is not None
    assert eager.read_bytes is not None
    return Compared(
        model=first.model,
        layers=first.layers,
        case=case,
        launches=sum(row.launches for row in rows),
        read_bytes=sum(row.read_bytes for row in rows),
        written_bytes=sum(row.written_bytes for row in rows),
        ideal_read_bytes=ideal.read_bytes,
        eager_read_bytes=eager.read_bytes,
        eager_written_bytes=eager.written_bytes or 0.0,
        eager_launches=eager.launches or 0,
        operators=_by_operator(rows, {op.name: op.bytes for op in eager.operators}),
    )


def _by_operator(
    rows: Iterable[Counted], predicted: dict[str, float]
) -> tuple[tuple[str, float, float], ...]:
    counted = {row.operator: row.read_bytes + row.written_bytes for row in rows}
    expected: dict[str, float] = {}
    for name, size in predicted.items():
        seen = _SEEN_AS.get(name, name)
        expected[seen] = expected.get(seen, 0.0) + size
    names = dict.fromkeys([*counted, *expected])
    return tuple((name, counted.get(name, 0.0), expected.get(name, 0.0)) for name in names)


def failures(compared: Sequence[Compared]) -> list[str]:
    """What breaks a promise, with both numbers."""
    wrong = []
    for c in (c for c in compared if c.model in PROMISED):
        label = f"{c.model} {c.case.id}"
        if abs(c.eager_error) > EAGER_TOLERANCE:
            wrong.append(f"{label}: eager traffic is {c.eager_error:+.1%} of the counters")
        if c.ideal_share > 1:
            wrong.append(f"{label}: compulsory reads are {c.ideal_share:.4f} of the counted ones: above them")
        single = c.case.phase is Phase.DECODE and c.case.batch == 1
        if single and c.ideal_share < 1 - IDEAL_TOLERANCE:
            wrong.append(f"{label}: compulsory reads are only {c.ideal_share:.4f} of the counted ones")
    return wrong


def group_errors(compared: Sequence[Compared]) -> list[tuple[float, str, str]]:
    """(relative error, case, group) of the promised models' groups that make up at
    least 5 % of a case's counted bytes, worst first. They inform; only a case's total
    is promised."""
    found = []
    for c in (c for c in compared if c.model in PROMISED):
        sums: dict[str, list[float]] = {}
        for name, counted, predicted in c.operators:
            both = sums.setdefault(GROUPS.get(name, "linears"), [0.0, 0.0])
            both[0] += counted
            both[1] += predicted
        for group, (counted, predicted) in sums.items():
            if counted >= WORTH_A_LOOK * (c.read_bytes + c.written_bytes):
                found.append((predicted / counted - 1, f"{c.model} {c.case.id}", group))
    return sorted(found, key=lambda row: -abs(row[0]))


def summary(compared: Sequence[Compared]) -> list[str]:
    """What the table comes to: what is promised, and what is not."""
    promised = [c for c in compared if c.model in PROMISED]
    others = [c for c in compared if c.model not in PROMISED]
    lines = []
    if promised:
        worst = max(abs(c.eager_error) for c in promised)
        groups = group_errors(compared)
        middle = median(abs(error) for error, _, _ in groups)
        far = [f"{group} of {case.removesuffix('-eager')} {error:+.0%}" for error, case, group in groups[:3]]
        lines += [
            f"{len(promised)} promised cases: eager traffic at most {worst:.1%} off.",
            f"Their {len(groups)} groups of operators: median {middle:.1%} off, worst {'; '.join(far)}.",
        ]
    if others:
        worst = max(abs(c.eager_error) for c in others)
        names = ", ".join(sorted({c.model for c in others}))
        lines.append(f"Not promised, {names}: {len(others)} cases, at most {worst:.1%} off.")
    return lines


def show(compared: Sequence[Compared], *, operators: bool) -> list[str]:
    """The comparison as a Markdown table, in GB."""
    lines = [
        "| model | case | counted read | written | ideal read | of counted | eager read | written | error | launches |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for c in compared:
        cut = f" ({c.layers} layers)" if c.layers else ""
        sizes = (
            c.read_bytes,
            c.written_bytes,
            c.ideal_read_bytes,
            c.eager_read_bytes,
            c.eager_written_bytes,
        )
        read, written, ideal, eager_read, eager_written = (f"{size / 1e9:.3f}" for size in sizes)
        lines.append(
            f"| {c.model}{cut} | {c.case.id.removesuffix('-eager')} | {read} | {written} | {ideal} "
            f"| {c.ideal_share:.2%} | {eager_read} | {eager_written} | {c.eager_error:+.1%} "
            f"| {c.launches} ({c.eager_launches}) |"
        )
        if operators:
            lines += [
                f"| | {name} | {counted / 1e6:.1f} MB | | | | {predicted / 1e6:.1f} MB | | | |"
                for name, counted, predicted in c.operators
            ]
    return lines
