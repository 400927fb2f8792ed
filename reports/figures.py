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
    return Figures(
        roofline=roofline.draw(derived, ceilings),
        breakdown=breakdown.draw(derived, ceilings),
        operators=operators.draw(derived, ceilings),
    )
