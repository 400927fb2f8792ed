"""The figures of a run, drawn once: stored beside the summary, and shown on the page."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from reports import breakdown, operators, roofline
from reports.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """`operators` is None where kernels were not told apart."""

    roofline: Figure
    breakdown: Figure
    operators: Figure | None


def figures_of(report: Report) -> Figures:
    derived, ceilings = report.derived, report.ceilings
    by_operator = operators.draw(derived, ceilings)
    return Figures(
        roofline=_settled(roofline.draw(derived, ceilings)),
        breakdown=_settled(breakdown.draw(derived, ceilings)),
        operators=None if by_operator is None else _settled(by_operator),
    )


def _settled(figure: Figure) -> Figure:
    """With its layout found once, and not again each time that it is stored."""
    if figure.get_constrained_layout():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure
