"""The store beside the tables of cases: what is left over, what is lacking, what is damaged."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from analytic import Case
from baselines.codec import write
from baselines.coverage import Coverage, Damage, coverage, misplaced
from baselines.run import Planned
from baselines.store import Store
from perf_tests.cases import LANES, TABLE, lane_cases
from perf_tests.selftests.records import DECODE, MODEL, record, run_folder
from perf_tests.selftests.tiny import ROOT, Place

DECODE_8 = "decode-b8-c512-fp16-eager"
SMALL = "decode-b1-c32-fp32-eager"
WHEN = "2026-11-22T12:00:00+00:00"
NOTHING = Coverage(orphans=(), gaps=(), damaged=())


def plan(*ids: str, lane: str = "gpu", model: str = MODEL) -> list[Planned]:
    return [Planned(case=Case.parse(i, model=model), lane=lane) for i in ids]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The decode case of an H100 alone."""
    store = Store(tmp_path / "store")
    keep(store, DECODE)
    return store


def keep(store: Store, case_id: str, *, gpu: str = "h100-sxm", model: str = MODEL) -> Path:
    return store.write([record(case_id, gpu=gpu, model=model)], written=WHEN, command="a test")


def places(store: Store, paths: Iterable[Path]) -> list[str]:
    return [path.relative_to(store.root).as_posix() for path in paths]


def test_all_is_well_where_every_case_has_its_baseline(store: Store) -> None:
    assert coverage(store, plan(DECODE)) == NOTHING


def test_a_store_that_is_not_there_lacks_nothing(tmp_path: Path) -> None:
    assert coverage(Store(tmp_path / "none"), plan(DECODE)) == NOTHING
    assert list(tmp_path.iterdir()) == []


def test_looking_makes_nothing(store: Store) -> None:
    (store.root / ".lock").unlink()
    before = sorted(store.root.rglob("*"))
    coverage(store, plan(DECODE, DECODE_8))

    assert sorted(store.root.rglob("*")) == before


class TestOrphans:
    def test_a_case_that_no_table_has_any_more(self, store: Store) -> None:
        keep(store, DECODE_8)
        found = coverage(store, plan(DECODE))

        assert places(store, found.orphans) == [f"h100-sxm/{MODEL}/{DECODE_8}.json"]
        assert (found.gaps, found.damaged) == ((), ())

    def test_a_name_that_is_no_case_id(self, store: Store) -> None:
        path = store.root / "h100-sxm" / MODEL / "decode.json"
        path.write_text("{}", encoding="utf-8")

        assert coverage(store, plan(DECODE)) == replace(NOTHING, orphans=(path,))

    @pytest.mark.parametrize("place", ["", "h100-sxm", f"h100-sxm/{MODEL}/old"])
    def test_a_file_where_nobody_looks(self, place: str, store: Store) -> None:
        path = store.root / place / f"{DECODE}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}", encoding="utf-8")

        assert coverage(store, plan(DECODE)).orphans == (path,)

    def test_a_case_of_another_model_is_none_while_a_table_has_it(self, store: Store) -> None:
        """Kept for those who measure that model by an option."""
        keep(store, DECODE, model="mistral-7b-v0.2")

        assert coverage(store, plan(DECODE)) == NOTHING

    def test_what_a_killed_writer_left_is_none(self, store: Store) -> None:
        (store.root / "h100-sxm" / MODEL / f".{DECODE}.json.k3j2h1ab").write_text("{", encoding="utf-8")

        assert coverage(store, plan(DECODE)) == NOTHING


class TestGaps:
    def test_a_planned_case_of_a_gpu_that_has_others(self, store: Store) -> None:
        found = coverage(store, plan(DECODE, DECODE_8))

        assert places(store, found.gaps) == [f"h100-sxm/{MODEL}/{DECODE_8}.json"]
        assert (found.orphans, found.damaged) == ((), ())

    def test_a_gpu_without_a_folder_has_none(self, store: Store) -> None:
        keep(store, DECODE_8, gpu="t4")
        found = coverage(store, plan(DECODE, DECODE_8))

        assert places(store, found.gaps) == [
            f"h100-sxm/{MODEL}/{DECODE_8}.json",
            f"t4/{MODEL}/{DECODE}.json",
        ]

    def test_a_gpu_that_was_measured_has_them_all(self, store: Store) -> None:
        found = coverage(store, plan(DECODE), gpus=["t4"])

        assert places(store, found.gaps) == [f"t4/{MODEL}/{DECODE}.json"]

    def test_so_has_one_where_nothing_is_stored(self, tmp_path: Path) -> None:
        found = coverage(Store(tmp_path / "none"), plan(DECODE), gpus=["h100-sxm"])

        assert [path.stem for path in found.gaps] == [DECODE]
        assert list(tmp_path.iterdir()) == []

    def test_each_lane_has_its_own_machines(self, store: Store) -> None:
        keep(store, SMALL, gpu="cpu", model="mistral-cpu-140m")
        cpu = plan(SMALL, "prefill-b1-p32-fp32-eager", lane="cpu", model="mistral-cpu-140m")
        found = coverage(store, [*plan(DECODE), *cpu])

        assert places(store, found.gaps) == ["cpu/mistral-cpu-140m/prefill-b1-p32-fp32-eager.json"]
        assert found.orphans == ()

    def test_a_case_that_is_not_run_leaves_none_and_is_no_orphan(self, store: Store) -> None:
        keep(store, DECODE_8)
        not_run = [replace(p, not_run="no room") for p in plan(DECODE_8, "decode-b64-c512-fp16-eager")]

        assert coverage(store, [*plan(DECODE), *not_run]) == NOTHING


class TestDamaged:
    def test_a_file_that_is_cut_short(self, store: Store) -> None:
        path = keep(store, DECODE)
        path.write_text("{", encoding="utf-8")
        (damage,) = coverage(store, plan(DECODE)).damaged

        assert damage.path == path
        assert damage.reason.startswith("not JSON, or cut short")

    def test_a_file_of_another_case(self, store: Store) -> None:
        path = keep(store, DECODE).rename(store.root / "h100-sxm" / MODEL / f"{DECODE_8}.json")
        found = coverage(store, plan(DECODE_8))

        reason = f"holds {DECODE} of {MODEL} of h100-sxm, not {DECODE_8} of {MODEL} of h100-sxm"
        assert found == replace(NOTHING, damaged=(Damage(path=path, reason=reason),))

    def test_a_link_to_a_file_even_one_that_leads_nowhere(self, store: Store) -> None:
        path = keep(store, DECODE)
        path.unlink()
        path.symlink_to("nowhere.json")
        (damage,) = coverage(store, plan(DECODE)).damaged

        assert damage == Damage(
            path=path, reason="cannot be read: it is a symbolic link; a plain file is needed"
        )

    def test_a_link_to_nowhere_in_the_place_of_a_folder(self, store: Store) -> None:
        (store.root / "t4").symlink_to(store.root / "nowhere")

        assert [d.path for d in coverage(store, plan(DECODE)).damaged] == [store.root / "t4"]

    def test_a_link_to_a_folder_is_named_and_not_followed(self, store: Store) -> None:
        link = store.root / "t4"
        link.symlink_to(store.root / "h100-sxm")

        assert coverage(store, plan(DECODE)) == replace(
            NOTHING, damaged=(Damage(path=link, reason="a symbolic link; a folder is needed"),)
        )


class TestWithin:
    def test_another_gpu_and_model_is_left_out(self, store: Store) -> None:
        """Of each kind one in the folder that is asked for, and one elsewhere."""
        for gpu in ("h100-sxm", "t4"):
            keep(store, DECODE_8, gpu=gpu)
            keep(store, "decode-b1-c128-fp16-eager", gpu=gpu).write_text("{", encoding="utf-8")
        everything = coverage(store, plan("decode-b1-c128-fp16-eager", "prefill-b1-p512-fp16-eager"))
        found = everything.within(store.root / "t4" / MODEL)

        assert len(everything.orphans) == 3
        assert places(store, found.orphans) == [f"t4/{MODEL}/{DECODE_8}.json"]
        assert places(store, found.gaps) == [f"t4/{MODEL}/prefill-b1-p512-fp16-eager.json"]
        assert places(store, [d.path for d in found.damaged]) == [
            f"t4/{MODEL}/decode-b1-c128-fp16-eager.json"
        ]


def test_what_lies_where_nobody_looks_is_known_without_a_plan(store: Store) -> None:
    path = store.root / "h100-sxm" / f"{DECODE}.json"
    path.write_text("{}", encoding="utf-8")

    assert misplaced(store) == (path,)


# --- what the terminal says at the end of a run ------------------------------

# A run of the gpu lane that was measured a moment ago, of one case.
MEASURED = """
from pathlib import Path

def pytest_collection_finish(session):
    from baselines.plugin import state
    from baselines.run import RunFolder
    perf = state(session.config)
    perf.folder, perf.opened = RunFolder(Path({folder!r})), True
"""
NO_TESTS = 5

# Of cases.toml, in this order.
IN_TABLE = [case.id for case in lane_cases("gpu")]
TABLE_MODEL = lane_cases("gpu")[0].model


@pytest.fixture
def end(place: Place, tmp_path: Path) -> Callable[..., list[str]]:
    """The notes of a run that measured the first case of the table, with a store of `kept`."""

    def run(*options: str, kept: Iterable[str], not_run: str | None = None, lane: str = "gpu") -> list[str]:
        store = Store(tmp_path / "store")
        for case_id in kept:
            keep(store, case_id, model=TABLE_MODEL)
        # An orphan, and gaps, of a GPU that this run says nothing of.
        keep(store, "decode-b3-c512-fp32-eager", gpu="t4", model=TABLE_MODEL)
        case = lane_cases(lane)[0]
        measured = record(case.id, model=case.model, gpu="cpu" if lane == "cpu" else "h100-sxm")
        folder = run_folder(tmp_path / "run", [measured], not_run={not_run: "no room"} if not_run else None)
        done = place.pytest(
            *place.without_torch(),
            *place.plugin("measured", MEASURED.format(folder=str(folder.path))),
            *("-p", "no:reports.plugin", "-k", "no_such_case"),
            *("--perf-baselines", str(store.root), "perf_tests/test_decode.py", *options),
        )
        assert done.rc == NO_TESTS, done.out
        said = ("no case any more", "no baseline", "could not be told")
        return [line for line in done.out.splitlines() if any(words in line for words in said)]

    return run


class TestEndOfARun:
    def test_orphans_and_gaps_are_a_note_each(self, end: Callable[..., list[str]], tmp_path: Path) -> None:
        """Of 4 orphans 3 are named; `-k` selects nothing, and makes none."""
        gone = [f"decode-b{n}-c512-fp32-eager" for n in (3, 5, 7, 9)]
        orphans, gaps = end(kept=[*IN_TABLE[2:], *gone])

        assert orphans == (
            f"roofgate: 4 baselines have no case any more: {', '.join(gone[:3])}, 1 more; "
            "delete them or restore their cases (what only options ask for may stay)"
        )
        assert gaps == (
            f"roofgate: 2 cases have no baseline: {', '.join(sorted(IN_TABLE[:2]))}; "
            f"python -m baselines refresh --sessions 5 -m gpu --perf-baselines={tmp_path / 'store'} stores them all"
        )

    def test_where_nothing_is_stored_one_short_line_says_so(
        self, end: Callable[..., list[str]], tmp_path: Path
    ) -> None:
        """A new GPU: its folder is not there."""
        (said,) = end(kept=[])

        assert said.startswith(f"roofgate: no baseline of {TABLE_MODEL} on h100-sxm is stored in ")
        store = tmp_path / "store"
        assert said.endswith(
            f"{store}: python -m baselines refresh --sessions 5 -m gpu --perf-baselines={store} stores them"
        )

    def test_a_store_that_is_not_there_is_named_as_such(
        self, end: Callable[..., list[str]], place: Place
    ) -> None:
        """As where its name is misspelt."""
        (said,) = end("--perf-baselines", str(place.home / "nowhere"), kept=[])

        assert f"is stored in {place.home / 'nowhere'}, which is no folder: python" in said

    def test_so_does_the_cpu_lane_of_a_fresh_checkout(
        self, end: Callable[..., list[str]], tmp_path: Path
    ) -> None:
        """Git ignores a CPU's baselines."""
        (said,) = end(kept=[], lane="cpu")

        assert said.startswith(f"roofgate: no baseline of {lane_cases('cpu')[0].model} on cpu is stored in ")
        store = tmp_path / "store"
        assert said.endswith(
            f"{store}: python -m baselines refresh --sessions 5 -m cpu --perf-baselines={store} stores them"
        )

    def test_a_store_that_fits_its_tables_needs_no_word(self, end: Callable[..., list[str]]) -> None:
        assert end(kept=IN_TABLE) == []

    def test_a_case_that_cannot_run_here_leaves_no_gap(self, end: Callable[..., list[str]]) -> None:
        assert end(kept=IN_TABLE[:-1], not_run=IN_TABLE[-1]) == []

    @pytest.mark.parametrize("table", ["scaling_cases.toml", "engine_cases.toml"])
    def test_a_case_of_another_table_is_no_orphan_and_no_gap(
        self, table: str, end: Callable[..., list[str]]
    ) -> None:
        other = lane_cases("gpu", file=TABLE.parent / table)[0].id

        assert end(kept=[*IN_TABLE, other]) == []

    def test_a_table_that_cannot_be_read_breaks_no_end(
        self, end: Callable[..., list[str]], place: Place
    ) -> None:
        table = place.root / "perf_tests" / "scaling_cases.toml"
        whole = table.read_bytes()
        table.write_text("[", encoding="utf-8")
        try:
            (said,) = end(kept=IN_TABLE)
        finally:
            table.write_bytes(whole)

        assert said.startswith("roofgate: whether the store fits the cases could not be told: ")
        assert "scaling_cases.toml" in said

    def test_a_run_of_other_cases_says_nothing_of_the_tables(self, end: Callable[..., list[str]]) -> None:
        assert end("--perf-precision=bf16", kept=["decode-b3-c512-fp32-eager"]) == []


def test_the_committed_store_has_no_orphan_and_no_damage() -> None:
    planned = [Planned(case=case, lane=lane) for lane in LANES for case in lane_cases(lane)]
    found = coverage(Store(ROOT / "baselines" / "data"), planned)

    assert found.orphans == ()
    assert found.damaged == ()


def test_a_baseline_of_this_schema_is_read_to_tell(store: Store) -> None:
    """A file that would be taken for another kind is damaged, not covered."""
    path = store.root / "h100-sxm" / MODEL / f"{DECODE}.json"
    write(record(DECODE), path)
    (damage,) = coverage(store, plan(DECODE)).damaged

    assert "no such field in Baseline" in damage.reason
