"""What the figures share: colours, markers and the words of a title."""

from collections.abc import Sequence
from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from analytic import Phase
from baselines.derived import Derived

# Okabe and Ito's palette, told apart by the colour-blind as well.
PRECISION_COLOURS = {
    "fp32": "#009E73",
    "fp16": "#0072B2",
    "bf16": "#56B4E9",
    "int8": "#E69F00",
    "nf4": "#D55E00",
    "nf4-dq": "#CC79A7",
}
PHASE_MARKERS = {Phase.PREFILL: "s", Phase.DECODE: "o", Phase.GENERATE: "D"}
# Names are placed in pixels, so a figure is saved at the resolution it is made for.
DPI = 150
INK = "#333333"
FAINT = "#8A8A8A"
GRID = "#E4E4E4"
_TITLE_PT = 13


def plain(text: str) -> str:
    """`text` as a figure can show it: a dollar in a name begins no formula, and what the
    font lacks is seen to be missing."""
    shown = (c if c == "\n" or ord(c) in _glyphs() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return "".join(shown).replace("$", r"\$")


@cache
def _glyphs() -> frozenset[int]:
    """The characters of Matplotlib's font, by code point. Of any other it warns."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def heading(derived: Sequence[Derived]) -> tuple[str, str]:
    """(model on device, run and on a line of its own its versions) for the top of a figure."""
    record = derived[0].record
    models = ", ".join(dict.fromkeys(d.record.model.name for d in derived))
    return (
        plain(f"{models} on {record.hard.device}"),
        plain(
            f"run {record.run} · commit {record.commit}{' (dirty)' if record.dirty else ''}\n{versions(derived[0])}"
        ),
    )


def crown(figure: Figure, title: str, subtitle: str) -> None:
    """The title above all panels of a figure, with two small lines under it: for a
    constrained layout, in which only the title takes room."""
    figure.suptitle(f"{title}\n\n", fontsize=_TITLE_PT, color=INK)
    under = 1 - 1.9 * _TITLE_PT / 72 / figure.get_figheight()
    figure.text(0.5, under, subtitle, ha="center", va="top", fontsize=8, color=FAINT)


def versions(derived: Derived) -> str:
    """The software that a case ran on, as far as it is known."""
    soft = derived.record.soft
    known = (
        ("torch", soft.torch),
        ("transformers", soft.transformers),
        ("bitsandbytes", soft.bitsandbytes),
        ("CUDA", soft.cuda),
        ("driver", soft.driver),
        ("Python", soft.python),
    )
    return ", ".join(f"{name} {version}" for name, version in known if version)


def precisions(derived: Sequence[Derived]) -> tuple[str, ...]:
    """The precisions in use, in the palette's order."""
    used = {d.record.case.precision for d in derived}
    return tuple(p for p in PRECISION_COLOURS if p in used)
