"""What the proof found on GPUs: every figure of its pages is of the tables beside them."""

import csv
from pathlib import Path
from statistics import fmean

import pytest

from analytic import text
from perf_tests.proof import aa, true_size
from perf_tests.proof.expectations import COUNTS
from perf_tests.proof.sizes import read_sizes
from perf_tests.proof.work import SLOWDOWNS

PROOF = Path(true_size.__file__).parent
NAMES = [slowdown.name for slowdown in SLOWDOWNS]
CASES = tuple(true_size.CASES)


def results_of(name: str) -> list[str]:
    """The GPUs that have these: a page, or a table of a kind."""
    return [path.name.removesuffix(name) for path in sorted((PROOF / "results").glob(f"*{name}"))]


def test_every_page_of_results_has_its_processes_and_an_h100_its_slowdowns() -> None:
    assert results_of(".md") == results_of("-aa.csv") == ["h100-sxm", "h200"]
    assert results_of("-slowdowns.csv") == results_of("-sizes.csv") == ["h100-sxm"]


def result_rows(gpu: str, name: str) -> list[dict[str, str]]:
    with (PROOF / "results" / f"{gpu}-{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def printed(gpu: str, *words: str) -> list[str]:
    """The cells of the one line of the page's tables that begins with these."""
    page = (PROOF / "results" / f"{gpu}.md").read_text(encoding="utf-8").splitlines()
    tables = ([cell.strip(" |").replace("\\", "") for cell in line.split(" | ")] for line in page)
    (cells,) = (cells for cells in tables if cells[: len(words)] == list(words))
    return cells


@pytest.mark.parametrize("gpu", results_of("-aa.csv"))
def test_the_table_of_fresh_processes_is_of_the_stored_times(gpu: str) -> None:
    """Every figure of it; and it holds what is promised."""
    of_case: dict[str, list[dict[str, str]]] = {}
    for row in result_rows(gpu, "aa"):
        of_case.setdefault(row["case"], []).append(row)

    assert list(of_case) == list(CASES)
    for case, rows in of_case.items():
        device_s, as_run_s, wall_s = (
            [float(row[name]) for row in rows] for name in ("device_s", "as_run_s", "wall_s")
        )
        above = sum(int(row["steps_above"]) > 0 for row in rows)
        alarms = sum(row["by_its_time"] in ("regressed", "improved") for row in rows)
        judged = sum(not row["by_its_time"].startswith("not judged") for row in rows)

        assert len(rows) >= 10
        assert aa.cv(device_s) <= aa.LIMIT
        assert printed(gpu, f"`{case}`") == [
            f"`{case}`",
            str(len(rows)),
            "1",
            text.seconds(fmean(device_s)),
            text.percent(aa.cv(device_s), digits=2),
            str(above) if any(row["clock_mhz"] for row in rows) else "–",
            text.percent(aa.cv(as_run_s), digits=2),
            text.seconds(fmean(wall_s)),
            text.percent(aa.cv(wall_s)),
            text.percent(float(rows[0]["limit"]), digits=2),
            f"{alarms} of {judged}",
            "equal" if not rows[0]["unequal_counts"] else "differ",
            "holds",
        ]


@pytest.mark.parametrize("gpu", results_of("-slowdowns.csv"))
def test_the_table_of_slowdowns_is_of_the_stored_ones(gpu: str) -> None:
    """Every figure of it, and the true sizes are those of their own table; nothing is violated."""
    true_sizes = read_sizes(PROOF / "results" / f"{gpu}-sizes.csv")
    found = result_rows(gpu, "slowdowns")

    assert [(r["slowdown"], r["case"]) for r in found] == [(n, c) for n in sorted(NAMES) for c in CASES]
    for row in found:
        size = true_sizes[row["slowdown"], row["case"]]
        base_s, device_s = float(row["base_device_s"]), float(row["device_s"])
        true = f"{text.seconds(size.added_s)} ({text.signed_percent((size.added_s or 0.0) / base_s)})"

        assert float(row["true_s"]) == size.added_s
        assert printed(gpu, f"`{row['slowdown']}`", f"`{row['case']}`") == [
            f"`{row['slowdown']}`",
            f"`{row['case']}`",
            true if size.resolved else f"{true}, not resolved",
            text.seconds(device_s - base_s),
            text.signed_percent(float(row["change"])),
            text.percent(float(row["limit"]), digits=2),
            row["must_be_claimed"],
            row["by_its_time"],
            ", ".join(f"{name} {int(row[name]):+d}" for name in COUNTS if row[name]) or "none",
            row["moved_operators"].split("; ")[0] or "none",
            "met",
        ]
