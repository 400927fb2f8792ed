"""The tables of analytic/README.md are what the commands beside them print."""

import re
from pathlib import Path

import pytest

from perf_tests import dram_counters, estimate_error

pytestmark = pytest.mark.analytic

README = Path(__file__).parents[2] / "analytic" / "README.md"


def table(name: str) -> str:
    found = re.search(
        rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found, f"no table {name}"
    return found[1].strip()


def test_the_counters_beside_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert dram_counters.main(["compare"]) == 0
    assert table("dram") == capsys.readouterr().out.strip()


def test_the_errors_of_the_estimates(capsys: pytest.CaptureFixture[str]) -> None:
    assert estimate_error.main([]) == 0
    assert table("estimates") == capsys.readouterr().out.strip()


def test_the_median_error_of_device_time_is_within_the_promise() -> None:
    errors = [estimate_error.error_of(row) for row in estimate_error.read(estimate_error.TABLE)]

    assert estimate_error.median_error(errors) <= 0.10
    assert sum(e.device_within for e in errors) >= 0.9 * len(errors)
    assert all(abs(e.memory) <= 0.05 for e in errors)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.csv"], "no such file"),
        (["--out", "x.csv"], "go together"),
        (["--from", "nowhere"], "go together"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert estimate_error.main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_a_damaged_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "table.csv"
    path.write_text("model,case\nmistral-7b-v0.2,decode-b1-c512-fp16-eager\n", encoding="utf-8")

    assert estimate_error.main([str(path)]) == 2
    assert "not a table of measured cases" in capsys.readouterr().err


def test_an_error_beyond_the_promise_fails(tmp_path: Path) -> None:
    rows = estimate_error.TABLE.read_text(encoding="utf-8").splitlines()
    names = rows[0].split(",")
    values = dict(zip(names, rows[1].split(","), strict=True))
    values["device_s"] = str(2 * float(values["device_s"]))
    path = tmp_path / "table.csv"
    path.write_text("\n".join([rows[0], ",".join(values[n] for n in names)]), encoding="utf-8")

    assert estimate_error.main([str(path)]) == 1
