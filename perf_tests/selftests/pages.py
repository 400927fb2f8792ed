"""Pages made for tests, and what can be read off them without a browser."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

from matplotlib.figure import Figure

from baselines.history.keeping import keep
from baselines.history.place import NO_HISTORY, Place
from baselines.record import Record
from baselines.run import RunFolder, Verdicts
from baselines.store import Store
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import DECODE, conditions, kernel, record, run_folder
from reports.figures import Figures, figures_of
from reports.page.page import page
from reports.report import report_of

PREFILL = "prefill-b1-p512-fp16-eager"
GENERATE = "generate-b1-p64-n32-fp16-eager"

# Elements that have no end.
_VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass(slots=True)
class Element:
    tag: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its words, blanks squeezed; without those of an SVG's tips."""
        if self.tag in ("style", "title"):
            return ""
        return " ".join("".join(c if isinstance(c, str) else f" {c.text} " for c in self.children).split())

    def every(self, tag: str, **attributes: str) -> list["Element"]:
        """Those below it of that tag whose attributes hold these words; `klass` is the class."""
        wanted = {("class" if name == "klass" else name): value for name, value in attributes.items()}
        found = []
        for child in self.children:
            if isinstance(child, Element):
                told = {name: child.attributes.get(name, "").split() for name in wanted}
                if child.tag == tag and all(value in told[name] for name, value in wanted.items()):
                    found.append(child)
                found += child.every(tag, **attributes)
        return found

    def one(self, tag: str, **attributes: str) -> "Element":
        (found,) = self.every(tag, **attributes)
        return found

    def all(self) -> list["Element"]:
        below = [child for child in self.children if isinstance(child, Element)]
        return [self, *(element for child in below for element in child.all())]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("root", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parsed(html: str) -> Element:
    """Fails for elements that are not nested as they were opened."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert parser.open == [parser.root]
    return parser.root


def page_of(
    folder: RunFolder,
    *,
    store: Path | None = None,
    history: Place = NO_HISTORY,
    verdicts: bool = True,
    drawn: bool = False,
) -> str:
    """Figures take most of the time: they are empty unless they are to be `drawn`."""
    given = folder.verdicts() if verdicts else ()
    report = report_of(folder, given, Store(store or folder.path / "no-store"), history=history)
    return page(report, figures_of(report) if drawn else EMPTY)


EMPTY = Figures(roofline=Figure(), breakdown=Figure(), operators=None)


def rows(element: Element) -> dict[str, list[str]]:
    """A table's rows by their first cell."""
    cells = [[cell.text for cell in row.every("td")] for row in element.every("tr")]
    return {first: rest for first, *rest in filter(None, cells)}


def headers(element: Element) -> list[str]:
    return [cell.text for cell in element.every("th")][1:]


def three_cases() -> list[Record]:
    """A decode step that waits for launches, a prefill that computes, and generate()."""
    kernels = tuple(kernel(f"gemm-{i}", 0.002, 0.002, 0.002) for i in range(3))
    seen = conditions(slowed_s={"sw_power_cap": 0.25})
    return [
        record(DECODE, wall_s=0.035, device_s=0.0078, kernels=kernels, seen=seen),
        record(PREFILL, wall_s=0.0175, device_s=0.0171, seen=seen),
        record(GENERATE, wall_s=[1.0, 1.1, 1.2], first_token_s=0.02, seen=seen),
    ]


def judged(folder: RunFolder, *verdicts: Verdict) -> RunFolder:
    folder.write_verdicts(Verdicts(policy_digest="0123456789abcdef", verdicts=verdicts))
    return folder


def said(status: Status, case: str, *reasons: str) -> Verdict:
    return Verdict(case=case, status=status, reasons=reasons or ("a test",))


def nights(
    root: Path, *, device_s: Sequence[float], case: str = DECODE, statuses: Sequence[Status] = ()
) -> tuple[RunFolder, Place]:
    """A run a night, each of a commit of its own, all in one history but the last; that one."""
    place = Place(url=f"sqlite:///{root}/history.sqlite", origin="--perf-history")
    first = dt.datetime(2026, 12, 1, 2, tzinfo=dt.UTC)
    for number, time_s in enumerate(device_s):
        started = (first + dt.timedelta(days=number)).isoformat()
        run, commit = f"night-{number}", f"commit{number}"
        one = record(case, wall_s=4 * time_s, device_s=time_s)
        folder = run_folder(root / run, [replace(one, run=run, started=started, commit=commit)])
        status = statuses[number] if statuses else Status.PASS
        judged(folder, said(status, case))
        folder.write_info(replace(folder.info(), id=run, started=started, commit=commit, exit_status=0))
        if number < len(device_s) - 1:
            assert keep(folder, place) == ""
    return folder, place
