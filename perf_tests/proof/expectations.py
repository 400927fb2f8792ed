"""What each slowdown must move, must not move, and may move, each with its why:
python -m perf_tests.proof.expectations prints the table.

Metrics are the record's: device_s and the counts. Operators have the names of
module_ranges.py. What a slowdown names neither as moving nor as free stays still.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from analytic import Case, Phase, SpecError, find_precision
from baselines import markdown

DEVICE = "device_s"
COUNTS = ("launches", "copies", "syncs", "aten_ops", "python_calls", "allocated_bytes")
METRICS = (DEVICE, *COUNTS)
# What the host does for a step; of these the gate warns.
HOST_COUNTS = tuple(name for name in COUNTS if name != "allocated_bytes")


class Move(StrEnum):
    """What a metric does under a slowdown."""

    GROWS = "must grow"
    STILL = "must not move"
    FREE = "may move"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """Where a case differs: metrics and operators that are free in this phase, or
    in precisions that are quantised or are not, or both."""

    why: str
    phase: Phase | None = None
    quantised: bool | None = None
    metrics: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The cases it holds for, in words."""
        kind = {None: "", True: " in 4 or 8 bit", False: " in 16 or 32 bit"}[self.quantised]
        return f"{self.phase or 'any step'}{kind}"

    def holds(self, case: Case) -> bool:
        quantised = find_precision(case.precision).quantised
        return self.quantised in (None, quantised) and self.phase in (None, case.phase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """`grows` and `free` are metrics; all others stay still. `per_layer` is exactly
    how many a count grows by for each layer of the model. `operators` must move,
    in time or in launches; `free_operators` may."""

    slowdown: str
    why: str
    grows: tuple[str, ...]
    free: tuple[str, ...] = ()
    per_layer: Mapping[str, int] = field(default_factory=dict)
    operators: tuple[str, ...] = ()
    free_operators: tuple[str, ...] = ()
    exemptions: tuple[Exemption, ...] = ()

    def __post_init__(self) -> None:
        named = (*self.grows, *self.free, *(m for e in self.exemptions for m in e.metrics))
        for metric in (*named, *self.per_layer):
            if metric not in METRICS:
                raise SpecError(f"{self.slowdown}: there is no metric {metric!r}; there are {METRICS}")
        if both := set(self.grows) & set(self.free):
            raise SpecError(f"{self.slowdown}: {sorted(both)} cannot both grow and be free")

    def of(self, case: Case) -> "Expectation":
        """The expectation of one case, its exemptions taken in."""
        found = self
        for exemption in self.exemptions:
            if exemption.holds(case):
                found = replace(
                    found,
                    grows=tuple(m for m in found.grows if m not in exemption.metrics),
                    free=(*found.free, *exemption.metrics),
                    operators=tuple(o for o in found.operators if o not in exemption.operators),
                    free_operators=(*found.free_operators, *exemption.operators),
                )
        return replace(found, exemptions=())

    def move(self, metric: str) -> Move:
        if metric in self.grows:
            return Move.GROWS
        return Move.FREE if metric in self.free else Move.STILL


def find_expectation(slowdown: str) -> Expectation:
    """Raises SpecError where nothing is expected of a slowdown of that name."""
    for expectation in EXPECTATIONS:
        if expectation.slowdown == slowdown:
            return expectation
    raise SpecError(f"nothing is expected of {slowdown!r}; only of {[e.slowdown for e in EXPECTATIONS]}")


# A wrapper around a forward is Python that runs: python_calls must grow wherever the
# forward itself still runs.
_MLP_WHY = (
    "the projection's own kernels once more, about 1 % (mlp-2) or 2.5 % (mlp-5) of the step: the gate "
    "promises to see 1 %. Its output, thrown away, may raise the peak"
)
# A prefill in 4 bit unpacks each weight by a kernel of its own, which counts as `dequantise`.
_UNPACKS = Exemption(
    quantised=True,
    operators=("dequantise",),
    why="a long input has its weight unpacked by a kernel of its own; one token multiplies as it unpacks",
)

# The matrix products of a layer.
PRODUCTS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

EXPECTATIONS = (
    Expectation(
        slowdown="kv-copy",
        grows=(DEVICE, "copies", "aten_ops", "python_calls"),
        free=("allocated_bytes",),
        # A tensor without gaps is cloned by a copy of the driver's, not by a kernel.
        per_layer={"copies": 2},
        operators=("attention",),
        exemptions=(
            Exemption(
                phase=Phase.PREFILL,
                metrics=(DEVICE,),
                why="of 512 tokens 0.1 to 0.2 ms in a step of 17 to 25: at the edge of what is judged",
            ),
        ),
        why="2 MiB a layer are read and written (batch 1, 512 tokens), in the attention's own range. The "
        "clone raises the peak only if that lies in the attention",
    ),
    Expectation(
        slowdown="sdpa-math",
        grows=(DEVICE, "launches", "aten_ops", "python_calls"),
        # The math path of some versions copies where others launch.
        free=("copies", "allocated_bytes"),
        operators=("attention",),
        exemptions=(
            Exemption(
                phase=Phase.DECODE,
                quantised=False,
                operators=("o_proj", "gate_proj"),
                why="their kernels, and where their tensors lie, are the same, and yet they take 0.1 ms "
                "longer, on each of three cards: they stream their weights while what the attention wrote "
                "into the L2, keys and values once more for each head, in fp32, some 25 MB a layer, may "
                "still be written back",
            ),
            Exemption(
                phase=Phase.DECODE,
                quantised=True,
                operators=("norms",),
                why="what the attention wrote into the L2 may still be written back while they run, the same "
                "25 MB a layer: 14 and 21 µs longer on two cards, and 0.3 % of the step are 19 µs",
            ),
        ),
        why="one fused kernel becomes casts, products, a softmax and copies; nothing outside of the "
        "attention knows of it. The scores raise the peak unless the MLP's or a dequantised weight's is higher",
    ),
    Expectation(
        slowdown="lm-head-fp32",
        grows=(DEVICE, "launches", "aten_ops"),
        free=("python_calls", "allocated_bytes"),
        operators=("lm_head",),
        exemptions=(
            Exemption(
                phase=Phase.PREFILL,
                metrics=(DEVICE,),
                why="logits of the last position only: 0.1 ms in a step of 17 to 25",
            ),
        ),
        why="262 MB more are streamed, about 0.1 ms, and two casts launched. Calls come with the casts and go "
        "with the module's own forward, which looks its weight up by one",
    ),
    Expectation(
        slowdown="sync-per-layer",
        grows=("syncs", "python_calls"),
        per_layer={"syncs": 1},
        exemptions=(
            Exemption(
                phase=Phase.PREFILL,
                metrics=(DEVICE,),
                operators=PRODUCTS,
                why="the device rests at the end of each layer, however long it was held before the step, and "
                "a matrix product that follows a rest takes longer: some 0.5 % of the step",
            ),
        ),
        why="the host waits and the device has the same to do: no clock of the device may see it, and "
        "the count must",
    ),
    Expectation(
        slowdown="tiny-kernel-per-layer",
        grows=("launches", "aten_ops", "python_calls"),
        free=(DEVICE,),
        per_layer={"launches": 1},
        operators=("residual",),
        why="some 32 times 1.2 µs of device time, which may lie under what is judged; the count of "
        "launches must see it. At the end of a layer's own forward, where its additions are: `residual`",
    ),
    Expectation(
        slowdown="python-per-layer",
        grows=("python_calls",),
        why="nothing but Python calls: neither the dispatcher nor the device hears of it",
    ),
    Expectation(
        slowdown="mlp-2",
        grows=(DEVICE, "launches", "aten_ops", "python_calls"),
        free=("allocated_bytes",),
        operators=("gate_proj", "up_proj"),
        exemptions=(_UNPACKS,),
        why=_MLP_WHY,
    ),
    Expectation(
        slowdown="mlp-5",
        grows=(DEVICE, "launches", "aten_ops", "python_calls"),
        free=("allocated_bytes",),
        operators=("gate_proj", "up_proj", "down_proj"),
        exemptions=(_UNPACKS,),
        why=_MLP_WHY,
    ),
)


def table() -> str:
    """Markdown: one line a slowdown, then what its exemptions free, and where."""
    headers = ("slowdown", "must grow", "must not move", "may move", "operators that must grow")
    rows, exempt = [], []
    for one in EXPECTATIONS:
        still = [metric for metric in METRICS if one.move(metric) is Move.STILL]
        rows.append(
            [
                markdown.code(one.slowdown),
                ", ".join(_exactly(one, metric) for metric in one.grows),
                ", ".join(still),
                ", ".join((*one.free, *one.free_operators)) or "–",
                ", ".join(one.operators) or "none may",
            ]
        )
        exempt += [
            f"- {markdown.code(one.slowdown)}, {e.where}: {', '.join((*e.metrics, *e.operators))} may move: {e.why}."
            for e in one.exemptions
        ]
    return "\n".join((markdown.table(headers, rows, left=range(len(headers))), "", *exempt))


def _exactly(expectation: Expectation, metric: str) -> str:
    growth = expectation.per_layer.get(metric)
    return metric if growth is None else f"{metric} (by {growth} a layer)"


if __name__ == "__main__":
    print(table())
