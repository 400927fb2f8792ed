"""Runs that may become sessions, and the command that makes them so, for tests of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from baselines.__main__ import main
from baselines.record import Record
from baselines.run import RunFolder
from baselines.store import Baseline, Store
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import DECODE, record, run_folder

PREFILL = "prefill-b1-p512-fp16-eager"


def session(
    path: Path,
    *,
    device_s: float = 0.008,
    cases: Sequence[str] = (DECODE, PREFILL),
    exit_status: int | None = 0,
    status: Status = Status.PASS,
    change: Callable[[Record], Record] = lambda r: r,
) -> RunFolder:
    """The folder of a run; `status` is the verdict of its first case."""
    records = [change(record(c, wall_s=2 * device_s, device_s=device_s, run=path.name)) for c in cases]
    verdicts = [
        Verdict(case=c, status=status if i == 0 else Status.PASS, reasons=("a test",))
        for i, c in enumerate(cases)
    ]
    folder = run_folder(path, records, verdicts=verdicts)
    first = records[0] if records else None
    folder.write_info(
        replace(
            folder.info(),
            id=path.name,
            exit_status=exit_status,
            commit=first.commit if first else folder.info().commit,
            dirty=first.dirty if first else False,
        )
    )
    return folder


def five(
    root: Path,
    *,
    first_s: float = 0.008,
    cases: Sequence[str] = (DECODE, PREFILL),
    change: Callable[[Record], Record] = lambda r: r,
) -> list[RunFolder]:
    """Their device times differ by an SD of 0.2 %."""
    return [
        session(root / f"run-{i}", device_s=first_s + i * 1e-5, cases=cases, change=change) for i in range(5)
    ]


def tree(root: Path) -> dict[str, bytes]:
    """Every file under `root` with its bytes, but for the store's lock."""
    files = (p for p in root.rglob("*") if p.is_file() and p.name != ".lock")
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}


def squeezed(table: str) -> str:
    """Without the blanks that put its columns in line."""
    return "\n".join(" ".join(line.split()) for line in table.splitlines())


def refresh(store: Path, runs: Sequence[RunFolder | Path], *more: str) -> int:
    paths = [str(r.path if isinstance(r, RunFolder) else r) for r in runs]
    return main(["refresh", "--from", *paths, "--perf-baselines", str(store), *more])


def loaded(store: Path, case: str = DECODE) -> Baseline:
    """The stored baseline of a case, which must be there."""
    found = Store(store).load(record(case))
    assert found is not None
    return found
