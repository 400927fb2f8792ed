"""The report's Markdown as HTML: the same words as in summary.md, escaped by the parser."""

import re
from functools import cache

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from baselines.verdict import Status
from reports.headline import STANDS, Stand
from reports.table import NOT_JUDGED

# A cell that holds nothing but a status: its words stay, and it is marked as one.
_STATUS = re.compile(rf"<td>({'|'.join((*Status, NOT_JUDGED))})</td>")


@cache
def _parser() -> MarkdownIt:
    """Tables, emphasis, code, lists and headings: all that a report is made of. What would
    be a link, a picture or HTML can only come from outside, and stays text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    return parser.disable(["link", "image", "autolink", "html_block", "html_inline", "reference"])


def html(markdown: str, *, name: str) -> Markup:
    """`name` says what a table is of: it can be scrolled, and is then announced so."""
    rendered = _parser().render(markdown)
    region = f'<div class="scroll" role="region" aria-label="{escape(name)}" tabindex="0"><table>'
    rendered = rendered.replace("<table>", region).replace("</table>", "</table></div>")
    # In place of style attributes, of which there would be one a cell.
    rendered = rendered.replace(' style="text-align:right"', ' class="number"')
    rendered = rendered.replace(' style="text-align:left"', "")
    return Markup(_STATUS.sub(_marked, rendered))  # noqa: S704 - the parser has escaped all text


def _marked(cell: re.Match[str]) -> str:
    stand = STANDS[Status(cell[1])] if cell[1] != NOT_JUDGED else Stand.NOT_JUDGED
    return f'<td><span class="status {stand_class(stand)}">{cell[1]}</span></td>'


def stand_class(stand: Stand) -> str:
    """The CSS class of a stand."""
    return f"is-{stand.value.replace(' ', '-')}"
