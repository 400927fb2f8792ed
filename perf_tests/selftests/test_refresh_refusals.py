"""What speaks against new sessions: worse than before, mixed, dirty, blind, picked. Each is
refused with exit code 1, in words, and not a byte of the store changes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from analytic import Promise
from baselines.allowed import Allowed
from baselines.policy import POLICY
from baselines.record import Counts, Record
from baselines.refresh.storing import NotAcceptedError, store_sessions
from baselines.run import RunFolder
from baselines.store import Store
from baselines.verdict import Status
from perf_tests.selftests.records import DECODE, conditions, hard_key, soft_key
from perf_tests.selftests.refreshes import PREFILL, five, loaded, refresh, session, tree

Edit = Callable[[Record], Record]


def measured(**changed: object) -> Edit:
    return lambda one: replace(one, measurement=replace(one.measurement, **changed))  # type: ignore[arg-type]


def soft(**changed: object) -> Edit:
    return lambda one: replace(one, soft=replace(soft_key(), **changed))  # type: ignore[arg-type]


def promising(device: float = 0.01, wall: float | None = None) -> Edit:
    return lambda one: replace(one, case=replace(one.case, promise=Promise(device=device, wall=wall)))


def spread(root: Path, *device_s: float, change: Edit = lambda r: r) -> list[RunFolder]:
    """Runs of the decode case alone, of these device times."""
    return [
        session(root / f"run-{i}", device_s=s, cases=[DECODE], change=change) for i, s in enumerate(device_s)
    ]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Five sessions of two cases, near 8.02 ms."""
    root = tmp_path / "store"
    store_sessions(Store(root), five(tmp_path / "was"), command="a test")
    return root


@pytest.fixture
def refused(store: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Refreshes the store, which must refuse; what it says."""

    def refusing(runs: Sequence[RunFolder | Path], *more: str) -> str:
        before = tree(store)
        capsys.readouterr()

        assert refresh(store, runs, *more) == 1

        assert tree(store) == before
        lines = capsys.readouterr().err.splitlines()
        assert all(line.startswith("refused: ") for line in lines)
        return "\n".join(lines)

    return refusing


class TestWorse:
    def test_slower_sessions(self, refused: Callable[..., str], store: Path, tmp_path: Path) -> None:
        said = refused(five(tmp_path / "new", first_s=0.0083))

        assert (
            f"refused: {DECODE}: device time 8.320 ms, the mean of 5 sessions, is +3.74 % against 8.020 ms of "
            f"the 5 stored in {store / 'h100-sxm' / 'mistral-7b-v0.1' / DECODE}.json, more than the "
        ) in said
        assert 'if it is meant: --accept-regression "reason"' in said
        assert f"refused: {PREFILL}: device time " in said

    def test_the_table_is_shown_and_the_runs_are_named_for_the_next_try(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        runs = five(tmp_path / "new", first_s=0.0083)
        refresh(store, runs)
        out = capsys.readouterr().out

        assert "8.020 ± 0.020 ms → 8.320 ± 0.020 ms | +3.74 %" in out
        assert f"Nothing was stored. The runs: --from {runs[0].path} " in out
        assert "Stored in" not in out

    def test_a_run_8_percent_slower_and_its_identical_retry(
        self, refused: Callable[..., str], tmp_path: Path
    ) -> None:
        """The first failed; the second was told that it passed, by whatever means."""
        failed = session(tmp_path / "a" / "failed", device_s=0.00866, exit_status=1, status=Status.REGRESSED)
        retry = session(tmp_path / "b" / "retry", device_s=0.00866)

        assert "failed: the run ended with exit code 1; only a run that passed" in refused([failed])
        for accepted in ([], ["--accept-blind"]):
            said = refused([retry], *accepted)
            assert (
                f"{DECODE}: device time 8.660 ms, the mean of 1 session, is +7.98 % against 8.020 ms" in said
            )
            assert f"{PREFILL}: device time 8.660 ms" in said

    @pytest.mark.parametrize("good", [1, 2, 4])
    def test_a_slow_run_is_not_hidden_among_good_ones(
        self, good: int, refused: Callable[..., str], tmp_path: Path
    ) -> None:
        times = [0.00802] * good + [0.00866]

        assert f"{DECODE}: device time " in refused(spread(tmp_path / "new", *times), "--accept-blind")

    def test_by_chance_a_little_slower_is_stored(self, store: Path, tmp_path: Path) -> None:
        """0.1 % where a session differs by 0.2 %."""
        assert refresh(store, five(tmp_path / "new", first_s=0.008008)) == 0

    def test_of_a_baseline_of_one_session_too(
        self, tmp_path: Path, refused: Callable[..., str], store: Path
    ) -> None:
        """Too few to judge, they are still compared: by the new ones' spread."""
        assert refresh(store, [session(tmp_path / "one", device_s=0.00802)], "--accept-blind") == 0

        assert f"{DECODE}: device time 8.320 ms" in refused(five(tmp_path / "new", first_s=0.0083))

    def test_on_another_card_and_the_cards_are_named(
        self, refused: Callable[..., str], tmp_path: Path
    ) -> None:
        runs = five(tmp_path / "new", first_s=0.0083, change=soft(gpu_uuid="GPU-1"))

        assert "the stored are of GPU-0, these of GPU-1, and cards of a kind may differ" in refused(runs)

    def test_not_under_another_hard_key_which_starts_anew(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capped = replace(hard_key(), power_limit_w=400.0)
        runs = five(tmp_path / "new", first_s=0.0100, change=lambda r: replace(r, hard=capped))

        assert refresh(store, runs) == 0
        note = "another hard key, so not compared, and an anchor of its own: power_limit_w 700.0 -> 400.0 |"
        assert note in capsys.readouterr().out
        assert loaded(store).anchor is None
        assert loaded(store).drift is None
        assert loaded(store).previous is not None

    @pytest.mark.parametrize(("promised", "code"), [(None, 0), (0.05, 1)])
    def test_a_slower_wall_where_it_is_promised(
        self,
        promised: float | None,
        code: int,
        store: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def slower(one: Record) -> Record:
            walls = tuple(1.3 * s for s in one.measurement.wall_s)
            return promising(wall=promised)(measured(wall_s=walls)(one))

        assert refresh(store, five(tmp_path / "new", change=slower)) == code
        assert (f"{DECODE}: wall time 20.852 ms" in capsys.readouterr().err) == bool(code)


class TestMoreWork:
    """Counts are exact: one more launch is more, under the same software."""

    @pytest.fixture
    def counted(self, store: Path, tmp_path: Path) -> Path:
        runs = five(tmp_path / "counted", change=measured(counts=Counts(launches=10)))
        store_sessions(Store(store), runs, command="a test")
        return store

    def test_is_refused(self, counted: Path, refused: Callable[..., str], tmp_path: Path) -> None:
        said = refused(five(tmp_path / "new", change=measured(counts=Counts(launches=11))))

        assert f"{DECODE}: the host does more for a step: launches 10 -> 11, under the same software" in said
        assert loaded(counted).sessions[0].counts == Counts(launches=10)

    def test_is_told_under_other_software(
        self, counted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def newer(one: Record) -> Record:
            return soft(torch="2.12.0")(measured(counts=Counts(launches=11))(one))

        assert refresh(counted, five(tmp_path / "new", change=newer)) == 0
        assert "| launches 10 -> 11 under other software |" in capsys.readouterr().out

    def test_is_stored_where_it_is_declared_or_less(self, counted: Path, tmp_path: Path) -> None:
        row = Allowed(gpu="h100-sxm", model="*", cases="*", count="launches", by=1, reason="a test")
        more = five(tmp_path / "more", change=measured(counts=Counts(launches=11)))
        with pytest.raises(NotAcceptedError, match="launches 10 -> 11"):
            store_sessions(Store(counted), more, command="a test", allowed=())
        store_sessions(Store(counted), more, command="a test", allowed=(row,))

        assert refresh(counted, five(tmp_path / "less", change=measured(counts=Counts(launches=9)))) == 0


class TestMixed:
    @pytest.mark.parametrize(
        ("edit", "said"),
        [
            (soft(gpu_uuid="GPU-1"), "gpu_uuid is 'GPU-0' in run-0 and 'GPU-1' in run-4"),
            (soft(driver="595.10"), "driver is '580.159' in run-0 and '595.10' in run-4"),
            (soft(cuda="13.1"), "cuda is '13.0' in run-0 and '13.1' in run-4"),
            (soft(torch="2.12.0"), "torch is '2.11.0' in run-0 and '2.12.0' in run-4"),
            (soft(transformers="6"), "transformers is '5.17.0' in run-0 and '6' in run-4"),
            (soft(bitsandbytes=None), "bitsandbytes is '0.50.2' in run-0 and None in run-4"),
            (lambda r: replace(r, commit="fffffff"), "commit is 'abc1234' in run-0 and 'fffffff' in run-4"),
            (
                measured(conditions=conditions(sm_clock_max_mhz=1755)),
                "sm_clock_max_mhz is 1980 in run-0 and 1755 in run-4",
            ),
            (
                measured(conditions=conditions(memory_clock_max_mhz=1593)),
                "memory_clock_max_mhz is 2619 in run-0 and 1593 in run-4",
            ),
            (measured(conditions=None), "sm_clock_max_mhz is 1980 in run-0 and None in run-4"),
            (
                lambda r: replace(r, hard=replace(hard_key(), power_limit_w=400.0)),
                "power_limit_w is 700.0 in run-0 and 400.0 in run-4",
            ),
        ],
    )
    def test_sessions_of_two_kinds(
        self, edit: Edit, said: str, refused: Callable[..., str], tmp_path: Path
    ) -> None:
        calm = measured(conditions=conditions())
        runs = five(tmp_path / "new", change=calm)
        runs[4] = session(tmp_path / "new" / "run-4", device_s=0.00804, change=lambda r: edit(calm(r)))

        lines = refused(runs, "--accept-regression", "a test", "--accept-blind", "--allow-dirty").splitlines()
        assert f"refused: {said}; the sessions of a baseline share it: measure anew" in lines

    def test_of_two_cards_the_way_out_is_said(self, refused: Callable[..., str], tmp_path: Path) -> None:
        runs = [session(tmp_path / "a"), session(tmp_path / "b", change=soft(gpu_uuid="GPU-1"))]

        assert "store the one, then add the other with --add" in refused(runs)


class TestDirty:
    @staticmethod
    def dirtied(one: Record) -> Record:
        return replace(one, dirty=True)

    def test_is_refused_by_name(self, refused: Callable[..., str], tmp_path: Path) -> None:
        runs = five(tmp_path / "new")
        runs[3] = session(tmp_path / "new" / "run-3", change=self.dirtied)

        assert "refused: run-3: measured with local changes in the tree; commit them" in refused(runs)

    def test_unless_told_and_the_changelog_says_so(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert refresh(store, five(tmp_path / "new", change=self.dirtied), "--allow-dirty") == 0
        assert "at abc1234-dirty" in " ".join(capsys.readouterr().out.split())
        assert "--allow-dirty" in loaded(store).command


class TestBlind:
    # An SD of 2 %. By hand: 1.72 · 1.98 % · √1.2 suspect it, 2.50 such SEs more show it, + 9.6 %.
    WIDE = (0.0078, 0.0079, 0.0080, 0.0081, 0.0082)

    def test_sessions_that_disagree_too_much(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        runs = spread(tmp_path / "new", *self.WIDE)

        assert refresh(tmp_path / "none", runs) == 1
        said = capsys.readouterr().err
        assert (
            f"refused: {DECODE}: the sessions disagree too much: device time differs between 5 by an SD of"
            in said
        )
        assert "SD of 2.00 %, so that a slowdown is seen from +9.58 % on, and 1.00 % is promised" in said
        assert "catches = { device = … } in the file of cases), or --accept-blind" in said
        assert not (tmp_path / "none").exists()

    def test_unless_less_is_promised(self, tmp_path: Path) -> None:
        assert refresh(tmp_path / "store", spread(tmp_path / "new", *self.WIDE, change=promising(0.15))) == 0

    def test_unless_it_is_accepted(self, tmp_path: Path) -> None:
        runs = spread(tmp_path / "new", *self.WIDE)

        assert refresh(tmp_path / "store", runs, "--accept-regression", "no such thing") == 1
        assert refresh(tmp_path / "store", runs, "--accept-blind") == 0
        assert loaded(tmp_path / "store").reason is None

    def test_two_sessions_do_not_judge_and_it_is_said(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert refresh(tmp_path / "store", spread(tmp_path / "new", 0.007, 0.009)) == 0
        assert f"new; does not judge yet: 2 of {POLICY.min_sessions} sessions |" in capsys.readouterr().out

    def test_fewer_do_not_replace_those_that_judge(self, refused: Callable[..., str], tmp_path: Path) -> None:
        said = refused(spread(tmp_path / "new", 0.0080, 0.0080))

        assert f"{DECODE}: the 5 stored sessions judge, and 2 in their place would not (3 of one card" in said

    def test_nor_do_those_without_a_device_time(self, refused: Callable[..., str], tmp_path: Path) -> None:
        runs = five(tmp_path / "new", change=measured(device_s=None, device_note="no CUPTI"))

        assert "stored sessions judge by device time, and the new ones have none" in refused(runs)

    @pytest.mark.parametrize(("promised", "code"), [(None, 0), (0.02, 1), (0.3, 0)])
    def test_a_noisy_wall_only_where_it_is_promised(
        self, promised: float | None, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def walls_alone(one: Record) -> Record:
            return promising(wall=promised)(measured(device_s=None)(one))

        assert refresh(tmp_path / "s", spread(tmp_path / "new", *self.WIDE, change=walls_alone)) == code
        said = capsys.readouterr().err
        assert ("catches = { wall = … }" in said) == bool(code)


class TestPicked:
    def test_a_confirmation_is_no_session(self, refused: Callable[..., str], tmp_path: Path) -> None:
        again = session(tmp_path / "run" / "confirmations" / "1")

        said = refused([session(tmp_path / "run"), again])
        assert f"{again.path}: a fresh process that measured suspects again: no session of a baseline" in said

    def test_nor_is_one_by_a_link(self, refused: Callable[..., str], tmp_path: Path) -> None:
        again = session(tmp_path / "run" / "confirmations" / "1")
        (tmp_path / "good").symlink_to(again.path)

        assert "a fresh process that measured suspects again" in refused([tmp_path / "good"])

    def test_a_run_that_was_not_judged(self, refused: Callable[..., str], tmp_path: Path) -> None:
        runs = [session(tmp_path / "a"), session(tmp_path / "b")]
        (runs[1].path / "verdicts.json").unlink()

        assert f"{runs[1].path}: not judged: {DECODE}, {PREFILL}; only what" in refused(runs)

    @pytest.mark.parametrize(
        "status",
        [Status.REGRESSED, Status.BELOW_BAND, Status.IMPOSSIBLE, Status.SHIFTED, Status.SUSPECT],
    )
    def test_what_passed_beside_a_failure_of_the_same_code(
        self, status: Status, refused: Callable[..., str], tmp_path: Path
    ) -> None:
        """However fast it was: the retry of a failed run is no session."""
        failed = session(tmp_path / "runs" / "monday", exit_status=1, status=status)
        retry = session(tmp_path / "runs" / "tuesday", device_s=0.0079)

        said = refused([retry], "--accept-regression", "a test", "--accept-blind")
        assert f"{failed.path} failed, at the same commit and on the same card: {DECODE} {status}" in said
        assert "what passed beside it is a retry: measure anew, without --from" in said

    @pytest.mark.parametrize(
        ("exit_status", "status", "edit"),
        [
            (0, Status.SUSPECT, lambda r: r),
            (1, Status.WARN, lambda r: r),  # by a test that broke, say
            (1, Status.REGRESSED, lambda r: replace(r, commit="fffffff")),
            (1, Status.REGRESSED, lambda r: replace(r, dirty=True)),
            (1, Status.REGRESSED, soft(gpu_uuid="GPU-1")),
        ],
    )
    def test_another_failure_says_nothing_of_it(
        self, exit_status: int, status: Status, edit: Edit, store: Path, tmp_path: Path
    ) -> None:
        session(tmp_path / "runs" / "other", exit_status=exit_status, status=status, change=edit)

        assert refresh(store, five(tmp_path / "runs")) == 0

    def test_of_another_case_neither_nor_what_cannot_be_read(self, store: Path, tmp_path: Path) -> None:
        session(tmp_path / "runs" / "other", cases=[PREFILL], exit_status=1, status=Status.REGRESSED)
        (tmp_path / "runs" / "broken").mkdir()
        (tmp_path / "runs" / "broken" / "run.json").write_text("{", encoding="utf-8")
        (tmp_path / "runs" / "note.txt").write_text("mine", encoding="utf-8")

        assert refresh(store, five(tmp_path / "runs", cases=[DECODE])) == 0
