"""generate() in four panels: tokens/s, FLOP/s against the peak, time, FLOPs by phase."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analytic import Ceilings, Phase, text
from baselines.derived import CPU, Derived
from reports.generation import Generation, generations
from reports.layout import settled
from reports.palette import DPI, FAINT, GRID, INK, PHASE_MARKERS, PRECISION_COLOURS, crown, heading

NOT_MEASURED = "not measured"

# A second series of one precision (another batch, another engine) is hatched.
_HATCHES = ("", "//", "..", "xx", "\\\\")
_PREFILL, _DECODE = "#009E73", "#CC79A7"

Series = dict[str, list[Generation]]


def draw(derived: Sequence[Derived], ceilings: Ceilings | None) -> Figure:
    """The generate() cases by prompt length, one series per precision (and per
    batch, output length and engine where these differ). A panel without any
    case says so. Artists carry gids: "tokens_per_s:<case id>",
    "prefill_flops_per_s:…", "decode_flops_per_s:…", "flops_per_s:…",
    "wall_s:…", "prefill_flops:…", "decode_flops:…", and the lines "roof:<dtype>"
    and "ceiling:<dtype>".
    """
    figure = Figure(figsize=(12, 8.4), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    title, subtitle = heading(derived)
    crown(figure, f"generate(): {title}", subtitle)
    panels = figure.subplots(2, 2).flatten()
    found = generations(derived)
    series, prompts = _series(found), sorted({g.case.length for g in found})
    for axes, (name, unit) in zip(panels, _PANELS, strict=True):
        axes.set_title(name, fontsize=10, color=INK)
        axes.set_ylabel(unit)
        axes.set_xlabel("prompt length, tokens")
        if not found:
            axes.set(xticks=[], yticks=[])
            axes.text(0.5, 0.5, NOT_MEASURED, ha="center", va="center", color=FAINT, transform=axes.transAxes)
            continue
        axes.set_xticks(range(len(prompts)), [str(p) for p in prompts])
        axes.grid(visible=True, axis="y", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
    if found:
        _throughput(panels[0], series, prompts)
        _rates(panels[1], series, prompts, derived, ceilings)
        _times(panels[2], series, prompts)
        _flops(panels[3], found, prompts)
        for axes in panels:
            # A lone prompt length should not fill the panel with one bar.
            room = max(0.6, (3 - len(prompts)) / 2)
            axes.set_xlim(-room, len(prompts) - 1 + room)
    return settled(figure)


_PANELS = (
    ("Decode throughput, prefill left out", "tokens/s"),
    ("Achieved against peak", "FLOP/s"),
    ("Time of the whole call, prefill at the foot", "seconds"),
    ("FLOPs by phase, from the model", "FLOP"),
)


def _series(found: Sequence[Generation]) -> Series:
    """Cases by the words that tell them apart, besides the prompt length."""
    sizes = {(g.case.batch, g.case.output_len) for g in found}
    engines = {g.case.engine for g in found}
    grouped: Series = {}
    for g in found:
        words = [g.case.precision]
        if len(sizes) > 1:
            words.append(f"b{g.case.batch} n{g.case.output_len}")
        if len(engines) > 1:
            words.append(g.case.engine)
        grouped.setdefault(" ".join(words), []).append(g)
    return grouped


def _throughput(axes: Axes, series: Series, prompts: Sequence[int]) -> None:
    def bar(g: Generation, x: float, width: float, style: dict[str, Any]) -> None:
        rate = g.derived.tokens_per_s
        axes.bar(x, rate, width, gid=f"tokens_per_s:{g.case.id}", **style)
        axes.text(x, rate, text.tokens_per_s(rate), ha="center", va="bottom", fontsize=7, color=INK)

    _bars(axes, series, prompts, bar)


def _times(axes: Axes, series: Series, prompts: Sequence[int]) -> None:
    def bar(g: Generation, x: float, width: float, style: dict[str, Any]) -> None:
        error = g.wall_sd_s or 0.0
        axes.bar(
            x,
            g.derived.wall_s,
            width,
            yerr=error,
            ecolor=INK,
            capsize=3,
            gid=f"wall_s:{g.case.id}",
            **style,
        )
        axes.bar(x, g.prefill_s, width, color=INK, alpha=0.45, gid=f"prefill_s:{g.case.id}")

    _bars(axes, series, prompts, bar)


def _bars(
    axes: Axes,
    series: Series,
    prompts: Sequence[int],
    bar: Callable[[Generation, float, float, dict[str, Any]], None],
) -> None:
    """Calls `bar` with place, width and style of each case: beside one another
    within a prompt length, in the order of the series."""
    width = 0.8 / len(series)
    seen: dict[str, int] = {}
    for i, (name, members) in enumerate(series.items()):
        precision = members[0].case.precision
        hatch = _HATCHES[seen.get(precision, 0) % len(_HATCHES)]
        seen[precision] = seen.get(precision, 0) + 1
        style = {"color": PRECISION_COLOURS[precision], "hatch": hatch, "edgecolor": "white"}
        for g in members:
            place = prompts.index(g.case.length) + (i - (len(series) - 1) / 2) * width
            bar(g, place, width * 0.94, style)
        axes.bar(0, 0, color=style["color"], hatch=hatch, edgecolor="white", label=name)
    axes.margins(y=0.25)
    axes.legend(fontsize=8, frameon=False, loc="upper left", ncols=min(4, len(series)))


def _rates(
    axes: Axes,
    series: Series,
    prompts: Sequence[int],
    derived: Sequence[Derived],
    ceilings: Ceilings | None,
) -> None:
    axes.set_yscale("log")
    step = 0.5 / len(series)
    for i, members in enumerate(series.values()):
        for g in members:
            x = prompts.index(g.case.length) + (i - (len(series) - 1) / 2) * step
            for marker, rate, kind in (
                (PHASE_MARKERS[Phase.PREFILL], g.prefill_flops_per_s, "prefill_flops_per_s"),
                (PHASE_MARKERS[Phase.GENERATE], g.flops_per_s, "flops_per_s"),
                (PHASE_MARKERS[Phase.DECODE], g.decode_flops_per_s, "decode_flops_per_s"),
            ):
                colour = PRECISION_COLOURS[g.case.precision]
                axes.plot([x], [rate], marker=marker, color=colour, gid=f"{kind}:{g.case.id}")
    for phase, name in ((Phase.PREFILL, "prefill"), (Phase.GENERATE, "whole call"), (Phase.DECODE, "decode")):
        axes.plot([], [], marker=PHASE_MARKERS[phase], color=INK, linestyle="none", label=name)
    _peaks(axes, derived, ceilings)
    low, high = axes.get_ylim()
    axes.set_ylim(low / 2, high * 8)
    axes.yaxis.set_major_formatter(lambda value, _: text.scaled(value, "FLOP/s"))
    axes.legend(fontsize=8, frameon=False, loc="upper left", ncols=3)


def _peaks(axes: Axes, derived: Sequence[Derived], ceilings: Ceilings | None) -> None:
    """The compute roofs of the dtypes that generate() multiplied in."""
    for dtype in dict.fromkeys(d.costs[0].math for d in derived if d.record.case.phase is Phase.GENERATE):
        if derived[0].record.gpu != CPU:
            _peak(axes, derived[0].roofs.peak(dtype), f"roof:{dtype}", f"{dtype} datasheet", measured=False)
        if ceilings is not None and dtype in ceilings.gemm_flops_per_s:
            rate = ceilings.gemm_flops_per_s[dtype]
            _peak(axes, rate, f"ceiling:{dtype}", f"{dtype} measured", measured=True)


def _peak(axes: Axes, rate: float, gid: str, name: str, *, measured: bool) -> None:
    colour = FAINT if measured else INK
    axes.axhline(rate, color=colour, linewidth=1.2, linestyle="--" if measured else "-", gid=gid)
    axes.annotate(
        f"{name} {text.scaled(rate, 'FLOP/s')}",
        (0.99, rate),
        xycoords=("axes fraction", "data"),
        xytext=(0, -3 if measured else 3),
        textcoords="offset points",
        ha="right",
        va="top" if measured else "bottom",
        fontsize=7.5,
        color=colour,
    )


def _flops(axes: Axes, found: Sequence[Generation], prompts: Sequence[int]) -> None:
    """FLOPs do not depend on the precision: one pair of bars per work done."""
    work: dict[tuple[int, int | None], dict[int, Generation]] = {}
    for g in found:
        work.setdefault((g.case.batch, g.case.output_len), {}).setdefault(g.case.length, g)
    width = 0.8 / (2 * len(work))
    for i, ((batch, output_len), members) in enumerate(sorted(work.items())):
        for j, (phase, colour) in enumerate((("prefill", _PREFILL), ("decode", _DECODE))):
            hatch = _HATCHES[i % len(_HATCHES)]
            for k, g in enumerate(members.values()):
                flops = g.prefill_flops if phase == "prefill" else g.decode_flops
                x = prompts.index(g.case.length) + (2 * i + j - (2 * len(work) - 1) / 2) * width
                axes.bar(
                    x,
                    flops,
                    width * 0.94,
                    color=colour,
                    hatch=hatch,
                    edgecolor="white",
                    gid=f"{phase}_flops:{g.case.id}",
                    label=f"{phase}, b{batch} n{output_len}" if k == 0 else None,
                )
                axes.text(
                    x,
                    flops,
                    text.scaled(flops, "FLOP").replace(" ", "\n"),
                    ha="center",
                    va="bottom",
                    fontsize=7,
                    color=INK,
                )
    axes.yaxis.set_major_formatter(lambda value, _: text.scaled(value, "FLOP"))
    axes.margins(y=0.25)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
