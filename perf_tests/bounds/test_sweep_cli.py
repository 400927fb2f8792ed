"""python -m analytic sweep: its lists of sizes, its output, and its answers to bad input."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import analytic
from analytic.__main__ import main
from analytic.sweep import COLUMNS

pytestmark = pytest.mark.analytic

ROOT = Path(analytic.__file__).parents[1]

Capture = pytest.CaptureFixture[str]

DECODE = ("--phase", "decode", "--context", "512,4096")


def run(*rest: str, gpu: str = "h100-sxm") -> int:
    return main(["sweep", "mistral-7b-v0.1", "--gpu", gpu, *rest])


def points(capsys: Capture, *rest: str, gpu: str = "h100-sxm") -> list[dict[str, Any]]:
    assert run(*rest, "--json", gpu=gpu) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_json_is_what_bounds_says(capsys: Capture) -> None:
    rows = points(capsys, *DECODE, "--batch", "1,8", "--precision", "int8", gpu="t4")

    assert len(rows) == 4
    for row in rows:
        sizes = ["--batch", str(row["batch"]), "--context", str(row["context_len"])]
        one = ["bounds", row["model"], "--gpu", row["gpu"], "--phase", "decode", "--precision", "int8"]
        assert main([*one, *sizes, "--json"]) == 0
        bound = json.loads(capsys.readouterr().out)
        shared = set(row) & set(bound)
        assert shared >= {"flops", "bytes", "compute_s", "memory_s", "lower_s", "limiter", "new_tokens"}
        assert {key: row[key] for key in shared} == pytest.approx({key: bound[key] for key in shared})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("3", [3]),
        ("4,1,4", [1, 4]),
        ("1..64x2", [1, 2, 4, 8, 16, 32, 64]),
        ("1..100x10", [1, 10, 100]),
        ("3..20x2", [3, 6, 12]),
        ("128..512+128", [128, 256, 384, 512]),
        ("1..6+4, 2", [1, 2, 5]),
        ("7..7x2", [7]),
    ],
)
def test_sizes(given: str, meant: list[int], capsys: Capture) -> None:
    rows = points(capsys, "--phase", "prefill", "--prompt", "16", "--batch", given)

    assert [row["batch"] for row in rows] == meant
    rows = points(capsys, "--phase", "prefill", "--prompt", given)
    assert [row["new_tokens"] for row in rows] == meant


def test_every_gpu_and_precision(capsys: Capture) -> None:
    rows = points(capsys, *DECODE, "--precision", "fp16, nf4,bf16", gpu="all")

    assert len(rows) == len(analytic.registry()) * 3 * 2
    missing = {(row["gpu"], row["note"]) for row in rows if row["lower_s"] is None}
    assert ("t4", "t4 has no bf16 units") in missing
    assert all(row["note"] for row in rows if row["lower_s"] is None)


def test_a_gpu_named_twice_counts_once(capsys: Capture) -> None:
    assert [row["gpu"] for row in points(capsys, *DECODE, gpu="t4,Tesla T4")] == ["t4", "t4"]


def test_csv(tmp_path: Path, capsys: Capture) -> None:
    arguments = (*DECODE, "--precision", "bf16", "--csv")
    assert run(*arguments, "-", gpu="h100-sxm,t4") == 0
    shown = capsys.readouterr().out
    rows = list(csv.DictReader(shown.splitlines()))
    path = tmp_path / "sweep.csv"
    assert run(*arguments, str(path), gpu="h100-sxm,t4") == 0

    assert path.read_text(encoding="utf-8") == shown
    assert capsys.readouterr().out == f"4 points in {path}\n"
    assert tuple(rows[0]) == COLUMNS
    exact = points(capsys, *DECODE, "--precision", "bf16")
    assert [float(row["lower_s"]) for row in rows[:2]] == [row["lower_s"] for row in exact]
    assert {(row["lower_s"], row["limiter"]) for row in rows[2:]} == {("", "")}
    assert {row["fits"] for row in rows} == {"true"}


def test_the_table(capsys: Capture) -> None:
    assert run(*DECODE, "--precision", "fp16,bf16", gpu="h100-sxm,t4") == 0
    lines = capsys.readouterr().out.splitlines()

    assert lines[0] == "mistral-7b-v0.1 on h100-sxm: decode, fp16"
    assert lines[1].split() == [
        "batch",
        "context",
        "limit",
        "lower",
        "bound",
        "tokens/s",
        "resident",
        "fits",
    ]
    assert lines[2].split()[:5] == ["1", "512", "memory", "4.265", "ms"]
    assert "mistral-7b-v0.1 on t4: decode, bf16: t4 has no bf16 units" in lines


def test_a_long_table_says_what_it_leaves_out(capsys: Capture) -> None:
    assert run(*DECODE, "--batch", "1..600+1") == 0
    lines = capsys.readouterr().out.splitlines()

    assert "... and 200 more points: --csv FILE or --json has all of them." in lines
    assert len(lines) < 1010


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("--batch", ""), "--batch: '' is no list of sizes"),
        (("--batch", "1,,2"), "--batch: '' in '1,,2' is no list"),
        (("--batch", "0"), "--batch: '0' has a size of 0"),
        (("--batch=-4",), "--batch: '-4' is no list"),
        (("--batch", "2.5"), "--batch: '2.5' is no list"),
        (("--batch", "two"), "--batch: 'two' is no list"),
        (("--batch", "1..4"), "--batch: '1..4' is no list"),
        (("--batch", "8..1x2"), "--batch: 8..1x2 ends before it starts"),
        (("--batch", "1..8x1"), "--batch: 1..8x1 never ends"),
        (("--batch", "1..8+0"), "--batch: 1..8+0 never ends"),
        (("--batch", "0..8x2"), "--batch: '0..8x2' has a size of 0"),
        (("--batch", "1..100000000000+1"), "200,000,000,000 points are too many"),
        (("--batch", "1" * 5000), "is no list of sizes"),
        (("--batch", "999999999999999999"), "more than a sweep counts"),
        (("--context", "0"), "--context: '0' has a size of 0"),
        (("--prompt", "512"), "--phase decode takes --context"),
        (("--phase", "prefill"), "--phase prefill takes --prompt"),
        (("--phase", "generate"), "unknown phase 'generate'"),
        (("--gpu", "h100"), "unknown GPU 'h100'"),
        (("--gpu", ""), "--gpu '' has an empty entry"),
        (("--gpu", "t4,"), "--gpu 't4,' has an empty entry"),
        (("--gpu", "t4", "--precision", "fp16,bf16"), "t4 (Turing TU104) has no bf16 units"),
        (("--precision", "fp17"), "unknown precision 'fp17'"),
        (("--logits", "some"), "logits is 'some'"),
        (("--csv", "/no/such/folder/x.csv"), "--csv /no/such/folder/x.csv: No such file"),
    ],
)
def test_bad_input_exits_2_with_one_line(changed: tuple[str, ...], message: str, capsys: Capture) -> None:
    assert run(*DECODE, *changed) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


def test_csv_and_json_exclude_each_other(capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(*DECODE, "--csv", "-", "--json")
    assert "not allowed with" in capsys.readouterr().err


def test_bad_input_replaces_no_file(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    path.write_text("kept", encoding="utf-8")

    assert run(*DECODE, "--precision", "fp16,bf16", "--csv", str(path), gpu="t4") == 2
    assert path.read_text(encoding="utf-8") == "kept"


WITHOUT_NUMPY = """
import sys
import analytic
from analytic.__main__ import main
try:
    main(["--help"])
except SystemExit:
    pass
main("bounds gpt2 --gpu t4 --phase decode --context 5".split())
main("gpus".split())
print("numpy" in sys.modules, "analytic.sweep" in sys.modules)
"""


def test_no_other_command_imports_numpy() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMPY], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert shown.splitlines()[-1] == "False False"
