"""A figure of matplotlib's as a part of the page: SVG without outside references, in the
page's colours, with words for those who do not see it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from xml.etree import ElementTree as ET

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from reports.palette import FAINT, GRID, INK, PRECISION_COLOURS

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"

# The figures' colours as the page's, which differ in the dark. matplotlib writes them small.
_COLOURS = {
    "#000000": "var(--ink)",
    INK.lower(): "var(--ink)",
    FAINT.lower(): "var(--faint)",
    GRID.lower(): "var(--line)",
    "#ffffff": "var(--paper)",
    **{colour.lower(): f"var(--{name})" for name, colour in PRECISION_COLOURS.items()},
}
_HEX = re.compile(r"#[0-9a-f]{6}\b")
_LOCAL = re.compile(r"url\(#")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """`words` is what it shows, in a sentence or two."""

    svg: Markup
    words: str


def picture(figure: Figure, *, name: str, words: str, tips: Mapping[str, str]) -> Picture:
    """`name` keeps its ids apart from those of other pictures on the page; `tips` are shown
    at the artist of that gid."""
    root = ET.fromstring(_drawn(figure, name))  # noqa: S314 - matplotlib's own
    ids: dict[str, ET.Element] = {}
    for element in root.iter():
        if found := element.get("id"):
            if found in ids:  # the roofs of a second panel
                element.set("id", f"{found}-{len(ids)}")
            ids.setdefault(found, element)
        for key, value in element.attrib.items():
            element.set(key, _own(key, value, name))
    for gid, tip in tips.items():
        if gid in ids:
            title = ET.Element(f"{{{_SVG}}}title")
            title.text = tip
            ids[gid].insert(0, title)
    for unwanted in ("width", "height", "version"):
        root.attrib.pop(unwanted, None)
    root.set("role", "img")
    root.set("aria-label", words)
    for parent in root.iter(f"{{{_SVG}}}defs"):
        for style in parent.findall(f"{{{_SVG}}}style"):
            parent.remove(style)  # it would reach the whole page
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    return Picture(svg=Markup(ET.tostring(root, encoding="unicode")), words=words)  # noqa: S704 - escaped there


def _drawn(figure: Figure, name: str) -> bytes:
    """Letters as shapes: their places were found for this very font."""
    into = BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": name}):
        figure.savefig(into, format="svg", metadata=nothing)
    return into.getvalue()


def _own(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href"):
        return f"#{name}-{value.removeprefix('#')}"
    if key in ("style", "fill", "stroke"):
        value = _HEX.sub(lambda found: _COLOURS.get(found[0], found[0]), value)
    return _LOCAL.sub(f"url(#{name}-", value)
