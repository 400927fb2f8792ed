"""What is stored comes back, and what was not stored by us is refused by name."""

import json
import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analytic import load_model, preset_names
from baselines.codec import FormatError, from_json, read, to_json, write
from baselines.files import write_text
from baselines.record import SCHEMA, Counts, KernelTime, Record
from baselines.run import RunInfo, Verdicts
from baselines.store import Baseline, baseline_of
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import conditions, gpu_state, record, refusal, run_info

PLAIN = record("decode-b1-c512-fp16-eager", device_s=0.0078)
FULL = record(
    "generate-b1-p128-n32-fp16-eager",
    wall_s=[1.0, 1.1, 1.2],
    first_token_s=[0.1, 0.1 + 0.2, 0.3],
    device_s=[0.9, 1 / 3],
    device_note="a note with 'quotes', ü and\nlines",
    hold_s=0.1 + 0.2,
    held_clock_mhz=(1979.6, 1980 + 1 / 3),
    seen=conditions(
        before=gpu_state("gpu_idle"),
        during=[gpu_state("sw_power_cap"), gpu_state()],
        slowed_s={"sw_power_cap": 0.1 + 0.2, "sw_thermal_slowdown": 0.0},
        foreign=["python (pid 7), 3 GB"],
    ),
    counts=Counts(launches=12, syncs=0),
    kernels=(
        KernelTime(operator="q_proj", name="gemv<half, 4>", launches=32, device_s=(1e-6, 1 / 3e6)),
        KernelTime(operator=None, name="Memset (Device)", launches=0, device_s=(0.0, 0.0)),
    ),
    back_to_back_s=[0.9, 0.8],
    retried=("the memory clock was at 1593 MHz",),
)
BASELINE = baseline_of([PLAIN, PLAIN], written="2026-11-22T12:00:00+00:00", command="a test")
# With all that a session can hold.
FULL_BASELINE = baseline_of([FULL] * 3, written="2026-11-22T12:00:00+00:00", command="a test")
VERDICTS = Verdicts(
    policy_digest="0" * 16,
    verdicts=tuple(
        Verdict(case=PLAIN.case.id, status=s, reasons=("8 ms > 7 ms", ""), baseline_digest=d)
        for s, d in zip(Status, [None, *"abcdefghijkl"], strict=True)
    ),
)
INFO = replace(
    run_info([PLAIN, FULL], not_run={"decode-b8-c512-fp16-eager": "no room"}),
    exit_status=1,
    spent_s={"profiling": 1.25},
)


def stored(value: object, folder: Path) -> Path:
    path = folder / "stored.json"
    write(value, path)
    return path


def changed(value: object, folder: Path, change: Callable[[Any], object]) -> Path:
    """The stored JSON of `value`, changed in place by `change`."""
    data = to_json(value)
    change(data)
    path = folder / "changed.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def with_text(folder: Path, text: str) -> Path:
    path = folder / "text.json"
    path.write_text(text, encoding="utf-8")
    return path


class TestRoundTrip:
    @pytest.mark.parametrize(
        "value",
        [PLAIN, FULL, BASELINE, FULL_BASELINE, VERDICTS, INFO, replace(INFO, exit_status=None, planned=())],
    )
    def test_what_is_written_is_read(self, value: object, tmp_path: Path) -> None:
        assert read(type(value), stored(value, tmp_path)) == value

    def test_a_cpu_record_has_no_gpu_in_it(self, tmp_path: Path) -> None:
        cpu = record("decode-b1-c32-fp32-eager", gpu="cpu", model="mistral-cpu-140m", wall_s=0.05)

        assert read(Record, stored(cpu, tmp_path)) == cpu

    @pytest.mark.parametrize("model", preset_names())
    def test_a_model_of_every_family(self, model: str, tmp_path: Path) -> None:
        """Latent attention, experts, projections, mixed layers: nested as they are."""
        one = record("decode-b1-c32-fp16-eager", model=model)

        assert read(Record, stored(one, tmp_path)).model == load_model(model)

    def test_the_text_is_plain_sorted_json_that_ends_in_a_line(self, tmp_path: Path) -> None:
        text = stored(FULL, tmp_path).read_text(encoding="utf-8")
        data = json.loads(text)

        assert text == json.dumps(data, indent=1, sort_keys=True) + "\n"
        assert data["case"]["phase"] == "generate"
        assert data["measurement"]["device_s"] == [0.9, 1 / 3]

    def test_floats_lose_nothing(self, tmp_path: Path) -> None:
        back = read(Record, stored(FULL, tmp_path))

        assert back.measurement.first_token_s == (0.1, 0.30000000000000004, 0.3)

    def test_a_whole_number_does_for_a_time(self, tmp_path: Path) -> None:
        path = changed(PLAIN, tmp_path, lambda d: d["measurement"].update(wall_s=[1]))
        (wall,) = read(Record, path).measurement.wall_s

        assert (wall, type(wall)) == (1.0, float)

    def test_writing_twice_gives_the_same_bytes(self, tmp_path: Path) -> None:
        path = stored(BASELINE, tmp_path)
        first = path.read_bytes()
        write(read(Baseline, path), path)

        assert path.read_bytes() == first


class TestNotAFile:
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
    def test_cut_short(self, share: float, tmp_path: Path) -> None:
        whole = stored(PLAIN, tmp_path).read_text(encoding="utf-8")
        path = with_text(tmp_path, whole[: int(share * len(whole))])

        assert refusal(Record, path).startswith("not JSON, or cut short")

    @pytest.mark.parametrize(
        "text", ["", " \n", "hello", "{'schema': 1}", '{"schema": 1}}', '{"schema": 1,}']
    )
    def test_not_json(self, text: str, tmp_path: Path) -> None:
        assert refusal(Record, with_text(tmp_path, text)).startswith("not JSON, or cut short")

    @pytest.mark.parametrize("depth", [100_000, 5_000_000])
    def test_nested_without_end(self, depth: int, tmp_path: Path) -> None:
        assert refusal(Record, with_text(tmp_path, "[" * depth)).startswith("not JSON, or cut short")

    def test_nested_just_shallow_enough_to_be_parsed(self, tmp_path: Path) -> None:
        """Whether the parser or the check of its fields gives up first, the file
        is refused by name."""
        data = to_json(VERDICTS)
        data["verdicts"][0]["reasons"] = ["@"]
        before, after = json.dumps(data).split('"@"')
        limit = sys.getrecursionlimit()

        for depth in (1, *range(limit // 2, limit)):
            assert refusal(Verdicts, with_text(tmp_path, before + "[" * depth + "]" * depth + after))

    def test_a_number_of_endless_digits(self, tmp_path: Path) -> None:
        assert refusal(Record, with_text(tmp_path, '{"schema": ' + "9" * 5000 + "}"))

    def test_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "binary.json"
        path.write_bytes(b'{"schema": 1, "\xff": 2}')

        assert refusal(Record, path).startswith("cannot be read")

    def test_missing_and_a_folder(self, tmp_path: Path) -> None:
        assert "No such file" in refusal(Record, tmp_path / "none.json")
        assert refusal(Record, tmp_path).startswith("cannot be read")

    @pytest.mark.parametrize("text", ["[]", "null", "3", '"schema"', '[{"schema": 1}]', "NaN"])
    def test_not_an_object(self, text: str, tmp_path: Path) -> None:
        assert refusal(Record, with_text(tmp_path, text)) == (
            f"no schema number; a file of schema {SCHEMA} is needed"
        )


class TestSchema:
    @pytest.mark.parametrize("kind", [Record, RunInfo, Baseline, Verdicts])
    @pytest.mark.parametrize("schema", ["1", True, False, 1.0, None, [1], math.nan])
    def test_no_whole_number(self, kind: type, schema: object, tmp_path: Path) -> None:
        path = with_text(tmp_path, json.dumps({"schema": schema}))

        assert refusal(kind, path) == f"no schema number; a file of schema {SCHEMA} is needed"

    def test_none(self, tmp_path: Path) -> None:
        path = changed(PLAIN, tmp_path, lambda d: d.pop("schema"))

        assert refusal(Record, path) == f"no schema number; a file of schema {SCHEMA} is needed"

    @pytest.mark.parametrize("schema", [SCHEMA + 1, 10**30])
    def test_newer_even_where_all_else_fits(self, schema: int, tmp_path: Path) -> None:
        path = changed(PLAIN, tmp_path, lambda d: d.update(schema=schema))

        assert refusal(Record, path) == (
            f"schema {schema} is newer than this Roofgate reads ({SCHEMA}): update Roofgate"
        )

    @pytest.mark.parametrize("schema", [0, -1])
    def test_one_that_never_was(self, schema: int, tmp_path: Path) -> None:
        path = changed(PLAIN, tmp_path, lambda d: d.update(schema=schema))

        assert refusal(Record, path) == f"schema {schema} never existed"


def layer_of(data: Any) -> Any:
    return data["model"]["stacks"][0]["layer"]


# What is changed in a record, and what is then said of it.
BAD_RECORDS: list[tuple[Callable[[Any], object], str]] = [
    (lambda d: d.pop("started"), ".started: missing"),
    (lambda d: d.update(mfu=0.5), ".mfu: no such field in Record"),
    (lambda d: d["case"].pop("why"), ".case.why: missing"),
    (lambda d: d["hard"].update(driver="1"), ".hard.driver: no such field in HardKey"),
    (lambda d: d["measurement"]["memory"].pop("peak_bytes"), ".measurement.memory.peak_bytes: missing"),
    (lambda d: d.update(case=[]), ".case: an object is needed, not '[]' (list)"),
    (lambda d: d.update(case=None), ".case: an object is needed, not 'None' (NoneType)"),
    (lambda d: d.update(run=None), ".run: str is needed, not 'None' (NoneType)"),
    (lambda d: d.update(run=7), ".run: str is needed, not '7' (int)"),
    (lambda d: d.update(dirty=0), ".dirty: bool is needed, not '0' (int)"),
    (lambda d: d["case"].update(batch=True), ".case.batch: int is needed, not 'True' (bool)"),
    (lambda d: d["case"].update(batch=1.0), ".case.batch: int is needed, not '1.0' (float)"),
    (lambda d: d["case"].update(batch="1"), ".case.batch: int is needed, not '1' (str)"),
    (
        lambda d: d["case"].update(phase="chat"),
        ".case.phase: 'chat' (str) is none of ['prefill', 'decode', 'generate']",
    ),
    (
        lambda d: d["case"].update(phase=[]),
        ".case.phase: '[]' (list) is none of ['prefill', 'decode', 'generate']",
    ),
    # What a case may not be: an id of this kind would not parse either.
    (lambda d: d["case"].update(precision="fp8"), ".case: unknown precision 'fp8'"),
    (lambda d: d["case"].update(engine="My Engine"), ".case: engine 'My Engine' is no name"),
    (lambda d: d["case"].update(batch=0), ".case: batch 0 and length 512 must be at least 1"),
    (lambda d: d["case"].update(output_len=9), ".case: output_len 9 does not go with phase decode"),
    (
        lambda d: d["hard"].update(power_limit_w="700"),
        ".hard.power_limit_w: float is needed, not '700' (str)",
    ),
    (
        lambda d: d["hard"].update(power_limit_w=True),
        ".hard.power_limit_w: float is needed, not 'True' (bool)",
    ),
    (lambda d: d["hard"].update(ecc="yes"), ".hard.ecc: bool is needed, not 'yes' (str)"),
    # Deep in a nested model.
    (lambda d: d["model"].update(n_layers=32), ".model.n_layers: no such field in ModelSpec"),
    (
        lambda d: d["model"]["stacks"][0].update(count=True),
        ".model.stacks[0].count: int is needed, not 'True' (bool)",
    ),
    (lambda d: d["model"]["stacks"][0].update(count=0), ".model: mistral-7b-v0.1: stacks[0].count is 0"),
    (lambda d: d["model"].update(stacks=[]), ".model: mistral-7b-v0.1 has no layer"),
    (lambda d: d["model"].update(stacks={}), ".model.stacks: a list is needed, not '{}' (dict)"),
    (
        lambda d: layer_of(d).update(mlp=None),
        ".model.stacks[0].layer: a layer has either an MLP or experts",
    ),
    (
        lambda d: layer_of(d)["attention"].update(latent=7),
        ".model.stacks[0].layer.attention.latent: an object is needed, not '7' (int)",
    ),
    (
        lambda d: layer_of(d)["attention"]["inputs"][1].update(rows="1024"),
        ".model.stacks[0].layer.attention.inputs[1].rows: int is needed, not '1024' (str)",
    ),
    (
        lambda d: layer_of(d)["attention"]["inputs"].append(None),
        ".model.stacks[0].layer.attention.inputs[3]: an object is needed, not 'None' (NoneType)",
    ),
    (lambda d: layer_of(d)["mlp"].pop("down"), ".model.stacks[0].layer.mlp.down: missing"),
    (lambda d: d["ceilings"].pop("launch_gap_s"), ".ceilings.launch_gap_s: missing"),
    (
        lambda d: d["ceilings"].update(launch_gap_s="6e-6"),
        ".ceilings.launch_gap_s: float is needed, not '6e-6' (str)",
    ),
    (
        lambda d: d["ceilings"].update(launch_gap_s=0),
        ".ceilings: the launch gap of NVIDIA H100 80GB HBM3 is 0.0 s; a positive time is needed",
    ),
    (
        lambda d: d["ceilings"].update(gemm_flops_per_s=[1]),
        ".ceilings.gemm_flops_per_s: an object is needed, not '[1]' (list)",
    ),
    (
        lambda d: d["ceilings"]["gemm_flops_per_s"].update(fp16="fast"),
        ".ceilings.gemm_flops_per_s.fp16: float is needed, not 'fast' (str)",
    ),
    (
        lambda d: d["measurement"].update(wall_s=0.04),
        ".measurement.wall_s: a list is needed, not '0.04' (float)",
    ),
    (
        lambda d: d["measurement"].update(wall_s={"0": 1.0}),
        """.measurement.wall_s: a list is needed, not "{'0': 1.0}" (dict)""",
    ),
    (
        lambda d: d["measurement"].update(wall_s=None),
        ".measurement.wall_s: a list is needed, not 'None' (NoneType)",
    ),
    (
        lambda d: d["measurement"].update(wall_s=[0.04, "0.04"]),
        ".measurement.wall_s[1]: float is needed, not '0.04' (str)",
    ),
    (
        lambda d: d["measurement"].update(wall_s=[0.04, True]),
        ".measurement.wall_s[1]: float is needed, not 'True' (bool)",
    ),
    (
        lambda d: d["measurement"].update(wall_s=[0.04, None]),
        ".measurement.wall_s[1]: float is needed, not 'None' (NoneType)",
    ),
    (
        lambda d: d["measurement"].update(wall_s=[math.nan]),
        ".measurement.wall_s[0]: 'nan' (float) is not a finite number",
    ),
    (
        lambda d: d["measurement"].update(device_s=[0.1, math.inf]),
        ".measurement.device_s[1]: 'inf' (float) is not a finite number",
    ),
    (
        lambda d: d["measurement"].update(wall_s=[10**400]),
        f".measurement.wall_s[0]: '1{'0' * 39}' (int) is not a finite number",
    ),
    (lambda d: d["measurement"].update(wall_s=[]), ".measurement: wall_s holds no sample"),
    (lambda d: d["measurement"].update(device_s=[]), ".measurement: device_s holds no sample"),
    (
        lambda d: d["measurement"].update(wall_s=[0.04, 0.0]),
        ".measurement: wall_s holds 0.0 s; a time is positive",
    ),
    (
        lambda d: d["measurement"].update(device_s=[-0.008, 0.008]),
        ".measurement: device_s holds -0.008 s; a time is positive",
    ),
    (
        lambda d: d["measurement"].update(back_to_back_s=[0.0]),
        ".measurement: back_to_back_s holds 0.0 s; a time is positive",
    ),
    (lambda d: d["measurement"].pop("kernels"), ".measurement.kernels: missing"),
    (
        lambda d: d["measurement"].update(retried="heat"),
        ".measurement.retried: a list is needed, not 'heat' (str)",
    ),
    (
        lambda d: d["measurement"].update(teardown=None),
        ".measurement.teardown: bool is needed, not 'None' (NoneType)",
    ),
    (
        lambda d: d["measurement"].update(conditions={}),
        ".measurement.conditions.",
    ),
    (
        lambda d: d["measurement"].update(first_token_s=[0.001]),
        ".measurement: 1 first_token_s do not go with 3 wall_s",
    ),
    (
        lambda d: d["measurement"].update(first_token_s=[0.001, 0.001, 0.040]),
        ".measurement: first_token_s 0.04 is not within its wall_s 0.04",
    ),
    (
        lambda d: d["measurement"].update(held_clock_mhz=[1980.0]),
        ".measurement: 1 held_clock_mhz do not go with 3 device_s",
    ),
    (
        lambda d: d["measurement"].update(held_clock_mhz=[1980.0, 0.0, 1980.0]),
        ".measurement: held_clock_mhz holds 0.0; clocks in MHz are needed",
    ),
]


class TestFields:
    @pytest.mark.parametrize(("change", "said"), BAD_RECORDS, ids=[said for _, said in BAD_RECORDS])
    def test_a_bad_record_is_refused_by_the_field(
        self, change: Callable[[Any], object], said: str, tmp_path: Path
    ) -> None:
        assert refusal(Record, changed(PLAIN, tmp_path, change)).startswith(said)

    def test_the_whole_path_is_named(self, tmp_path: Path) -> None:
        path = changed(
            FULL,
            tmp_path,
            lambda d: d["measurement"]["kernels"][1].update(launches=1.5),
        )

        assert refusal(Record, path) == ".measurement.kernels[1].launches: int is needed, not '1.5' (float)"

    def test_infinity_in_the_text_of_a_number(self, tmp_path: Path) -> None:
        text = json.dumps(to_json(PLAIN)).replace("700.0", "1e999")

        assert refusal(Record, with_text(tmp_path, text)) == (
            ".hard.power_limit_w: 'inf' (float) is not a finite number"
        )

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda d: d.update(sessions=[]), "Baseline: a baseline without a session"),
            (lambda d: d.update(sessions={}), ".sessions: a list is needed, not '{}' (dict)"),
            (lambda d: d["sessions"][1].pop("soft"), ".sessions[1].soft: missing"),
            (
                lambda d: d["sessions"][1].update(device_s=[0.0]),
                ".sessions[1]: device_s holds 0.0 s; a time is positive",
            ),
            (lambda d: d["sessions"][0].update(wall_s=[]), ".sessions[0]: wall_s holds no sample"),
            (lambda d: d.update(case=None), ".case: str is needed, not 'None' (NoneType)"),
            (lambda d: d.pop("kernels"), ".kernels: missing"),
        ],
    )
    def test_a_bad_baseline(self, change: Callable[[Any], object], said: str, tmp_path: Path) -> None:
        assert refusal(Baseline, changed(BASELINE, tmp_path, change)) == said

    def test_a_baselines_kernels_have_a_time_for_every_session(self, tmp_path: Path) -> None:
        path = changed(FULL_BASELINE, tmp_path, lambda d: d["kernels"][0].update(device_s=[1e-6]))

        assert refusal(Baseline, path) == "Baseline: 1 times of 'gemv<half, 4>' in 3 sessions"

    @pytest.mark.parametrize(
        ("kind", "value", "change", "said"),
        [
            (
                Verdicts,
                VERDICTS,
                lambda d: d["verdicts"][2].update(status="fine"),
                ".verdicts[2].status: 'fine' (str) is none of ",
            ),
            (
                Verdicts,
                VERDICTS,
                lambda d: d["verdicts"][0].update(reasons="8 ms"),
                ".verdicts[0].reasons: a list is needed, not '8 ms' (str)",
            ),
            (
                RunInfo,
                INFO,
                lambda d: d["planned"][1]["case"].update(length=-1),
                ".planned[1].case: batch 1 and length -1 must be at least 1",
            ),
            (
                RunInfo,
                INFO,
                lambda d: d.update(exit_status="0"),
                ".exit_status: int is needed, not '0' (str)",
            ),
            (RunInfo, INFO, lambda d: d.pop("exit_status"), ".exit_status: missing"),
            (
                RunInfo,
                INFO,
                lambda d: d["spent_s"].update(building="2"),
                ".spent_s.building: float is needed, not '2' (str)",
            ),
        ],
    )
    def test_a_bad_run(
        self, kind: type, value: object, change: Callable[[Any], object], said: str, tmp_path: Path
    ) -> None:
        assert refusal(kind, changed(value, tmp_path, change)).startswith(said)

    def test_one_kind_is_not_taken_for_another(self, tmp_path: Path) -> None:
        path = stored(BASELINE, tmp_path)

        assert "no such field in Record" in refusal(Record, path)
        with pytest.raises(FormatError, match="no such field in Verdicts"):
            from_json(Verdicts, to_json(BASELINE))


class TestWrite:
    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_what_is_no_number_is_not_stored(self, bad: float, tmp_path: Path) -> None:
        hot = conditions(before=replace(gpu_state(), power_w=bad))
        spoilt = replace(PLAIN, measurement=replace(PLAIN.measurement, conditions=hot))
        path = stored(PLAIN, tmp_path)

        with pytest.raises(FormatError, match=re.escape(f"{bad} cannot be stored")):
            write(spoilt, path)
        assert read(Record, path) == PLAIN

    def test_folders_are_made(self, tmp_path: Path) -> None:
        write(PLAIN, tmp_path / "a" / "b" / "c.json")

        assert read(Record, tmp_path / "a" / "b" / "c.json") == PLAIN

    def test_others_may_read_it(self, tmp_path: Path) -> None:
        assert stored(PLAIN, tmp_path).stat().st_mode & 0o777 == 0o644

    @pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
    @pytest.mark.parametrize("broken", ["fsync", "replace"])
    def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
        self, broken: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_arguments: object) -> None:
            raise error

        path = stored(PLAIN, tmp_path)
        before = path.read_bytes()
        monkeypatch.setattr(*((os, "fsync") if broken == "fsync" else (Path, "replace")), fail)

        with pytest.raises(type(error)):
            write(FULL, path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_the_old_file_is_whole_until_the_new_one_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When the name changes hands, the new text is complete beside the old."""
        seen = []
        rename = Path.replace

        def watched(source: Path, target: Path) -> Path:
            seen.append(
                (source.parent, source.read_text(encoding="utf-8"), target.read_text(encoding="utf-8"))
            )
            return rename(source, target)

        path = tmp_path / "a.txt"
        write_text("old", path)
        monkeypatch.setattr(Path, "replace", watched)
        path.write_text("old", encoding="utf-8")
        write_text("new\n" * 10_000, path)

        assert seen == [(tmp_path, "new\n" * 10_000, "old")]
        assert path.read_text(encoding="utf-8") == "new\n" * 10_000
