"""The page in a real browser, headless: nothing asked for, no error, nothing beyond the edge,
and the numbers that a reader sees are the records'.

Debian's chromium and chromium-driver will do, as will Google's Chrome.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from baselines.run import RunFolder
from baselines.verdict import Status
from perf_tests.selftests.needs import skip_for_want_of
from perf_tests.selftests.pages import GENERATE, PREFILL, judged, nights, page_of, said, three_cases
from perf_tests.selftests.records import DECODE, record, run_folder
from perf_tests.selftests.tiny import Later

webdriver = Later("selenium.webdriver")

pytestmark = pytest.mark.long

PHONE, DESK = (360, 740), (1400, 900)
DARK, LIGHT = "dark", "light"

# What stands on a page as a number of its own.
_OVER_THE_EDGE = """
return [...document.querySelectorAll('body *')].filter(e => {
  if (e.closest('svg') && e.tagName !== 'svg') return false;
  for (let p = e.parentElement; p; p = p.parentElement)
    if (['auto', 'scroll'].includes(getComputedStyle(p).overflowX)) return false;
  const box = e.getBoundingClientRect();
  return box.width > 0 && (box.right > document.documentElement.clientWidth + 1 || box.left < -1);
}).map(e => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 40))
"""
_LOST_LINKS = """
return [...document.querySelectorAll('[href]')].map(e => e.getAttribute('href'))
  .filter(h => h.startsWith('#') && !document.getElementById(h.slice(1)))
"""
_UNSEEN_PICTURES = """
return [...document.querySelectorAll('svg, [role=img]')]
  .filter(e => { const b = e.getBoundingClientRect(); return b.width < 20 || b.height < 10; }).length
"""
_RESULTS = """
const table = document.querySelector('#results table');
const names = [...table.querySelectorAll('th')].map(h => h.innerText);
return Object.fromEntries([...table.querySelectorAll('tbody tr')].map(row => {
  const cells = [...row.querySelectorAll('td')].map(c => c.innerText);
  return [cells[0], Object.fromEntries(cells.map((c, i) => [names[i], c]))];
}))
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    program = shutil.which("google-chrome") or shutil.which("chromium")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        skip_for_want_of("no chromium with its driver (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    cases = three_cases()
    cases += [record(f"decode-b{b}-c512-fp16-eager", wall_s=0.036, device_s=0.0081) for b in (2, 4, 8)]
    cases += [record(f"decode-b1-c{c}-nf4-eager", wall_s=0.05, device_s=0.0062) for c in (128, 512, 2048)]
    folder = run_folder(
        tmp_path_factory.mktemp("browser") / "run",
        cases,
        not_run={"prefill-b8-p2048-fp16-eager": "needs 99 GiB, " * 12},
    )
    long_reason = "runs/a-folder-of-a-very-long-name-without-a-blank/" * 4
    return judged(
        folder,
        said(Status.BELOW_BAND, PREFILL, f"0.43 < 0.6; {long_reason}"),
        *(said(Status.PASS, r.case.id) for r in cases if r.case.id != PREFILL),
        said(Status.NOT_MEASURED, "prefill-b8-p2048-fp16-eager", "needs 99 GiB, " * 12),
    )


@pytest.fixture(scope="module")
def page(run: RunFolder) -> Path:
    path = run.path / "report.html"
    path.write_text(page_of(run, drawn=True), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def night_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a history in which the case became slower."""
    root = tmp_path_factory.mktemp("nights")
    times_s = [0.0080 + 4e-6 * (i % 3) for i in range(8)] + [0.0084 + 4e-6 * (i % 3) for i in range(5)]
    last, place = nights(root, device_s=times_s)
    path = last.path / "report.html"
    path.write_text(page_of(last, history=place, drawn=True), encoding="utf-8")
    return path


@pytest.fixture(
    params=[(size, theme) for size in (PHONE, DESK) for theme in (LIGHT, DARK)],
    ids=lambda given: f"{given[0][0]}px-{given[1]}",
)
def view(request: pytest.FixtureRequest, chromium: Any) -> Any:
    """The browser as a phone or a desk has it, in the light or in the dark."""
    (width, height), theme = request.param
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    return chromium


def opened(browser: Any, path: Path) -> list[str]:
    """Opens the page; returns the addresses that were asked for."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # of the page before
    browser.get(path.as_uri())
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize("which", ["page", "night_page"])
def test_the_page_is_whole(which: str, view: Any, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(which)

    asked = opened(view, path)

    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert view.get_log("browser") == []
    width, room = view.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= room
    assert view.execute_script(_OVER_THE_EDGE) == []
    assert view.execute_script(_LOST_LINKS) == []
    assert view.execute_script(_UNSEEN_PICTURES) == 0


def test_the_ground_is_dark_in_the_dark(view: Any, page: Path, request: pytest.FixtureRequest) -> None:
    opened(view, page)
    ground = view.execute_script("return getComputedStyle(document.body).backgroundColor")
    first = int(ground.removeprefix("rgb(").split(",")[0])

    assert (first < 60) == request.node.name.endswith("dark]")


def test_a_reader_sees_the_records_numbers(view: Any, page: Path, run: RunFolder) -> None:
    opened(view, page)
    shown = view.execute_script(_RESULTS)

    records = sorted((run.path / "records").glob("*.json"))
    assert len(shown) == len(records) + 1
    for path in records:
        measured = json.loads(path.read_text(encoding="utf-8"))["measurement"]
        row = shown[path.stem]
        wall_s = median(measured["wall_s"])
        assert row["wall"] == (f"{wall_s:.3f} s" if wall_s >= 1 else f"{1e3 * wall_s:.3f} ms")
        device = measured["device_s"]
        assert row["device"] == (f"{1e3 * median(device):.3f} ms" if device else "–")
    assert shown[PREFILL]["status"] == "below_band"
    assert shown["prefill-b8-p2048-fp16-eager"]["status"] == "not_measured"
    assert {DECODE, GENERATE} <= shown.keys()


def test_a_link_leads_to_its_section(view: Any, page: Path) -> None:
    opened(view, page)
    view.find_element("link text", "GPU state").click()

    top = view.execute_script("return document.getElementById('gpu-state').getBoundingClientRect().top")
    height = view.execute_script("return window.innerHeight")
    assert -1 <= top < height


def test_without_javascript_it_reads_the_same(chromium: Any, page: Path) -> None:
    opened(chromium, page)
    with_it = chromium.find_element("tag name", "body").text
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(chromium, page)
        root = chromium.execute_cdp_cmd("DOM.getDocument", {"depth": 1})["root"]["nodeId"]
        body = chromium.execute_cdp_cmd("DOM.querySelector", {"nodeId": root, "selector": "main"})
        without = chromium.execute_cdp_cmd("DOM.getOuterHTML", {"nodeId": body["nodeId"]})["outerHTML"]
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

    assert DECODE in with_it
    assert all(word in without for word in (DECODE, PREFILL, "35.000 ms", "below_band"))


def test_a_print_holds_every_section_within_its_paper(chromium: Any, page: Path) -> None:
    """A4, lying: 297 mm less the margins are 1032 px of 1/96 inch."""
    size = {"width": 1032, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    try:
        opened(chromium, page)
        over = chromium.execute_script(_OVER_THE_EDGE)
        scrolled = chromium.execute_script(
            "return [...document.querySelectorAll('.scroll')].filter(e => getComputedStyle(e).overflowX != 'visible').length"
        )
        ground = chromium.execute_script("return getComputedStyle(document.body).backgroundColor")
    finally:
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})

    assert over == []
    assert scrolled == 0
    assert ground == "rgb(255, 255, 255)"
