"""Where a figure's parts stand: found once, not again each time that it is stored."""

import matplotlib as mpl
from matplotlib.figure import Figure


def laid_out(figure: Figure) -> None:
    """Finds the places of a figure's axes; they may be found again when it is drawn."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)


def settled(figure: Figure) -> Figure:
    """The figure with its places found, and kept."""
    laid_out(figure)
    # "none" would leave an engine that does nothing, for which savefig draws everything twice.
    with mpl.rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)
    return figure
