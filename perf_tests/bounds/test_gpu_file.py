"""A user's own GPU as TOML: the registry's columns, and an error for each way to get one wrong."""

import csv
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analytic import SpecError, find_gpu, registry
from analytic.gpus import TABLE, load_gpu

pytestmark = pytest.mark.analytic

OWN: dict[str, Any] = {
    "key": "my-card",
    "torch_names": ["NVIDIA My Card"],
    "arch": "Hopper GH100",
    "compute_capability": "9.0",
    "sm_count": 78,
    "memory_gb": 64,
    "bandwidth_gb_per_s": 2000.5,
    "l2_mib": 32,
    "fp32_tflops": 30.0,
    "fp16_tflops": 480,
    "source": "its data sheet",
}


def toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        return '"' + value.replace("\n", "\\n").replace("\x1b", "\\u001b") + '"'
    return repr(value)


def written(folder: Path, fields: dict[str, Any]) -> Path:
    path = folder / "mine.toml"
    path.write_text("".join(f"{name} = {toml(value)}\n" for name, value in fields.items()), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as error:
        find_gpu(str(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    gpu = find_gpu(str(written(tmp_path, OWN)))

    assert (gpu.key, gpu.torch_names, gpu.arch) == ("my-card", ("NVIDIA My Card",), "Hopper GH100")
    assert (gpu.compute_capability, gpu.sm_count, gpu.l2_bytes) == ((9, 0), 78, 32 * 2**20)
    assert (gpu.bytes_per_s, gpu.memory_bytes) == (pytest.approx(2000.5e9), 64e9)
    assert gpu.usable_bytes == pytest.approx(0.95 * 64e9)
    assert dict(gpu.flops_per_s) == pytest.approx({"fp32": 30e12, "fp16": 480e12})
    assert (gpu.source, gpu.note) == ("its data sheet", "")


def test_what_is_optional_is_read(tmp_path: Path) -> None:
    more = {"bf16_tflops": 480, "int8_tops": 960, "fp8_tflops": 960, "usable_gib": 58.5, "note": "guessed"}
    gpu = load_gpu(written(tmp_path, {**OWN, **more, "torch_names": []}))

    assert set(gpu.flops_per_s) == {"fp32", "fp16", "bf16", "int8", "fp8"}
    assert (gpu.usable_bytes, gpu.note, gpu.torch_names) == (58.5 * 2**30, "guessed", ())


def test_any_row_of_the_registry_can_be_written_as_a_file(tmp_path: Path) -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    for row, gpu in zip(rows, registry(), strict=True):
        fields: dict[str, Any] = {}
        for name, cell in row.items():
            if name == "torch_names":
                fields[name] = cell.split("|")
            elif name == "sm_count":
                fields[name] = int(cell)
            elif cell and name.rpartition("_")[2] in {"gb", "gib", "s", "mib", "tflops", "tops"}:
                fields[name] = float(cell)
            elif cell:
                fields[name] = cell
        fields["key"] = f"my-{gpu.key}"
        assert find_gpu(str(written(tmp_path, fields))) == replace(gpu, key=f"my-{gpu.key}")


@pytest.mark.parametrize("name", [name for name in OWN if not name.endswith("tflops")])
def test_a_missing_field_is_named(tmp_path: Path, name: str) -> None:
    said = refusal(written(tmp_path, {k: v for k, v in OWN.items() if k != name}))

    assert f"{name} is missing; " in said
    assert said.endswith(" is needed")


def test_one_peak_is_enough_and_none_is_not(tmp_path: Path) -> None:
    bare = {k: v for k, v in OWN.items() if not k.endswith("tflops")}

    assert set(load_gpu(written(tmp_path, {**bare, "bf16_tflops": 9})).flops_per_s) == {"bf16"}
    assert "no peak is given; one of fp32_tflops, " in refusal(written(tmp_path, bare))


NUMBERS = ("sm_count", "memory_gb", "usable_gib", "bandwidth_gb_per_s", "l2_mib", "fp16_tflops", "fp8_tflops")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", [0, -1, -0.5, math.nan, math.inf, -math.inf, 3.35e12, 10**30, True, "9", [9]]
)
def test_a_wrong_number_is_told_with_the_right_ones(tmp_path: Path, name: str, value: object) -> None:
    said = refusal(written(tmp_path, {**OWN, name: value}))

    assert f"{name} is " in said
    assert "number above 0 and at most 1" in said
    assert len(said) < 300 + len(str(tmp_path))


def test_a_number_too_long_to_print_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"{written(tmp_path, OWN).read_text()}int8_tops = 0x{'f' * 9000}\n", encoding="utf-8")

    assert "int8_tops is too large to show; a number above 0" in refusal(path)


def test_half_an_sm_is_refused(tmp_path: Path) -> None:
    assert "sm_count is 78.0; a whole number" in refusal(written(tmp_path, {**OWN, "sm_count": 78.0}))


def test_more_usable_memory_than_there_is_is_refused(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, {**OWN, "usable_gib": 80}))

    assert "usable_gib is 80, more than the 64 GB of memory_gb" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("key", "arch", "source")
            for value in ("", "  ", 7, ["a"], "a\nb", "x" * 1001)
        ),
        *(("key", value) for value in ("My Card", "../up", "a/b", "-a", "ä", "x" * 65)),
        *(("compute_capability", value) for value in ("9", "9.0.1", "sm90", "", 9.0, "9.-1", "٩.٠")),
        *(("torch_names", value) for value in ("NVIDIA X", [""], [7], ["a\nb"], [["a"]], 7)),
        *(("note", value) for value in (7, "\x1b[31m", "x" * 1001)),
    ],
)
def test_a_wrong_text_is_told_with_what_is_right(tmp_path: Path, name: str, value: object) -> None:
    said = refusal(written(tmp_path, {**OWN, name: value}))

    assert f"{name} is " in said
    assert said.endswith(" is needed")


def test_an_unknown_field_is_told_with_the_nearest(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, {**OWN, "bandwith_gb_per_s": 9}))

    assert "unknown field 'bandwith_gb_per_s'. Nearest: bandwidth_gb_per_s." in said


def test_a_key_of_the_registry_is_taken(tmp_path: Path) -> None:
    assert "key is 't4', which is a GPU of the registry; choose another" in refusal(
        written(tmp_path, {**OWN, "key": "t4"})
    )


@pytest.mark.parametrize(
    "content", [b"", b"a = ", b"[[[[", b"a = " + b"[" * 5000, b"a = " + b"9" * 5000, b"\xff\xfe"]
)
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)

    assert any(words in refusal(path) for words in ("is missing", "is not TOML", "is not UTF-8"))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "large.toml").write_text("#" * (10**6 + 1), encoding="utf-8")

    assert "no such file; a GPU as TOML" in refusal(tmp_path / "none.toml")
    assert "is a folder; " in refusal(tmp_path / "folder.toml")
    assert "is no plain file; " in refusal(tmp_path / "pipe.toml")
    assert "is larger than 1 MB; " in refusal(tmp_path / "large.toml")
