"""Where a baseline comes from, how far it has drifted, and what a dry run leaves alone."""

import getpass
import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from baselines import codec, plugin
from baselines.provenance import who
from baselines.refresh.acceptance import Terms
from baselines.refresh.storing import NotAcceptedError, store_sessions
from baselines.store import Baseline, Store
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import DECODE, record, run_folder
from perf_tests.selftests.refreshes import PREFILL, five, loaded, refresh, session, tree

ACCEPT = ("--accept-regression", "a safer kernel")


class TestAnchor:
    """Three refreshes in a row: 8.02 ms, then 4 % slower, then 1 % faster than that."""

    @pytest.fixture
    def three(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Sequence[Baseline]:
        """The decode case's baseline after each; 8.02, 8.34 and 8.25 ms."""
        store, found = tmp_path / "store", []
        for day, (first_s, more) in enumerate([(0.00800, ()), (0.00832, ACCEPT), (0.00823, ())]):
            assert refresh(store, five(tmp_path / str(day), first_s=first_s), *more) == 0
            # A day is too short for a time to the second.
            aged = replace(loaded(store), written=f"2026-11-0{day + 1}T12:00:00+00:00")
            codec.write(aged, Store(store).path(record(DECODE)))
            found.append(aged)
        self.out = capsys.readouterr().out
        return found

    def test_the_first_is_its_own(self, three: Sequence[Baseline]) -> None:
        first = three[0]

        assert (first.anchor, first.previous, first.drift, first.reason) == (None, None, None, None)

    def test_it_stays_while_each_names_what_it_replaced(self, three: Sequence[Baseline]) -> None:
        first, second, third = three

        assert second.anchor == second.previous == first.accepted
        assert second.anchor is not None
        assert (second.anchor.written, second.anchor.commit) == ("2026-11-01T12:00:00+00:00", "abc1234")
        assert second.anchor.sessions == 5
        assert second.anchor.device_s == pytest.approx(0.00802, rel=1e-5)
        assert second.anchor.wall_s == pytest.approx(0.01604, rel=1e-5)
        assert third.anchor == first.accepted
        assert third.previous == second.accepted
        assert third.previous is not None
        assert third.previous.written == "2026-11-02T12:00:00+00:00"

    def test_the_drift_is_of_all_refreshes_together(self, three: Sequence[Baseline]) -> None:
        _, second, third = three

        assert second.drift == pytest.approx(0.0399, abs=1e-4)
        assert third.drift == pytest.approx(0.0287, abs=1e-4)
        assert "| -1.08 % |" in self.out
        assert "| +2.87 % since 2026-11-01 |" in self.out

    def test_the_reason_is_of_the_refresh_that_needed_it(self, three: Sequence[Baseline]) -> None:
        assert [one.reason for one in three] == [None, "a safer kernel", None]
        assert "| accepted: a safer kernel |" in self.out
        assert "2 cases are worse than before, accepted: a safer kernel." in " ".join(self.out.split())


class TestAccepted:
    def test_only_the_case_that_was_worse_keeps_the_reason(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store = tmp_path / "store"
        refresh(store, five(tmp_path / "was", cases=[DECODE], first_s=0.0077))
        refresh(store, five(tmp_path / "other", cases=[PREFILL]))
        assert refresh(store, five(tmp_path / "new"), *ACCEPT) == 0

        assert loaded(store).reason == "a safer kernel"
        assert loaded(store, PREFILL).reason is None
        assert "1 case is worse than before" in " ".join(capsys.readouterr().out.split())

    def test_a_reason_that_nothing_needed_is_said_to_be_none(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert refresh(tmp_path / "store", five(tmp_path), *ACCEPT) == 0
        assert "No case is worse than before: the reason was not needed" in capsys.readouterr().out
        assert loaded(tmp_path / "store").reason is None

    @pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "\x1b[2J"])
    def test_a_reason_is_one_line(
        self, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert refresh(tmp_path / "store", five(tmp_path), "--accept-regression", reason) == 2
        said = f"error: --accept-regression is {reason!r}; a reason in one line is needed\n"
        assert capsys.readouterr().err == said
        assert not (tmp_path / "store").exists()

    def test_a_bar_in_a_reason_leaves_the_table_whole(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        refresh(tmp_path / "store", five(tmp_path / "was", first_s=0.0077))
        refresh(tmp_path / "store", five(tmp_path / "new"), "--accept-regression", "a | b")

        assert "| accepted: a \\| b |" in capsys.readouterr().out

    def test_the_functions_take_the_same_terms(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        store_sessions(store, five(tmp_path / "was", first_s=0.0077), command="a test")
        runs = five(tmp_path / "new")
        with pytest.raises(NotAcceptedError) as refused:
            store_sessions(store, runs, command="a test")
        changes = store_sessions(store, runs, command="a test", terms=Terms(reason="why"))

        assert [c.new.case for c in refused.value.changes] == [c.new.case for c in changes]
        assert [c.new.reason for c in changes] == ["why", "why"]


class TestWho:
    def test_user_and_host(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(getpass, "getuser", lambda: "ada")
        monkeypatch.setattr(platform, "node", lambda: "gpu-1")
        refresh(tmp_path / "store", five(tmp_path))

        assert loaded(tmp_path / "store").by == "ada@gpu-1"

    @pytest.mark.parametrize("error", [KeyError, OSError, ImportError])
    def test_where_there_is_no_user_name(
        self, error: type[Exception], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def nobody() -> str:
            raise error("getpwuid(): uid not found")

        monkeypatch.setattr(getpass, "getuser", nobody)
        monkeypatch.setattr(platform, "node", lambda: "")

        assert who() == f"uid-{os.getuid()}@unknown"

    def test_a_password_in_the_command_is_hidden(self, tmp_path: Path) -> None:
        """A run's folder may be called so."""
        run = session(tmp_path / "a?password=secret")

        assert refresh(tmp_path / "store", [run]) == 0
        assert "secret" not in loaded(tmp_path / "store").command

    def test_missing_baselines_have_it_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(getpass, "getuser", lambda: "ada")
        monkeypatch.setattr(platform, "node", lambda: "gpu-1")
        verdicts = [Verdict(case=DECODE, status=Status.NO_BASELINE, reasons=("a test",))]
        folder = run_folder(tmp_path / "run", [record(DECODE, device_s=0.008)], verdicts=verdicts)
        perf = plugin.PerfState(store=Store(tmp_path / "s"), folder=folder, stored=False, opened=True)
        plugin._store_missing(perf, passed=True)
        stored = loaded(tmp_path / "s")

        assert (stored.by, stored.command) == ("ada@gpu-1", "pytest --perf-update missing")
        assert (stored.anchor, stored.previous, stored.reason) == (None, None, None)


class TestDryRun:
    def test_of_what_would_be_stored(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        store = tmp_path / "store"
        refresh(store, five(tmp_path / "was"))
        runs = five(tmp_path / "new", first_s=0.0079)
        before = tree(tmp_path)
        capsys.readouterr()

        assert refresh(store, runs, "--dry-run") == 0
        assert tree(tmp_path) == before
        out = capsys.readouterr().out
        assert "8.020 ± 0.020 ms → 7.920 ± 0.020 ms | -1.25 %" in out
        assert "- Baselines of mistral-7b-v0.1 on h100-sxm" in out
        assert f"Dry run: nothing was stored. 2 would be in {store}" in out
        assert "Stored in" not in out

    def test_of_what_would_be_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        store = tmp_path / "store"
        refresh(store, five(tmp_path / "was"))
        before = tree(store)

        assert refresh(store, five(tmp_path / "new", first_s=0.0083), "--dry-run") == 1
        assert tree(store) == before
        assert "refused: " in capsys.readouterr().err

    def test_makes_no_store_no_lock_and_no_changelog_line(self, tmp_path: Path) -> None:
        log = tmp_path / "CHANGELOG.md"
        log.write_text("## [Unreleased]\n", encoding="utf-8")

        assert refresh(tmp_path / "store", five(tmp_path), "--dry-run", "--changelog", str(log)) == 0
        assert not (tmp_path / "store").exists()
        assert log.read_text(encoding="utf-8") == "## [Unreleased]\n"
