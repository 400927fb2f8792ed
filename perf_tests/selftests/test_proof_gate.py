"""The proof of the whole gate can say no: made-up runs of it, as expected and otherwise."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from baselines.record import Counts, Record
from baselines.run import RunFolder
from baselines.store import Store
from baselines.verdict import Status, Verdict
from perf_tests.proof import gate
from perf_tests.proof.inject import LABEL
from perf_tests.selftests.records import record, run_folder

CASES = ("prefill-b1-p512-fp16-eager", "decode-b1-c512-fp16-eager")
DEVICE_S = {CASES[0]: 17.1e-3, CASES[1]: 7.8e-3}
PLAIN = Counts(launches=1334, aten_ops=5000, python_calls=20_000, copies=0, syncs=0, allocated_bytes=2**26)


def made(case: str, factor: float = 1.0, *, launches: int = 0, run: str = "run") -> Record:
    counts = replace(PLAIN, launches=1334 + launches)
    return record(case, wall_s=0.04, device_s=DEVICE_S[case] * factor, counts=counts, run=run)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with the store that a proof has made: five sessions of each case."""
    for case in CASES:
        factors = (1.0, 1.0005, 0.9995, 1.0002, 0.9998)
        sessions = [made(case, f, run=f"run-{i}") for i, f in enumerate(factors)]
        Store(tmp_path / "store").write(sessions, written="today", command="a test")
    return tmp_path


def gated(
    path: Path,
    records: Sequence[Record],
    status: Status,
    *,
    exit_status: int | None,
    slowdown: str | None = None,
) -> RunFolder:
    """A run of the gate: every case with the same verdict, three fresh processes just so again."""
    verdicts = [Verdict(case=r.case.id, status=status, reasons=("a test",)) for r in records]
    folder = run_folder(path, records, verdicts=verdicts)
    folder.write_info(replace(folder.info(), exit_status=exit_status))
    for number in (1, 2, 3):
        run_folder(path / "confirmations" / str(number), records)
    if slowdown:
        (path / LABEL).write_text(slowdown, encoding="utf-8")
    return folder


def same(out: Path, status: Status = Status.PASS, *, exit_status: int | None = 0) -> None:
    gated(out / "same-1", [made(c) for c in CASES], status, exit_status=exit_status)


def slowed(out: Path, factor: float, status: Status = Status.REGRESSED, *, exit_status: int = 1) -> None:
    records = [made(c, factor, launches=2) for c in CASES]
    gated(out / "mlp-2-1", records, status, exit_status=exit_status, slowdown="mlp-2")


def prove(out: Path) -> int:
    return gate.main(["--out", str(out), "--same", "1", "--slowed", "1"])


def test_calm_where_nothing_changed_and_red_where_it_did(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same(out)
    slowed(out, 1.011)

    assert prove(out) == 0
    said = capsys.readouterr().out
    assert said.count("regressed by its time") == 2
    assert "2 runs of the gate, 0 not as expected" in said


@pytest.mark.parametrize(
    ("status", "exit_status"), [(Status.REGRESSED, 1), (Status.PASS, 1), (Status.PASS, None)]
)
def test_an_alarm_at_the_same_code_breaks_it(
    out: Path, status: Status, exit_status: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    same(out, status, exit_status=exit_status)
    slowed(out, 1.011)

    assert prove(out) == 1
    assert "| same-1" in capsys.readouterr().out


def test_a_slowdown_that_passed_breaks_it(out: Path) -> None:
    same(out)
    slowed(out, 1.011, Status.PASS, exit_status=0)

    assert prove(out) == 1


def test_a_slowdown_that_its_counts_alone_betray_breaks_it(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict was red, and the time would not have been."""
    same(out)
    slowed(out, 1.002)

    assert prove(out) == 1
    said = capsys.readouterr().out
    assert "by its time" not in said
    assert "1 not as expected" in said


def test_a_run_that_was_not_judged_is_bad_input(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same(out)
    run_folder(out / "mlp-2-1", [made(c) for c in CASES])

    assert prove(out) == 2
    assert "mlp-2-1: the run was not judged" in capsys.readouterr().err


def test_an_unknown_slowdown_is_bad_input(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate.main(["--out", str(out), "--slowdown", "mlp-3"]) == 2
    assert "there is no slowdown 'mlp-3'" in capsys.readouterr().err
