"""python -m baselines, whatever its command: what ends it early is one line and an exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from baselines.__main__ import main
from baselines.commands import show
from baselines.store import Store
from perf_tests.selftests.records import record
from perf_tests.selftests.tiny import ROOT


def test_ctrl_c_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(show, "_look", interrupted)
    tmp_path.joinpath("store").mkdir()

    assert main(["show", "--perf-baselines", str(tmp_path / "store")]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    """`show --json | true`: the pipe is closed before anything is written."""
    store = Store(tmp_path / "store")
    store.write([record("decode-b1-c512-fp16-eager", device_s=0.008)], written="2026-11-22", command="a test")
    command = [sys.executable, "-m", "baselines", "show", "--json", "--perf-baselines", str(store.root)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdout.close()
        said = started.stderr.read()

    assert (said, started.returncode) == (b"", 141)
