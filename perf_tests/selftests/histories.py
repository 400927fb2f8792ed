"""Runs for a history, and what any database must do with them: the same tests for each."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baselines.__main__ import main
from baselines.history.entry import entries_of
from baselines.history.errors import HistoryError
from baselines.history.keeping import keep
from baselines.history.opening import open_history
from baselines.history.outbox import NOTE, read_note, run_folders
from baselines.history.place import Place
from baselines.run import RunFolder, Verdicts
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import DECODE, record, run_folder, soft_key
from perf_tests.selftests.tiny import Later

sqlalchemy = Later("sqlalchemy")

PREFILL = "prefill-b1-p512-fp16-eager"
GENERATE = "generate-b1-p128-n32-fp16-eager"


def named(url: str) -> Place:
    return Place(url=url, origin="--perf-history")


def a_run(
    path: Path,
    *,
    run: str | None = None,
    started: str = "2026-11-22T12:00:00+00:00",
    commit: str = "abc1234",
    device_s: float = 0.008,
    cases: Sequence[str] = (DECODE, PREFILL),
    exit_status: int | None = 0,
    status: Status | None = Status.PASS,
    dirty: bool = False,
    **soft: str,
) -> RunFolder:
    """A run's folder, of its own id unless `run` gives one. Times differ by case."""
    run = run or path.name
    stamp = {"run": run, "started": started, "commit": commit, "dirty": dirty}
    records = [
        replace(
            record(case, wall_s=5 * device_s, device_s=device_s * (1 + i), soft=replace(soft_key(), **soft)),
            **stamp,
        )
        for i, case in enumerate(cases)
    ]
    folder = run_folder(path, records)
    if status is not None:
        judge(folder, status)
    folder.write_info(
        replace(folder.info(), id=run, started=started, commit=commit, dirty=dirty, exit_status=exit_status)
    )
    return folder


def judge(folder: RunFolder, status: Status) -> None:
    verdicts = [Verdict(case=r.case.id, status=status, reasons=("a test",)) for r in folder.records()]
    folder.write_verdicts(Verdicts(policy_digest="0" * 16, verdicts=tuple(verdicts)))


def kept(url: str) -> dict[tuple[str, str], int]:
    """How often the history holds each case of each run."""
    counts: dict[tuple[str, str], int] = {}
    with open_history(named(url), create=False) as history:
        for one in history.observations():
            counts[one.run, one.case] = counts.get((one.run, one.case), 0) + 1
    return counts


def on_disk(root: Path) -> dict[tuple[str, str], int]:
    """Each case of each run below `root`, once."""
    return {(r.run, r.case.id): 1 for folder in run_folders(root) for r in folder.records()}


class AnyDatabase:
    """What holds for every database; a subclass gives the fixture `url`, of an empty one."""

    def test_a_record_comes_back_equal(self, tmp_path: Path, url: str) -> None:
        folder = a_run(tmp_path / "run", cases=[DECODE, PREFILL, GENERATE])

        assert keep(folder, named(url)) == ""
        with open_history(named(url), create=False) as history:
            back = [history.record(one.key) for one in history.observations()]
        assert sorted(back, key=lambda r: r.case.id) == sorted(folder.records(), key=lambda r: r.case.id)

    def test_a_run_comes_back_as_it_was_observed(self, tmp_path: Path, url: str) -> None:
        folder = a_run(
            tmp_path / "run",
            cases=[DECODE],
            started="2026-11-22T23:30:00-02:00",
            exit_status=1,
            status=Status.REGRESSED,
        )
        keep(folder, named(url))
        with open_history(named(url), create=False) as history:
            (one,) = history.observations()

        assert one == entries_of(folder)[0].observation
        assert one.run_started.isoformat() == "2026-11-23T01:30:00+00:00"
        assert (one.run, one.commit, one.dirty, one.exit_status) == ("run", "abc1234", False, 1)
        assert (one.device_s, one.device_as_run_s, one.wall_s) == (0.008, 0.008, 0.04)
        assert one.lower_s == pytest.approx(4.265e-3, rel=1e-3)
        assert (one.status, one.soft) == ("regressed", soft_key())

    def test_a_second_sending_changes_nothing(self, tmp_path: Path, url: str) -> None:
        entries = entries_of(a_run(tmp_path / "run"))
        with open_history(named(url), create=True) as history:
            first, second = history.append(entries), history.append(entries)
            rows = history.observations()

        assert ((first.new, first.known), (second.new, second.known)) == ((2, 0), (0, 2))
        assert len(rows) == 2

    def test_two_who_send_the_same_run_at_once_keep_it_once(self, tmp_path: Path, url: str) -> None:
        """The other is done between this one's look and its insert."""
        entries = entries_of(a_run(tmp_path / "run"))
        inserted: list[str] = []
        with (
            open_history(named(url), create=True) as one,
            open_history(named(url), create=True) as other,
        ):

            def meanwhile(_: Any, __: Any, statement: str, *___: Any) -> None:
                if statement.startswith("INSERT INTO roofgate_records"):
                    inserted.append(statement)
                    if len(inserted) == 1:
                        other.append(entries)

            sqlalchemy.event.listen(one._engine, "before_cursor_execute", meanwhile)
            appended = one.append(entries)
            rows = one.observations()

        assert len(inserted) == 1
        assert (appended.new, appended.known, len(rows)) == (0, 2, 2)

    def test_a_run_is_appended_whole_or_not_at_all(self, tmp_path: Path, url: str) -> None:
        first, second = entries_of(a_run(tmp_path / "run"))
        broken = replace(second, observation=replace(second.observation, wall_s=None))  # type: ignore[arg-type]
        with open_history(named(url), create=True) as history:
            with pytest.raises(HistoryError, match="cannot be used"):
                history.append([first, broken])
            rows = history.observations()

        assert rows == ()

    def test_runs_of_one_id_are_two(self, tmp_path: Path, url: str) -> None:
        """Two runners begin the same commit in the same second."""
        same = {"run": "20261122T120000-abc1234", "cases": [DECODE]}
        runners = [
            a_run(tmp_path / "a", **same, host="a"),
            a_run(tmp_path / "b", **same, host="b"),
            a_run(tmp_path / "c", **same, host="b", gpu_uuid="GPU-1"),
            a_run(tmp_path / "d", **same, host="b", gpu_uuid="GPU-1", device_s=0.00801),
        ]

        assert [keep(folder, named(url)) for folder in runners] == ["", "", "", ""]
        assert kept(url) == {("20261122T120000-abc1234", DECODE): 4}

    def test_how_a_run_ended_is_added_once_it_is_known(self, tmp_path: Path, url: str) -> None:
        folder = a_run(tmp_path / "run", cases=[DECODE], exit_status=None, status=None)
        assert main(["push", str(tmp_path), "--perf-history", url]) == 0
        grown = a_run(tmp_path / "run", exit_status=1, status=Status.REGRESSED)
        assert main(["push", str(tmp_path), "--perf-history", url]) == 0
        later = a_run(tmp_path / "run", exit_status=0, status=Status.PASS)
        assert keep(later, named(url)) == ""

        with open_history(named(url), create=False) as history:
            seen = {(o.case, o.exit_status, o.status) for o in history.observations()}
        assert seen == {(DECODE, 1, "regressed"), (PREFILL, 1, "regressed")}
        assert folder.path == grown.path

    def test_a_history_of_a_newer_schema_is_refused(self, tmp_path: Path, url: str) -> None:
        with open_history(named(url), create=True) as history, history._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE roofgate_history SET schema = 7")

        said = keep(a_run(tmp_path / "run"), named(url))

        assert "is a history of schema 7, newer than this Roofgate keeps (1): update Roofgate" in said
        assert not (tmp_path / "run" / NOTE).exists()

    def test_tables_of_others_stay(self, tmp_path: Path, url: str) -> None:
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE records (mine INTEGER)")
            connection.exec_driver_sql("INSERT INTO records VALUES (7)")
        keep(a_run(tmp_path / "run"), named(url))
        with engine.begin() as connection:
            mine = connection.exec_driver_sql("SELECT mine FROM records").scalars().all()
        engine.dispose()

        assert mine == [7]
        assert len(kept(url)) == 2

    def test_push_sends_what_is_not_there(
        self, tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("run-1", "refresh-x/session-1", "refresh-x/session-2"):
            a_run(tmp_path / "runs" / name, run=name)

        assert main(["push", str(tmp_path / "runs" / "run-1"), "--perf-history", url]) == 0
        assert main(["push", str(tmp_path / "runs"), "--perf-history", url]) == 0
        out = capsys.readouterr().out.splitlines()

        assert out == [
            f"{tmp_path}/runs/run-1: 2 records sent",
            f"{tmp_path}/runs/refresh-x/session-1: 2 records sent",
            f"{tmp_path}/runs/refresh-x/session-2: 2 records sent",
            f"{tmp_path}/runs/run-1: there already",
        ]
        assert kept(url) == on_disk(tmp_path)

    def test_what_one_database_has_another_is_sent(self, tmp_path: Path, url: str) -> None:
        folder = a_run(tmp_path / "run")
        elsewhere = f"sqlite:///{tmp_path}/elsewhere.sqlite"
        keep(folder, named(elsewhere))
        keep(folder, named(url))

        assert kept(elsewhere) == kept(url) == on_disk(tmp_path)
        assert [s.records for s in read_note(folder).sent] == [2, 2]
        assert len({s.database for s in read_note(folder).sent}) == 2
