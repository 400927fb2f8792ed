"""Sessions of two cards in one baseline: added, replaced, and what cannot stand together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from baselines.cards import merged, unmergeable
from baselines.record import KernelTime, Record
from baselines.run import RunFolder
from baselines.store import Baseline, baseline_of
from perf_tests.selftests.records import conditions, hard_key, record, soft_key
from perf_tests.selftests.refreshes import DECODE, five, loaded, refresh, session, tree

WHEN = "2026-11-22T12:00:00+00:00"


def on(card: str, **changed: object) -> Callable[[Record], Record]:
    soft = replace(soft_key(), gpu_uuid=card, host=f"host-of-{card}", **changed)  # type: ignore[arg-type]
    return lambda one: replace(one, soft=soft, measurement=replace(one.measurement, conditions=conditions()))


def runs(root: Path, card: str, *, first_s: float = 0.008, commit: str = "abc1234") -> list[RunFolder]:
    def change(one: Record) -> Record:
        return replace(on(card)(one), commit=commit)

    return five(root, first_s=first_s, cases=[DECODE], change=change)


def cards(store: Path) -> list[str | None]:
    return [s.soft.gpu_uuid for s in loaded(store).sessions]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Five sessions of GPU-0."""
    root = tmp_path / "store"
    assert refresh(root, runs(tmp_path / "zero", "GPU-0")) == 0
    return root


class TestAdded:
    def test_a_second_card_beside_the_first(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """2 % slower than the first: of the same code, so it is the card."""
        assert refresh(store, runs(tmp_path / "one", "GPU-1", first_s=0.00816), "--add") == 0

        assert cards(store) == ["GPU-0"] * 5 + ["GPU-1"] * 5
        assert loaded(store).device_medians_s[:5] == pytest.approx(
            (0.008, 0.00801, 0.00802, 0.00803, 0.00804)
        )
        assert loaded(store).reason is None
        out = capsys.readouterr().out
        assert f"| `{DECODE}` | 10 (2 cards) | 8.020 ± 0.020 ms → 8.100 ± " in out
        assert "| GPU-1 added |" in out

    def test_one_card_is_replaced_and_the_other_stays(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        refresh(store, runs(tmp_path / "one", "GPU-1"), "--add")
        assert refresh(store, runs(tmp_path / "again", "GPU-0", first_s=0.0078), "--add") == 0

        assert cards(store) == ["GPU-1"] * 5 + ["GPU-0"] * 5
        assert loaded(store).device_medians_s[5] == pytest.approx(0.0078)
        assert "| GPU-0 replaced |" in capsys.readouterr().out

    def test_the_replaced_card_is_compared_with_itself(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The other is 4 % slower, and hides nothing."""
        refresh(store, runs(tmp_path / "one", "GPU-1", first_s=0.00832), "--add")
        before = tree(store)

        assert refresh(store, runs(tmp_path / "again", "GPU-0", first_s=0.00816), "--add") == 1
        assert "+2.00 % against 8.020 ms" in capsys.readouterr().err
        assert tree(store) == before

    def test_without_it_all_are_replaced_and_it_is_said(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        refresh(store, runs(tmp_path / "one", "GPU-1"), "--add")
        assert refresh(store, runs(tmp_path / "again", "GPU-1")) == 0

        assert cards(store) == ["GPU-1"] * 5
        assert "| no longer of GPU-0 (--add keeps other cards) |" in capsys.readouterr().out

    def test_where_nothing_is_stored_it_is_the_first(self, tmp_path: Path) -> None:
        assert refresh(tmp_path / "new", runs(tmp_path / "one", "GPU-1"), "--add") == 0
        assert cards(tmp_path / "new") == ["GPU-1"] * 5

    def test_of_another_commit_it_may_be_the_code(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        slower = runs(tmp_path / "one", "GPU-1", first_s=0.00816, commit="fffffff")

        assert refresh(store, slower, "--add") == 1
        assert "the stored are of GPU-0, these of GPU-1, and cards of a kind" in capsys.readouterr().err
        assert refresh(store, slower, "--add", "--accept-regression", "the card") == 0
        assert loaded(store).reason == "the card"


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (on("GPU-1", driver="595.10"), "driver is '580.159' in the stored run-0 and '595.10' in run-0"),
            (on("GPU-1", torch="2.12.0"), "torch is '2.11.0' in the stored run-0 and '2.12.0' in run-0"),
            (
                lambda one: replace(on("GPU-1")(one), hard=replace(hard_key(), power_limit_w=400.0)),
                "the stored sessions are under another hard key: power_limit_w 700.0 -> 400.0",
            ),
        ],
    )
    def test_under_other_keys(
        self,
        change: Callable[[Record], Record],
        said: str,
        store: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        before = tree(store)

        assert refresh(store, five(tmp_path / "new", cases=[DECODE], change=change), "--add") == 1
        assert f"refused: {DECODE}: {said}; refresh without --add, or both cards" in capsys.readouterr().err
        assert tree(store) == before

    def test_beside_sessions_of_nobody_knows_which_card(self) -> None:
        unknown = made(replace(record(DECODE), soft=replace(soft_key(), gpu_uuid=None)))

        assert unmergeable(unknown, made(record(DECODE))) == [
            f"{DECODE}: the stored session {record(DECODE).run} does not say of which card it is"
        ]

    def test_the_other_card_may_be_in_another_host(self) -> None:
        assert unmergeable(made(on("GPU-0")(record(DECODE))), made(on("GPU-1")(record(DECODE)))) == []


def made(*records: Record) -> Baseline:
    return baseline_of(records, written=WHEN, command="a test")


def kernel(name: str, *device_s: float, launches: int = 32) -> KernelTime:
    return KernelTime(operator="q_proj", name=name, launches=launches, device_s=device_s)


class TestKernels:
    def ran(self, card: str, *kernels: KernelTime) -> Record:
        return on(card)(record(DECODE, kernels=kernels))

    def test_a_median_per_session_in_their_order(self) -> None:
        """0 where a session did not run it; those that none runs any more are gone."""
        old = made(
            self.ran("GPU-0", kernel("gone", 9.0)),
            self.ran("GPU-1", kernel("a", 1.0), kernel("old", 2.0)),
            self.ran("GPU-1", kernel("a", 1.5), kernel("old", 2.5)),
        )
        fresh = made(self.ran("GPU-0", kernel("a", 3.0, launches=40), kernel("new", 4.0)))
        both = merged(old, fresh)

        assert [s.soft.gpu_uuid for s in both.sessions] == ["GPU-1", "GPU-1", "GPU-0"]
        assert both.kernels == (
            kernel("a", 1.0, 1.5, 3.0),
            kernel("old", 2.0, 2.5, 0.0),
            kernel("new", 0.0, 0.0, 4.0, launches=0),
        )

    def test_where_a_side_has_none_there_are_none(self) -> None:
        with_kernels, without = made(self.ran("GPU-0", kernel("a", 1.0))), made(on("GPU-1")(record(DECODE)))

        assert merged(with_kernels, without).kernels is None
        assert merged(without, with_kernels).kernels is None

    def test_of_the_same_card_only_the_new_ones(self) -> None:
        old, new = made(on("GPU-0")(record(DECODE))), made(self.ran("GPU-0", kernel("a", 1.0)))

        assert merged(old, new).kernels == (kernel("a", 1.0),)
        assert merged(old, new).sessions == new.sessions


def test_a_cpu_has_no_cards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor a column that counts them."""
    run = session(tmp_path / "a", cases=[DECODE], change=lambda one: replace(one, soft=soft_key("cpu")))

    assert refresh(tmp_path / "store", [run]) == 0
    assert f"| `{DECODE}` | 1 | " in " ".join(capsys.readouterr().out.split())
