"""Measured ceilings: read from files, and shown by python -m analytic ceilings."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from analytic import Ceilings, SpecError
from analytic.__main__ import main
from analytic.ceilings_file import as_json, read_ceilings

pytestmark = pytest.mark.analytic

Capture = pytest.CaptureFixture[str]

H100 = "NVIDIA H100 80GB HBM3"
# Those that a file may leave out.
TIMES = ("launch_gap_s", "event_resolution_s")

FILE: dict[str, Any] = {
    "schema": 1,
    "device": H100,
    "copy_bytes_per_s": 3.0e12,
    "read_bytes_per_s": 2_680_000_000_000,
    "gemm_flops_per_s": {"fp16": 7.0e14, "fp32": 5.0e13},
    "launch_gap_s": 6.4e-6,
    "event_resolution_s": 3.2e-8,
}
BARE = {name: value for name, value in FILE.items() if name != "schema"}


def store(path: Path, data: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as error:
        read_ceilings(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def run_folder(folder: Path, *ceilings: object) -> Path:
    """A run's folder with a record for each of the ceilings."""
    for number, one in enumerate(ceilings):
        store(folder / "records" / f"case-{number}.json", {"schema": 1, "case": {}, "ceilings": one})
    return folder


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = read_ceilings(store(tmp_path / "ceilings.json", FILE))

    assert found == Ceilings(**BARE)
    assert as_json(found) == FILE


def test_a_record_holds_them_under_ceilings(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, BARE, None)

    assert read_ceilings(folder / "records" / "case-0.json") == Ceilings(**BARE)
    assert "is of a run without ceilings" in refusal(folder / "records" / "case-1.json")


def test_of_a_run_the_highest_is_taken_line_by_line(tmp_path: Path) -> None:
    early = {**BARE, "copy_bytes_per_s": 3.2e12, "gemm_flops_per_s": {"bf16": 6e14}}
    folder = run_folder(tmp_path, early, None, {**BARE, "read_bytes_per_s": 2.7e12})
    store(tmp_path / "ceilings.json", {**FILE, "gemm_flops_per_s": {"fp16": 7.1e14}})
    store(tmp_path / "records" / ".case-9.json", "{")

    assert read_ceilings(folder) == Ceilings(
        device=H100,
        copy_bytes_per_s=3.2e12,
        read_bytes_per_s=2.7e12,
        gemm_flops_per_s={"bf16": 6e14, "fp16": 7.1e14, "fp32": 5e13},
        launch_gap_s=6.4e-6,
        event_resolution_s=3.2e-8,
    )


def test_two_devices_of_one_run_are_not_mixed(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, BARE, {**BARE, "device": "Some CPU × 2"})

    said = refusal(folder)
    assert f"holds ceilings of '{H100}' and of 'Some CPU × 2'; name one of its files" in said


@pytest.mark.parametrize("records", [(), (None, None)])
def test_a_folder_without_any_is_refused(tmp_path: Path, records: tuple[None, ...]) -> None:
    assert "is a folder without measured ceilings" in refusal(run_folder(tmp_path, *records))


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, BARE)
    damaged = store(tmp_path / "records" / "other.json", '{"schema": 1')

    with pytest.raises(SpecError, match="is not JSON, or cut short") as error:
        read_ceilings(folder)
    assert str(error.value).startswith(str(damaged))


@pytest.mark.parametrize("name", [name for name in FILE if name not in TIMES])
def test_a_missing_field_is_named(tmp_path: Path, name: str) -> None:
    path = store(tmp_path / "c.json", {k: v for k, v in FILE.items() if k != name})

    assert (f"{name} is None; 1 is needed" if name == "schema" else f"{name} is missing") in refusal(path)


@pytest.mark.parametrize("value", [0, -1.0, True, "9", None, [9], {}, 1e300, 10**400])
@pytest.mark.parametrize("name", ["copy_bytes_per_s", "read_bytes_per_s", "fp16"])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, name: str, value: object) -> None:
    wrong = {**FILE, "gemm_flops_per_s": {"fp16": value}} if name == "fp16" else {**FILE, name: value}
    said = refusal(store(tmp_path / "c.json", wrong))

    assert f"{name} is " in said
    assert "a number above 0 and at most 1e+21, per second, is needed" in said


def test_a_file_from_before_launch_gaps_has_none(tmp_path: Path) -> None:
    old = {name: value for name, value in FILE.items() if name not in TIMES}
    found = read_ceilings(store(tmp_path / "old.json", old))

    assert found.launch_gap_s is found.event_resolution_s is None
    assert as_json(found) == {**old, **dict.fromkeys(TIMES)}
    assert read_ceilings(store(tmp_path / "null.json", as_json(found))) == found


def test_of_a_run_the_shortest_launch_gap_is_taken(tmp_path: Path) -> None:
    gaps = (7e-6, None, 5.5e-6, 6e-6)
    folder = run_folder(tmp_path, *({**BARE, "launch_gap_s": gap} for gap in gaps))

    assert read_ceilings(folder).launch_gap_s == 5.5e-6


@pytest.mark.parametrize("value", [0, -1e-6, True, "6e-6", [6e-6], {}, 1.5, 6.4, 10**400])
def test_a_launch_gap_that_is_none_is_refused(tmp_path: Path, value: object) -> None:
    """6.4 would be a file that holds microseconds."""
    said = refusal(store(tmp_path / "c.json", {**FILE, "launch_gap_s": value}))

    assert "launch_gap_s is " in said
    assert "seconds above 0 and at most 1, or null, are needed" in said


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_is_no_json(tmp_path: Path, value: float) -> None:
    said = refusal(store(tmp_path / "c.json", {**FILE, "copy_bytes_per_s": value}))

    assert "is no number" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "schema is 2; 1 is needed"),
        ({"schema": True}, "schema is True; 1 is needed"),
        ({"device": ""}, "device is ''; the device's name"),
        ({"device": 7}, "device is 7"),
        ({"device": "a\nb"}, r"device is 'a\nb'"),
        ({"gemm_flops_per_s": {}}, "gemm_flops_per_s is {}"),
        ({"gemm_flops_per_s": 7e14}, "gemm_flops_per_s is 7"),
        ({"gemm_flops_per_s": {"fp61": 7e14}}, "unknown dtype 'fp61'. Nearest: fp16"),
        ({"copy_gb_per_s": 3}, "unknown field 'copy_gb_per_s'. Nearest: copy_bytes_per_s"),
    ],
)
def test_a_wrong_field_is_told_with_what_is_right(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    assert words in refusal(store(tmp_path / "c.json", {**FILE, **change}))


@pytest.mark.parametrize("ceilings", [[], 7, "none", {}, {"ceilings": BARE}])
def test_a_record_with_other_ceilings_is_refused(tmp_path: Path, ceilings: object) -> None:
    folder = run_folder(tmp_path, ceilings)

    assert "ceilings" in refusal(folder / "records" / "case-0.json")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "7", "null", "[" * 100_000, "9" * 5000, '"' + "x" * 10**6]
)
def test_what_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    said = refusal(store(tmp_path / "c.json", content))

    assert any(words in said for words in ("is not JSON, or cut short", "no JSON object", "larger than 1 MB"))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")

    assert "no such file; measured ceilings" in refusal(tmp_path / "none.json")
    assert "is no plain file" in refusal(tmp_path / "pipe")
    assert "is not UTF-8" in refusal(tmp_path / "bytes")


def test_each_ceiling_is_shown_beside_the_datasheet(tmp_path: Path, capsys: Capture) -> None:
    assert main(["ceilings", str(store(tmp_path / "c.json", FILE))]) == 0

    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        f"{H100}, measured, against h100-sxm by datasheet",
        "copy 3 TB/s 89.6 % of 3.35 TB/s",
        "read 2.68 TB/s 80.0 % of 3.35 TB/s",
        "fp16 gemm 700 TFLOP/s 70.7 % of 989.4 TFLOP/s",
        "fp32 gemm 50 TFLOP/s 74.7 % of 66.9 TFLOP/s",
        "launch gap 6.400 µs of the host for each kernel launch",
        "resolution 32.0 ns, the smallest difference that the device's clock shows",
    ]


def test_a_launch_gap_that_was_not_measured_is_not_shown(tmp_path: Path, capsys: Capture) -> None:
    path = store(tmp_path / "c.json", {**FILE, "launch_gap_s": None})

    assert main(["ceilings", str(path)]) == 0
    assert "launch" not in capsys.readouterr().out
    assert main(["ceilings", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["launch_gap_s"] is None


def test_a_device_of_no_datasheet_is_shown_alone(tmp_path: Path, capsys: Capture) -> None:
    path = store(tmp_path / "c.json", {**FILE, "device": "Some CPU × 2", "gemm_flops_per_s": {"fp32": 4e11}})
    assert main(["ceilings", str(path)]) == 0
    alone = capsys.readouterr().out
    assert main(["ceilings", str(path), "--gpu", "l4"]) == 0
    against = capsys.readouterr().out

    assert alone.startswith("Some CPU × 2, measured\n")
    assert "400 GFLOP/s\n" in alone
    assert alone.endswith("--gpu KEY holds them against one.\n")
    assert "against l4 by datasheet" in against
    assert "1.3 % of 30.3 TFLOP/s" in against


def test_a_dtype_without_units_has_no_share(tmp_path: Path, capsys: Capture) -> None:
    path = store(tmp_path / "c.json", {**FILE, "gemm_flops_per_s": {"bf16": 2e12, "fp16": 2.4e13}})
    assert main(["ceilings", str(path), "--gpu", "t4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert found["gpu"] == "t4"
    assert found["datasheet_shares"]["gemm"] == {"bf16": None, "fp16": pytest.approx(24 / 65.1)}


def test_as_json(tmp_path: Path, capsys: Capture) -> None:
    folder = run_folder(tmp_path / "run", BARE)
    assert main(["ceilings", str(folder), "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == BARE | {
        "gpu": "h100-sxm",
        "datasheet_shares": {
            "copy": pytest.approx(3.0 / 3.35),
            "read": pytest.approx(0.8),
            "gemm": {"fp16": pytest.approx(700 / 989.4), "fp32": pytest.approx(50 / 66.9)},
        },
    }


def test_no_file_is_read_because_a_device_is_called_one(tmp_path: Path, capsys: Capture) -> None:
    path = store(tmp_path / "c.json", {**FILE, "device": str(tmp_path / "other.toml")})

    assert main(["ceilings", str(path)]) == 0
    assert "No GPU of the registry has this name" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("gpu", "words"), [("h100", "unknown GPU 'h100'. Nearest: h100-pcie"), ("none.toml", "no such file")]
)
def test_an_unknown_gpu_is_one_line(tmp_path: Path, capsys: Capture, gpu: str, words: str) -> None:
    assert main(["ceilings", str(store(tmp_path / "c.json", FILE)), "--gpu", gpu]) == 2
    out, err = capsys.readouterr()

    assert (out, err.count("\n")) == ("", 1)
    assert words in err


def test_bad_files_are_one_line_and_exit_code_2(tmp_path: Path, capsys: Capture) -> None:
    for path in (tmp_path, tmp_path / "none.json", store(tmp_path / "c.json", "{")):
        assert main(["ceilings", str(path)]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith(f"error: {path}")
