"""A run's folder: what is kept of a run, also where it ended badly."""

from dataclasses import replace
from pathlib import Path

import pytest

from analytic import Ceilings
from analytic.ceilings_file import read_ceilings
from baselines.codec import FormatError
from baselines.run import RunFolder, Verdicts, run_ceilings
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import ceilings, record, run_folder, run_info

DECODE = record("decode-b1-c512-fp16-eager", device_s=0.008)
DECODE_8 = record("decode-b8-c512-fp16-eager", device_s=0.0083)
PREFILL = record("prefill-b1-p512-fp16-eager", device_s=0.017)
NOT_RUN = {"decode-b64-c512-fp16-eager": "needs 99 GiB of memory"}


class TestRecords:
    def test_they_come_in_the_order_of_the_plan(self, tmp_path: Path) -> None:
        planned = [PREFILL, DECODE_8, DECODE]
        folder = RunFolder(tmp_path)
        folder.write_info(run_info(planned))
        for one in (DECODE, PREFILL, DECODE_8):
            folder.write_record(one)

        assert folder.records() == (PREFILL, DECODE_8, DECODE)

    def test_those_that_were_not_planned_come_last(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [PREFILL])
        folder.write_record(DECODE)

        assert folder.records() == (PREFILL, DECODE)

    def test_each_is_a_file_named_by_its_case(self, tmp_path: Path) -> None:
        path = RunFolder(tmp_path).write_record(DECODE)

        assert path == tmp_path / "records" / "decode-b1-c512-fp16-eager.json"
        assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]

    def test_a_case_measured_again_replaces_its_record(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [DECODE])
        again = record("decode-b1-c512-fp16-eager", device_s=0.009)
        folder.write_record(again)

        assert folder.records() == (again,)

    def test_one_cut_short_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [DECODE, PREFILL])
        path = tmp_path / "records" / f"{DECODE.case.id}.json"
        path.write_text(path.read_text(encoding="utf-8")[:500], encoding="utf-8")

        with pytest.raises(FormatError) as refused:
            folder.records()
        assert str(refused.value).startswith(f"{path}: not JSON, or cut short")

    def test_what_an_interrupted_write_left_is_no_record(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [DECODE])
        (tmp_path / "records" / f".{PREFILL.case.id}.json.k3j2h1").write_text("{", encoding="utf-8")

        assert folder.records() == (DECODE,)

    def test_a_run_that_measured_nothing_has_none(self, tmp_path: Path) -> None:
        assert run_folder(tmp_path, [], not_run=NOT_RUN).records() == ()


class TestInfo:
    def test_it_comes_back_and_starts_without_an_exit_status(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [DECODE], not_run=NOT_RUN)

        assert folder.info() == run_info([DECODE], not_run=NOT_RUN)
        assert folder.info().exit_status is None
        folder.write_info(replace(folder.info(), exit_status=1))
        assert RunFolder(tmp_path).info().exit_status == 1

    def test_why_a_case_did_not_run_is_noted_beside_it(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [DECODE, PREFILL], not_run=NOT_RUN)
        folder.note_not_run(PREFILL.case, "out of memory")

        assert [(p.case.id, p.lane, p.not_run) for p in RunFolder(tmp_path).info().planned] == [
            (DECODE.case.id, "gpu", None),
            (PREFILL.case.id, "gpu", "out of memory"),
            ("decode-b64-c512-fp16-eager", "gpu", "needs 99 GiB of memory"),
        ]

    def test_a_folder_without_run_json_is_none_of_a_run(self, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path / "empty")

        assert not folder.exists()
        with pytest.raises(FormatError, match=r"empty: not a run's folder: it has no run\.json"):
            folder.info()
        with pytest.raises(FormatError, match=r"empty: not a run's folder: it has no run\.json"):
            folder.records()

    def test_records_without_run_json_are_refused(self, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path)
        folder.write_record(DECODE)

        with pytest.raises(FormatError, match=r"not a run's folder"):
            folder.records()

    def test_run_json_cut_short_is_named(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [DECODE])
        (tmp_path / "run.json").write_text('{"schema": 1', encoding="utf-8")

        assert folder.exists()
        with pytest.raises(FormatError, match=r"run\.json: not JSON, or cut short"):
            folder.info()

    def test_looking_makes_no_folder(self, tmp_path: Path) -> None:
        folder = RunFolder(tmp_path / "run")

        assert not folder.exists()
        assert folder.verdicts() == ()
        assert list(tmp_path.iterdir()) == []


class TestVerdicts:
    def test_they_come_back_in_their_order(self, tmp_path: Path) -> None:
        given = (
            Verdict(case=PREFILL.case.id, status=Status.REGRESSED, reasons=("8 ms > 7 ms",)),
            Verdict(case=DECODE.case.id, status=Status.PASS, reasons=("a", "b"), baseline_digest="f" * 16),
        )
        run_folder(tmp_path, [DECODE, PREFILL], verdicts=given)

        assert RunFolder(tmp_path).verdicts() == given

    def test_a_run_that_was_not_judged_has_none(self, tmp_path: Path) -> None:
        assert run_folder(tmp_path, [DECODE]).verdicts() == ()

    def test_damaged_ones_are_not_taken_for_none(self, tmp_path: Path) -> None:
        folder = run_folder(tmp_path, [DECODE], verdicts=[])
        (tmp_path / "verdicts.json").write_text("", encoding="utf-8")

        with pytest.raises(FormatError, match=r"verdicts\.json: not JSON"):
            folder.verdicts()

    def test_they_are_kept_with_the_policy(self, tmp_path: Path) -> None:
        RunFolder(tmp_path).write_verdicts(Verdicts(policy_digest="a1b2", verdicts=()))

        assert '"policy_digest": "a1b2"' in (tmp_path / "verdicts.json").read_text(encoding="utf-8")


class TestCeilings:
    def test_the_highest_of_the_run_line_by_line(self) -> None:
        early = Ceilings(
            device="a GPU", copy_bytes_per_s=3e12, read_bytes_per_s=1e12, gemm_flops_per_s={"fp16": 5e14}
        )
        late = Ceilings(
            device="a GPU",
            copy_bytes_per_s=2e12,
            read_bytes_per_s=2.5e12,
            gemm_flops_per_s={"fp16": 4e14, "bf16": 6e14},
        )
        run = (
            record("decode-b1-c512-fp16-eager", measured_ceilings=early),
            replace(DECODE_8, ceilings=None),
            record("prefill-b1-p512-fp16-eager", measured_ceilings=late),
        )

        assert run_ceilings(run) == Ceilings(
            device="a GPU",
            copy_bytes_per_s=3e12,
            read_bytes_per_s=2.5e12,
            gemm_flops_per_s={"bf16": 6e14, "fp16": 5e14},
        )

    def test_none_where_none_were_measured(self) -> None:
        assert run_ceilings(()) is None
        assert run_ceilings((replace(DECODE, ceilings=None),)) is None
        assert run_ceilings((replace(DECODE, ceilings=None), PREFILL)) == ceilings()

    def test_their_file_is_for_the_command_line_alone(self, tmp_path: Path) -> None:
        """What reads a run's folder does not see it."""
        folder = run_folder(tmp_path, [DECODE, PREFILL], verdicts=[])
        before = (folder.info(), folder.records(), folder.verdicts())
        folder.write_ceilings(ceilings())

        assert read_ceilings(tmp_path / "ceilings.json") == ceilings()
        assert read_ceilings(tmp_path) == ceilings()
        (tmp_path / "ceilings.json").write_text("{", encoding="utf-8")
        assert (folder.info(), folder.records(), folder.verdicts()) == before
        assert run_ceilings(folder.records()) == ceilings()


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    """Two sessions that were given the same folder do not mix their records."""
    info = run_info([record("decode-b1-c512-fp16-eager")])
    RunFolder(tmp_path / "run").start(info)

    with pytest.raises(FormatError, match="already holds a run; name a new folder"):
        RunFolder(tmp_path / "run").start(info)
