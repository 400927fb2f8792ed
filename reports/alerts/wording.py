"""Text from records that nobody can use to speak in Roofgate's name: in an issue, a chat."""

import re

from baselines.markdown import escape

# What GitHub makes of an issue and of its title at the most, in characters.
MOST_BODY, MOST_TITLE = 65_536, 256

# A chat shows a message, not a report.
MOST_MESSAGE = 3000

_CALLS = re.compile(r"@(?=\w)|#(?=\d)|\bGH-(?=\d)", re.IGNORECASE)


def safe(text: str) -> str:
    """`text` on one line of GitHub's Markdown: no markup, no one mentioned by it, and no
    issue linked to. The comment that stands between is not shown."""
    return _CALLS.sub(lambda match: f"{match[0]}<!-- -->", escape(text))


def fitting(head: str, sections: list[str], *, pointer: str, most: int = MOST_BODY) -> str:
    """`head` and as many of the sections as fit below it; `pointer` says where the rest
    is. `head` is cut only where it alone is too long."""
    end = f"\n\n{pointer}"
    text = head if len(head) <= most - len(end) else f"{head[: most - len(end) - 1]}…"
    for number, section in enumerate(sections):
        room = most - (len(end) if number < len(sections) - 1 else 0)
        if len(text) + 2 + len(section) > room:
            return text + end
        text = f"{text}\n\n{section}"
    return text if text.startswith(head) else text + end


def title(text: str) -> str:
    """One line of an issue's title, cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_TITLE else f"{line[: MOST_TITLE - 1]}…"


def chat(text: str) -> str:
    """A message in Slack's form, in which &, < and > are markup. Other chats take an @
    for a mention: what follows it stands behind a space of no width."""
    cut = text if len(text) <= MOST_MESSAGE else f"{text[: MOST_MESSAGE - 1]}…"
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        cut = cut.replace(sign, name)
    return re.sub(r"@(?=\w)", "@\u200b", cut)
