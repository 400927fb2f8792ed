"""What one naive error is, and the short cuts by which its size is computed."""

from dataclasses import dataclass
from typing import Any

from analytic import Cost, GpuSpec, ModelSpec, Operator, find_config, find_precision, load_model, pass_cost
from analytic import text as words
from analytic.bound import Bound, pass_bound
from analytic.config_file import read_config, read_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A figure as it is right and as the error has it; `too` ("high" or "low") is
    what the page claims of the naive one, and a test checks. Units are SI."""

    of: str
    unit: str
    right: float
    naive: float
    too: str

    @property
    def is_as_claimed(self) -> bool:
        return self.naive > self.right if self.too == "high" else 0 <= self.naive < self.right

    @property
    def text(self) -> str:
        return (
            f"{self.of}: {_value(self.naive, self.unit)} for {_value(self.right, self.unit)}, {self.change}"
        )

    @property
    def change(self) -> str:
        """By how much: a factor from 2 on, else per cent of the right figure."""
        factor = max(self.naive / self.right, self.right / self.naive) if self.naive else 1.0
        if factor >= 1.995:
            return f"{factor:.3g} × too {self.too}"
        return f"{abs(self.naive / self.right - 1) * 100:.2g} % too {self.too}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NaiveError:
    """An error of published models. `guards` are tests, "folder/file::function" below
    perf_tests, that fail when the model of `analytic` makes it."""

    number: int
    error: str
    seen_in: str
    correct: str
    sizes: tuple[Size, ...]
    guards: tuple[str, ...]


def _value(value: float, unit: str) -> str:
    if unit == "s":
        return words.seconds(value)
    if unit == "parameters":
        return f"{value / 1e6:,.1f} M parameters"
    if unit in ("FLOP/B", "tokens/s", "experts"):
        return f"{value:.4g} {unit}"
    return words.scaled(value, unit)


def cost(model: ModelSpec, new: int, cached: int, *, precision: str = "fp16", **more: Any) -> Cost:
    """A pass of one sequence unless `more` has a batch."""
    return pass_cost(
        model,
        **{"batch": 1, **more},
        new_tokens=new,
        context_len=cached,
        precision=find_precision(precision),
    )


def prefill(model: ModelSpec, tokens: int, **more: Any) -> Cost:
    return cost(model, tokens, 0, **more)


def decode(model: ModelSpec, cached: int, **more: Any) -> Cost:
    return cost(model, 1, cached, **more)


def operator(of: Cost, name: str) -> Operator:
    return next(op for op in of.operators if op.name == name)


def bound(of: Cost, gpu: GpuSpec) -> Bound:
    return pass_bound(of, gpu.roofs)


def misread(preset: str, **fields: Any) -> ModelSpec:
    """The preset with config fields as a naive reader would have them."""
    config = read_file(find_config(preset)) | fields
    return read_config(config, name=preset, source=f"{preset}, misread")


MISTRAL = load_model("mistral-7b-v0.1")
