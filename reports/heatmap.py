"""A sweep of one GPU as a picture: tokens/s over batch and length, what limits, what fits."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke

from analytic import Phase, SpecError, text
from analytic.sweep import Bools, Sweep
from reports.palette import DPI, FAINT, INK, plain

# From dark blue to yellow, evenly rising in lightness: read alike by the colour-blind.
COLOURS = "cividis"
# More cells along an axis than a figure has pixels would show nothing.
MOST_CELLS = 1000
# Up to so many cells along both axes each one is lettered; up to so many ticks named.
_LETTERED, _TICKS = 12, 14
_HATCH = "//"


def draw(sweep: Sweep, *, gpu: int = 0) -> Figure:
    """Batches up, lengths to the right, a cell a point, whatever the distance to the
    next. `gpu` is an index into the sweep's. Artists carry gids: "tokens_per_s" (the
    cells), "limiter" (where memory and compute meet) and "unfit" (the hatching).

    Raises SpecError for a GPU without numbers and for more than MOST_CELLS of a size.
    """
    if sweep.notes[gpu]:
        raise SpecError(f"no heatmap: {sweep.notes[gpu]} for {sweep.precision.name}")
    rows, columns = sweep.lower_s.shape[1:]
    if max(rows, columns) > MOST_CELLS:
        raise SpecError(f"{rows} x {columns} cells are too many to draw: at most {MOST_CELLS} along an axis")
    figure = Figure(figsize=(10, 7), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _cells(axes, sweep, gpu)
    _unfit(axes, ~sweep.fits[gpu])
    _border(axes, ~sweep.fits[gpu], linewidth=0.8, edgecolor=INK, gid="unfit-border", zorder=3)
    halo = [withStroke(linewidth=5, foreground="white")]
    _border(axes, sweep.compute_bound[gpu], linewidth=2.2, path_effects=halo, gid="limiter", zorder=4)
    _ticks(axes, sweep)
    figure.suptitle(plain(title(sweep, gpu)), fontsize=13, color=INK)
    axes.set_title(
        f"at the lower bound by datasheet roofs; {text.gib(sweep.gpus[gpu].usable_bytes)} for weights and "
        "KV cache (activations left out)",
        fontsize=8,
        color=FAINT,
    )
    _legend(figure, sweep, gpu)
    return figure


def describe(sweep: Sweep, *, gpu: int = 0) -> str:
    """The figure in words, for who cannot see it."""
    rate, fits, compute = sweep.tokens_per_s[gpu], sweep.fits[gpu], sweep.compute_bound[gpu]
    low, high = (_point(sweep, int(at)) for at in (rate.argmin(), rate.argmax()))
    grid = f"{_span('batch', sweep.batches.tolist())} and {_span(_length(sweep), sweep.lengths.tolist())}"
    least, most = (text.tokens_per_s(float(value)) for value in (rate.min(), rate.max()))
    said = [f"{title(sweep, gpu)}, over {grid}: from {least} ({low}) to {most} ({high})."]
    if compute.any() and not compute.all():
        first = _point(sweep, int(compute.argmax()))
        said.append(
            f"Compute-bound in {compute.sum()} of {compute.size} points, at the least batch: {first}; "
            "memory-bound in the others."
        )
    else:
        said.append(f"{'Compute' if compute.all() else 'Memory'}-bound throughout.")
    if fits.all():
        said.append("Weights and KV cache fit throughout.")
    elif fits.any():
        first = _point(sweep, int(fits.argmin()))
        said.append(
            f"Weights and KV cache do not fit in {(~fits).sum()} of {fits.size} points, at the least batch: {first}."
        )
    else:
        said.append("Weights and KV cache fit nowhere.")
    return " ".join(said)


def title(sweep: Sweep, gpu: int) -> str:
    kind = "prompt tokens/s" if sweep.phase is Phase.PREFILL else "tokens/s"
    return f"{sweep.model} on {sweep.gpus[gpu].key}, {sweep.phase}, {sweep.precision.name}: {kind}"


def _length(sweep: Sweep) -> str:
    return "prompt" if sweep.phase is Phase.PREFILL else "context"


def _span(name: str, sizes: list[int]) -> str:
    return f"{name} {sizes[0]}" if len(sizes) == 1 else f"{name} {sizes[0]} to {sizes[-1]}"


def _point(sweep: Sweep, flat: int) -> str:
    b, n = divmod(flat, len(sweep.lengths))
    return f"batch {sweep.batches[b]}, {_length(sweep)} {sweep.lengths[n]}"


def _cells(axes: Axes, sweep: Sweep, gpu: int) -> None:
    rate = sweep.tokens_per_s[gpu]
    # A lone value, or equal ones, would leave the scale without extent.
    norm = LogNorm(vmin=float(rate.min()) * 0.999, vmax=float(rate.max()) * 1.001)
    cells = axes.pcolormesh(
        np.arange(rate.shape[1] + 1) - 0.5,
        np.arange(rate.shape[0] + 1) - 0.5,
        rate,
        cmap=COLOURS,
        norm=norm,
        gid="tokens_per_s",
    )
    marks = _marks(float(rate.min()), float(rate.max()))
    bar = axes.figure.colorbar(cells, ax=axes, ticks=marks, format=lambda v, _: text.tokens_per_s(v))
    bar.ax.minorticks_off()
    bar.set_label(f"{'prompt ' if sweep.phase is Phase.PREFILL else ''}tokens/s, all sequences (log scale)")
    if max(rate.shape) > _LETTERED:
        return
    for (b, n), value in np.ndenumerate(rate):
        letter = "c" if sweep.compute_bound[gpu, b, n] else "m"
        light = norm(value) > 0.47
        outline = withStroke(linewidth=4, foreground=cells.cmap(norm(value)))
        axes.text(
            n,
            b,
            f"{text.tokens_per_s(float(value))}\n{letter}",
            ha="center",
            va="center",
            fontsize=7.5,
            color="black" if light else "white",
            path_effects=[outline],
            zorder=5,
        )


def _marks(low: float, high: float) -> list[float]:
    """Ticks at 1, 2 and 5 times a power of ten; the ends themselves where fewer than two are between."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    found = [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]
    return found if len(found) > 1 else sorted({low, high})


def _unfit(axes: Axes, unfit: Bools) -> None:
    """Hatches runs of cells, row by row, as one patch."""
    outlines = []
    for b, row in enumerate(unfit):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False]))))
        for left, right in edges.reshape(-1, 2) - 0.5:
            corners = ((left, b - 0.5), (right, b - 0.5), (right, b + 0.5), (left, b + 0.5), (left, b - 0.5))
            outlines.append(Outline(corners, closed=True))
    if outlines:
        patch = PathPatch(
            Outline.make_compound_path(*outlines),
            fill=False,
            hatch=_HATCH,
            linewidth=0,
            edgecolor=(1, 1, 1, 0.6),
        )
        patch.set(gid="unfit", zorder=2)
        axes.add_patch(patch)


def _border(axes: Axes, mask: Bools, **style: Any) -> None:
    """A line along the cell edges where `mask` changes."""
    beside = np.argwhere(mask[:, 1:] != mask[:, :-1])
    above = np.argwhere(mask[1:] != mask[:-1])
    edges = [((n + 0.5, b - 0.5), (n + 0.5, b + 0.5)) for b, n in beside]
    edges += [((n - 0.5, b + 0.5), (n + 0.5, b + 0.5)) for b, n in above]
    if edges:
        # One path, so that no piece's halo covers its neighbour.
        codes = [Outline.MOVETO, Outline.LINETO] * len(edges)
        outline = Outline([end for edge in edges for end in edge], codes)
        axes.add_patch(PathPatch(outline, fill=False, capstyle="round", **style))


def _ticks(axes: Axes, sweep: Sweep) -> None:
    for axis, sizes in ((axes.xaxis, sweep.lengths.tolist()), (axes.yaxis, sweep.batches.tolist())):
        places = range(0, len(sizes), -(-len(sizes) // _TICKS))
        axis.set_ticks(list(places), [f"{sizes[i]}" for i in places])
    axes.set_xlabel("prompt length, tokens" if sweep.phase is Phase.PREFILL else "context, cached tokens")
    axes.set_ylabel("batch, sequences")


def _legend(figure: Figure, sweep: Sweep, gpu: int) -> None:
    compute, lettered = sweep.compute_bound[gpu], max(sweep.lower_s.shape[1:]) <= _LETTERED
    entries: list[Patch | Line2D] = []
    if compute.any() and not compute.all():
        more = "m memory, c compute" if lettered else _sides(compute)
        entries.append(Line2D([], [], color="black", linewidth=2.2, label=f"limit changes: {more}"))
    else:
        entries.append(
            Patch(fill=False, linewidth=0, label=f"all {'compute' if compute.all() else 'memory'}-bound")
        )
    if not sweep.fits[gpu].all():
        label = "hatched: weights and KV cache do not fit"
        entries.append(Patch(facecolor="#7C7B78", edgecolor="white", hatch=_HATCH, linewidth=0, label=label))
    figure.legend(handles=entries, loc="outside lower center", ncols=2, fontsize=8, frameon=False)


def _sides(compute: Bools) -> str:
    """Where the compute-bound cells are, by their mean place against the others'."""
    places, others = np.argwhere(compute).mean(axis=0), np.argwhere(~compute).mean(axis=0)
    up, right = places - others
    if abs(up) >= abs(right):
        return (
            f"compute-bound {'above' if up > 0 else 'below'}, memory-bound {'below' if up > 0 else 'above'}"
        )
    return (
        f"compute-bound {'right' if right > 0 else 'left'}, memory-bound {'left' if right > 0 else 'right'}"
    )
