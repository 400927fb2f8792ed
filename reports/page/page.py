"""A run's report as one HTML file: the sections of the text, with pictures, bars and charts."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from analytic import text
from reports.figures import Figures
from reports.headline import MEANINGS, Stand, Tally, asks, sentence
from reports.nights import followed
from reports.page.bars import KINDS, Bar, bars
from reports.page.chart import Chart
from reports.page.charts import batch_charts, length_charts, night_charts
from reports.page.picture import Picture, picture
from reports.page.prose import html, stand_class
from reports.page.tips import (
    breakdown_words,
    operator_tips,
    operator_words,
    roofline_tips,
    roofline_words,
)
from reports.report import Report
from reports.summary import Section, sections, title_of

# What an empty section says on the page: nothing is left out in silence.
_NOTHING = {
    "What moved": "No operator or kernel is known to have moved against the baselines; what a step does more of "
    "is told with its verdict.",
    "Not measured": "All that was planned was measured.",
    "Nights": "The history holds no other night that these cases can be compared with.",
    "generate()": "",
    "Other GPUs": "Computed for eager execution alone.",
}
_NOT_MEASURED = "Not measured in this run."


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What stands above a section's words."""

    tallies: tuple[Tally, ...] = ()
    pictures: tuple[Picture, ...] = ()
    bars: tuple[Bar, ...] = ()
    charts: tuple[Chart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One section of the page: what is drawn, and its words as HTML."""

    id: str
    title: str
    drawn: Drawn
    words: Markup


def page(report: Report, figures: Figures) -> str:
    """The whole file, in UTF-8. It names no other: pictures are drawn in it."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"stand_class": stand_class, "counted": text.counted}
    template = environment.from_string(_asset("page.html.jinja"))
    drawn = _drawn(report, figures)
    blocks = tuple(
        Block(
            id=_id(section.title),
            title=section.title,
            drawn=drawn.get(section.title, Drawn()),
            words=html(_words(section, report), name=section.title),
        )
        for section in sections(report)
    )
    record = report.derived[0].record
    return template.render(
        title=title_of(report),
        verdict=sentence(report.tallies, report.standings),
        failed=any(t.stand is Stand.FAILED and t.cases for t in report.tallies),
        info=report.info,
        device=record.hard.device,
        blocks=blocks,
        meanings=MEANINGS,
        kinds=KINDS,
        style=Markup(_asset("page.css")),  # noqa: S704 - our own file
    )


def _words(section: Section, report: Report) -> str:
    """The sentence of the verdict stands at the top of the page already."""
    if section.title == "Verdict":
        return asks(report.tallies, report.standings)
    return section.body or _NOTHING.get(section.title, _NOT_MEASURED)


def _asset(name: str) -> str:
    return files("reports.page").joinpath(name).read_text(encoding="utf-8")


def _id(title: str) -> str:
    """The section's anchor."""
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def _drawn(report: Report, figures: Figures) -> Mapping[str, Drawn]:
    """By the section's title."""
    return {
        "Verdict": Drawn(tallies=report.tallies),
        "Results": Drawn(pictures=(_roofline(report, figures),)),
        "generate()": Drawn(pictures=(_breakdown(report, figures),)),
        "Where the time goes": Drawn(bars=bars(report.derived), pictures=_operators(report, figures)),
        "Batch scaling": Drawn(charts=batch_charts(report.batches)),
        "Length scaling": Drawn(charts=length_charts(report.lengths)),
        "Nights": Drawn(charts=night_charts(followed(report.nights))),
    }


def _roofline(report: Report, figures: Figures) -> Picture:
    return picture(
        figures.roofline,
        name="roofline",
        words=roofline_words(report.derived),
        tips=roofline_tips(report.derived),
    )


def _breakdown(report: Report, figures: Figures) -> Picture:
    return picture(figures.breakdown, name="breakdown", words=breakdown_words(report.derived), tips={})


def _operators(report: Report, figures: Figures) -> tuple[Picture, ...]:
    if figures.operators is None:
        return ()
    tips = operator_tips(report.derived, report.ceilings)
    return (picture(figures.operators, name="operators", words=operator_words(report.derived), tips=tips),)
