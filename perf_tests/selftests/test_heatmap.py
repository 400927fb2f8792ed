"""The heatmap of a sweep: what it draws, what it says, and its command line."""

from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from PIL import Image

from analytic import Phase, SpecError, find_gpu, find_precision, load_model
from analytic.sweep import Sweep, sweep
from reports.__main__ import main
from reports.heatmap import describe, draw

BATCHES, CONTEXTS = [1, 32, 512], [128, 4096]


def grid(**changes: Any) -> Sweep:
    """Llama-3-8B on an H100: memory-bound and fitting below, neither at the top."""
    chosen = {
        "model": load_model("llama-3-8b"),
        "phase": Phase.DECODE,
        "batches": BATCHES,
        "lengths": CONTEXTS,
        "gpus": [find_gpu("h100-sxm")],
        "precision": find_precision("fp16"),
    }
    return sweep(**{**chosen, **changes})


def artist(figure: Figure, gid: str) -> Any:
    found = figure.findobj(lambda each: each.get_gid() == gid)
    return found[0] if found else None


def extent(figure: Figure, gid: str) -> list[list[float]]:
    """The lowest and the highest corner of a patch, in cells."""
    box = artist(figure, gid).get_path().get_extents()
    return [[box.x0, box.y0], [box.x1, box.y1]]


def test_a_cell_is_a_points_tokens_per_s() -> None:
    found = grid()
    cells = artist(draw(found), "tokens_per_s")

    assert isinstance(cells, QuadMesh)
    assert np.array_equal(cells.get_array(), found.tokens_per_s[0])
    assert cells.norm.vmin < found.tokens_per_s.min() < found.tokens_per_s.max() < cells.norm.vmax


def test_the_line_and_the_hatching_are_where_the_sweep_changes() -> None:
    found = grid()
    assert found.compute_bound[0].tolist() == [[False, False], [False, False], [True, False]]
    assert found.fits[0].tolist() == [[True, True], [True, True], [True, False]]
    figure = draw(found)

    # Around the cell (context 128, batch 512), whose own left and top are the frame's.
    assert extent(figure, "limiter") == [[-0.5, 1.5], [0.5, 2.5]]
    assert extent(figure, "unfit") == [[0.5, 1.5], [1.5, 2.5]]


def test_where_nothing_changes_there_is_no_line() -> None:
    figure = draw(grid(batches=[1], lengths=[128]))

    assert artist(figure, "limiter") is None
    assert artist(figure, "unfit") is None
    legend = [entry.get_text() for entry in figure.legends[0].get_texts()]
    assert legend == ["all memory-bound"]


def test_axes_and_title_name_the_sizes() -> None:
    figure = draw(grid())
    axes = figure.axes[0]

    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["128", "4096"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["1", "32", "512"]
    assert axes.get_xlabel() == "context, cached tokens"
    assert figure.get_suptitle() == "llama-3-8b on h100-sxm, decode, fp16: tokens/s"
    prefill = draw(grid(phase=Phase.PREFILL, batches=[1], lengths=[16, 32]))
    assert prefill.axes[0].get_xlabel() == "prompt length, tokens"


def test_a_large_grid_has_no_numbers_in_its_cells_and_says_which_side_is_which() -> None:
    figure = draw(grid(batches=range(1, 600, 2), lengths=range(16, 400, 16)))

    assert not figure.axes[0].texts
    assert len(draw(grid()).axes[0].texts) == 6
    assert figure.legends[0].get_texts()[0].get_text().startswith("limit changes: compute-bound above")


def test_the_words_say_what_the_picture_shows() -> None:
    found = grid()
    least, most = found.tokens_per_s[0].min(), found.tokens_per_s[0].max()

    assert describe(found) == (
        "llama-3-8b on h100-sxm, decode, fp16: tokens/s, over batch 1 to 512 and context 128 to 4096: "
        f"from {least:.1f} (batch 1, context 4096) to {most:,.0f} (batch 512, context 128). "
        "Compute-bound in 1 of 6 points, at the least batch: batch 512, context 128; memory-bound in the "
        "others. Weights and KV cache do not fit in 1 of 6 points, at the least batch: batch 512, context 4096."
    )
    one = describe(grid(batches=[1], lengths=[128]))
    assert one.endswith("Memory-bound throughout. Weights and KV cache fit throughout.")
    nowhere = describe(grid(gpus=[find_gpu("t4")]))
    assert nowhere.endswith("Weights and KV cache fit nowhere.")


def test_what_cannot_be_drawn() -> None:
    two = grid(gpus=[find_gpu("h100-sxm"), find_gpu("t4")], precision=find_precision("bf16"))
    with pytest.raises(SpecError, match="no heatmap: t4 has no bf16 units"):
        draw(two, gpu=1)
    with pytest.raises(SpecError, match="1001 x 2 cells are too many"):
        draw(grid(batches=range(1, 1002)))


def heatmap(*rest: str, gpu: str = "t4") -> int:
    return main(["heatmap", "gpt2", "--gpu", gpu, "--phase", "decode", "--context", "128,256", *rest])


def test_the_command_stores_a_png_with_its_text(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "map.png"

    assert heatmap("--batch", "1..8x2", "--out", str(path)) == 0
    said, where = capsys.readouterr().out.splitlines()
    assert where == str(path)
    assert said.startswith("gpt2 on t4, decode, fp16: tokens/s, over batch 1 to 8 and context 128 to 256")
    assert matplotlib.image.imread(path).shape[1] > 1000
    with Image.open(path) as picture:
        assert picture.info["Description"] == said


@pytest.mark.parametrize(
    ("rest", "gpu", "message"),
    [
        ((), "t4,l4", "a heatmap shows one GPU and one precision"),
        (("--precision", "fp16,nf4"), "t4", "a heatmap shows one GPU and one precision"),
        (("--precision", "bf16"), "t4", "has no bf16 units"),
        (("--batch", "1..2000+1"), "t4", "cells are too many"),
        (("--batch", "0"), "t4", "sizes are at least 1"),
        (("--out", "/no/such/folder/map.png"), "t4", "/no/such/folder/map.png: No such file"),
    ],
)
def test_bad_input_exits_2_with_one_line(
    rest: tuple[str, ...], gpu: str, message: str, capsys: pytest.CaptureFixture
) -> None:
    assert heatmap(*rest, gpu=gpu) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1
