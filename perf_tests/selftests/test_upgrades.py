"""Files of older schemas: read as if they were new, refused by name, never rewritten."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analytic import Case, Promise, load_model
from baselines.codec import FormatError, read, to_json, write
from baselines.judging import judge_folder
from baselines.record import SCHEMA, Record
from baselines.run import RunFolder, RunInfo, Verdicts
from baselines.store import Baseline, Store, baseline_of
from baselines.upgrades import upgraded
from baselines.validity import spoilers
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import ceilings, record, run_folder
from perf_tests.selftests.tiny import ROOT
from perf_tests.selftests.verdicts import confirmed

# Written by Roofgate at schema 1, as far as what follows needs it.
SCHEMA_1 = json.loads((Path(__file__).with_name("record_schema_1.json")).read_text(encoding="utf-8"))
# Written by Roofgate at schema 2 on an H100, with NVML's view before and after.
SCHEMA_2 = json.loads((Path(__file__).with_name("record_schema_2.json")).read_text(encoding="utf-8"))
# Written by Roofgate at schema 3 on an H100; of its kernels and readings some are left.
SCHEMA_3 = json.loads((Path(__file__).with_name("record_schema_3.json")).read_text(encoding="utf-8"))
# Written by Roofgate at schema 4 on an H100; of its kernels and readings some are left.
SCHEMA_4 = json.loads((Path(__file__).with_name("record_schema_4.json")).read_text(encoding="utf-8"))
# Written by Roofgate at schema 5 on an H100; of its kernels and readings some are left.
SCHEMA_5 = json.loads((Path(__file__).with_name("record_schema_5.json")).read_text(encoding="utf-8"))
# Written by Roofgate at schema 1, of five sessions of a whole lane on an H100.
BASELINE_1 = json.loads((Path(__file__).with_name("baseline_schema_1.json")).read_text(encoding="utf-8"))
COMMITTED = sorted((ROOT / "baselines" / "data" / "h100-sxm").rglob("*.json"))


def stored(data: object, folder: Path) -> Path:
    path = folder / "stored.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def changed(change: Callable[[Any], object], record_of: Any = SCHEMA_1) -> Any:
    data = copy.deepcopy(record_of)
    change(data)
    return data


def promising(case: dict[str, Any]) -> dict[str, Any]:
    """A case of schema 5 or older with what it has promised ever since."""
    return case | {"promise": {"device": 0.01, "wall": None}}


def model(**changes: object) -> Any:
    return changed(lambda d: d["model"].update(changes))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("mistral-7b-v0.1", {"sliding_window": 4096}),
        ("mistral-7b-v0.2", {}),
        ("mistral-7b-v0.3", {"vocab_size": 32_768}),
    ],
)
def test_a_flat_mistral_becomes_the_model_that_its_config_gives(
    name: str, changes: dict[str, object], tmp_path: Path
) -> None:
    found = read(Record, stored(model(name=name, **changes), tmp_path))

    assert found.model == load_model(name)
    assert found.model.shapes == load_model(name).shapes
    assert found.schema == SCHEMA


def test_a_cpu_model_with_tied_embeddings_too(tmp_path: Path) -> None:
    sizes = {"d_model": 48, "d_ff": 112, "n_layers": 3, "n_heads": 6, "n_kv_heads": 2, "d_head": 16}
    found = read(Record, stored(model(**sizes, tied_embeddings=True), tmp_path)).model

    assert found.tied_embeddings
    assert (found.n_layers, found.d_model, found.attention.d_qk) == (3, 48, 16)
    assert [(linear.rows, linear.cols) for linear in found.attention.linears] == [
        (96, 48),
        (32, 48),
        (32, 48),
        (48, 96),
    ]


# What schema 3 put into a measurement, as it stands where nothing was observed of it.
ADDED_3 = {
    "prepare_s": None,
    "warmup_stop": None,
    "back_to_back_s": None,
    "energy_j": None,
    "kernels": None,
    "teardown": True,
    "retried": [],
}
ADDED_4 = {"hold_s": None}
ADDED_5 = {"held_clock_mhz": None}
GONE_3 = ("state_before", "state_after", "operators")


def test_all_else_is_as_it_was(tmp_path: Path) -> None:
    found = to_json(read(Record, stored(SCHEMA_1, tmp_path)))
    measurement, ceilings_then = found.pop("measurement"), found.pop("ceilings")

    assert ceilings_then == SCHEMA_1["ceilings"] | {"launch_gap_s": None, "event_resolution_s": None}
    assert measurement == ADDED_3 | ADDED_4 | ADDED_5 | {"conditions": None} | {
        k: v for k, v in SCHEMA_1["measurement"].items() if k not in GONE_3
    }
    left = ("schema", "model", "measurement", "ceilings")
    expected = SCHEMA_1 | {"case": promising(SCHEMA_1["case"])}
    assert {k: v for k, v in found.items() if k not in left} == {
        k: v for k, v in expected.items() if k not in left
    }


class TestFromFive:
    def test_a_record_promises_what_nobody_had_declared(self, tmp_path: Path) -> None:
        found = to_json(read(Record, stored(SCHEMA_5, tmp_path)))

        assert found == SCHEMA_5 | {"schema": SCHEMA, "case": promising(SCHEMA_5["case"])}

    def test_a_run_too(self, tmp_path: Path) -> None:
        data = old_run(run_folder(tmp_path / "run", [record("decode-b1-c512-fp16-eager")]), 5)
        (planned,) = read(RunInfo, stored(data, tmp_path)).planned

        assert planned.case.promise == Promise(device=0.01, wall=None)

    def test_a_baseline_knows_nothing_of_where_it_comes_from(self, tmp_path: Path) -> None:
        found = read(Baseline, stored(old_baseline(5), tmp_path))

        assert (found.anchor, found.previous, found.by, found.reason) == (None, None, None, None)

    def test_verdicts_say_nothing_of_what_would_have_been_seen(self, tmp_path: Path) -> None:
        found = read(Verdicts, stored(old_verdicts(5), tmp_path))

        assert found.shift is None
        assert (found.verdicts[0].sees_device, found.verdicts[0].sees_wall) == (None, None)
        assert not found.verdicts[0].for_all

    @pytest.mark.parametrize(
        ("kind", "change", "where"),
        [
            (Record, lambda d: d["case"].update(promise=None), "case.promise"),
            (RunInfo, lambda d: d["planned"][0]["case"].update(promise=None), "planned[0].case.promise"),
            (Baseline, lambda d: d.update(anchor=None), "anchor"),
            (Baseline, lambda d: d.update(reason=None), "reason"),
            (Verdicts, lambda d: d.update(shift=None), "shift"),
            (Verdicts, lambda d: d["verdicts"][0].update(for_all=False), "verdicts[0].for_all"),
        ],
    )
    def test_what_it_did_not_have_is_refused(
        self, kind: type, change: Callable[[Any], object], where: str, tmp_path: Path
    ) -> None:
        old = {
            Record: lambda: SCHEMA_5,
            RunInfo: lambda: old_run(run_folder(tmp_path / "run", [record("decode-b1-c512-fp16-eager")]), 5),
            Baseline: lambda: old_baseline(5),
            Verdicts: lambda: old_verdicts(5),
        }
        data = changed(change, old[kind]())

        with pytest.raises(FormatError, match=rf"{re.escape(where)}: no such field in schema 5"):
            read(kind, stored(data, tmp_path))

    @pytest.mark.parametrize("kind", [RunInfo, Verdicts])
    def test_what_is_no_list_or_object_is_refused_as_ever(self, kind: type, tmp_path: Path) -> None:
        run = run_folder(tmp_path / "run", [record("decode-b1-c512-fp16-eager")])
        data, name = (old_run(run, 5), "planned") if kind is RunInfo else (old_verdicts(5), "verdicts")

        for wrong in (7, [7]):
            with pytest.raises(FormatError, match=name):
                read(kind, stored(data | {name: wrong}, tmp_path))


class TestFromFour:
    def test_the_clock_that_it_was_held_at_is_not_known(self, tmp_path: Path) -> None:
        found = to_json(read(Record, stored(SCHEMA_4, tmp_path)))

        measurement = SCHEMA_4["measurement"] | ADDED_5
        measurement["conditions"] = measurement["conditions"] | {"sm_clock_max_mhz": None}
        case = promising(SCHEMA_4["case"])
        assert found == SCHEMA_4 | {"schema": SCHEMA, "case": case, "measurement": measurement}
        assert found["measurement"]["hold_s"] == 0.1

    @pytest.mark.parametrize(
        ("change", "where"),
        [
            (lambda m: m.update(held_clock_mhz=None), "measurement.held_clock_mhz"),
            (
                lambda m: m["conditions"].update(sm_clock_max_mhz=1980),
                "measurement.conditions.sm_clock_max_mhz",
            ),
        ],
    )
    def test_what_it_did_not_have_is_refused(
        self, change: Callable[[Any], object], where: str, tmp_path: Path
    ) -> None:
        data = changed(lambda d: change(d["measurement"]), SCHEMA_4)

        with pytest.raises(FormatError, match=rf"{re.escape(where)}: no such field in schema 4"):
            read(Record, stored(data, tmp_path))


class TestFromThree:
    def test_how_long_the_device_was_held_is_not_known(self, tmp_path: Path) -> None:
        found = to_json(read(Record, stored(SCHEMA_3, tmp_path)))

        measurement = SCHEMA_3["measurement"] | ADDED_4 | ADDED_5
        measurement["conditions"] = measurement["conditions"] | {"sm_clock_max_mhz": None}
        case = promising(SCHEMA_3["case"])
        assert found == SCHEMA_3 | {"schema": SCHEMA, "case": case, "measurement": measurement}

    def test_what_it_did_not_have_is_refused(self, tmp_path: Path) -> None:
        data = changed(lambda d: d["measurement"].update(hold_s=0.1), SCHEMA_3)

        with pytest.raises(FormatError, match=r"measurement\.hold_s: no such field in schema 3"):
            read(Record, stored(data, tmp_path))

    def test_a_measurement_that_is_no_object_is_refused_as_ever(self, tmp_path: Path) -> None:
        data = changed(lambda d: d.update(measurement=[]), SCHEMA_3)

        with pytest.raises(FormatError, match="measurement"):
            read(Record, stored(data, tmp_path))


class TestFromTwo:
    def test_two_gpu_states_become_conditions(self, tmp_path: Path) -> None:
        """With nothing claimed that was not observed: no counter, no process, no reading between."""
        found = to_json(read(Record, stored(SCHEMA_2, tmp_path)))
        was = SCHEMA_2["measurement"]

        assert found["measurement"] == ADDED_3 | ADDED_4 | ADDED_5 | {
            k: v for k, v in was.items() if k not in GONE_3
        } | {
            "conditions": {
                "before": was["state_before"],
                "during": [],
                "after": was["state_after"],
                "observed_s": 0.0,
                "slowed_s": None,
                "foreign": None,
                "memory_at_start_bytes": None,
                "sm_clock_max_mhz": None,
                "memory_clock_max_mhz": None,
                "persistence": None,
                "pcie": None,
            }
        }
        assert found["ceilings"] == SCHEMA_2["ceilings"] | {"event_resolution_s": None}
        left = ("schema", "measurement", "ceilings")
        expected = SCHEMA_2 | {"case": promising(SCHEMA_2["case"])}
        assert {k: v for k, v in found.items() if k not in left} == {
            k: v for k, v in expected.items() if k not in left
        }

    def test_its_states_are_still_judged(self, tmp_path: Path) -> None:
        """A thermal slowdown that was stored spoils it as it did."""
        data = changed(
            lambda d: d["measurement"]["state_after"].update(event_reasons=["hw_thermal_slowdown"]), SCHEMA_2
        )

        assert spoilers(read(Record, stored(SCHEMA_2, tmp_path)).measurement) == ()
        assert "hw_thermal_slowdown" in spoilers(read(Record, stored(data, tmp_path)).measurement)[0]

    def test_a_record_without_its_gpus_state(self, tmp_path: Path) -> None:
        data = changed(lambda d: d["measurement"].update(state_before=None, state_after=None), SCHEMA_2)

        assert read(Record, stored(data, tmp_path)).measurement.conditions is None

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda m: m.update(kernels=None), ".measurement.kernels: no such field in schema 2"),
            (lambda m: m.update(teardown=True), ".measurement.teardown: no such field in schema 2"),
            (lambda m: m.update(conditions=None), ".measurement.conditions: no such field in schema 2"),
            (
                lambda m: m.update(back_to_back_s=[1]),
                ".measurement.back_to_back_s: no such field in schema 2",
            ),
            (lambda m: m.pop("state_after"), ".measurement.state_after: missing"),
            (lambda m: m.pop("operators"), ".measurement.operators: missing"),
            (
                lambda m: m.update(operators=[]),
                ".measurement.operators: null is needed, for nothing was attributed in schema 2",
            ),
            (
                lambda m: m.update(state_after=None),
                ".measurement.state_after: given or null as state_before is",
            ),
            # What the step carries over is checked where it then stands.
            (
                lambda m: m["state_before"].update(power_w="145"),
                ".measurement.conditions.before.power_w: float is needed, not '145' (str)",
            ),
        ],
    )
    def test_what_schema_2_never_held_is_refused_by_name(
        self, change: Callable[[Any], object], said: str, tmp_path: Path
    ) -> None:
        path = stored(changed(lambda d: change(d["measurement"]), SCHEMA_2), tmp_path)

        with pytest.raises(FormatError) as refused:
            read(Record, path)
        assert str(refused.value) == f"{path}: {said}"

    def test_a_ceiling_of_schema_3_in_it_too(self, tmp_path: Path) -> None:
        path = stored(changed(lambda d: d["ceilings"].update(event_resolution_s=1e-6), SCHEMA_2), tmp_path)

        with pytest.raises(FormatError, match=r"\.ceilings\.event_resolution_s: no such field in schema 2"):
            read(Record, path)

    @pytest.mark.parametrize("schema", [1, 2])
    def test_a_baseline(self, schema: int, tmp_path: Path) -> None:
        data = old_baseline(schema)
        found = read(Baseline, stored(data, tmp_path))

        assert found.kernels is None
        assert [(s.counts, s.ceilings) for s in found.sessions] == [(None, None)] * 2
        assert [to_json(s)["device_s"] for s in found.sessions] == [s["device_s"] for s in data["sessions"]]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda d: d.update(kernels=None), ".kernels: no such field in schema 2"),
            (
                lambda d: d["sessions"][1].update(counts=None),
                ".sessions[1].counts: no such field in schema 2",
            ),
            (
                lambda d: d["sessions"][0].update(ceilings=7),
                ".sessions[0].ceilings: no such field in schema 2",
            ),
            (lambda d: d.update(sessions=[7]), ".sessions[0]: an object is needed, not '7' (int)"),
            (lambda d: d.pop("sessions"), ".sessions: missing"),
        ],
    )
    def test_a_baseline_that_schema_2_never_held(
        self, change: Callable[[Any], object], said: str, tmp_path: Path
    ) -> None:
        path = stored(changed(change, old_baseline(2)), tmp_path)

        with pytest.raises(FormatError) as refused:
            read(Baseline, path)
        assert str(refused.value) == f"{path}: {said}"

    def test_a_run_and_what_it_never_held(self, tmp_path: Path) -> None:
        data = old_run(run_folder(tmp_path / "run", [record("decode-b1-c512-fp16-eager")]), 2)

        assert read(RunInfo, stored(data, tmp_path)).spent_s == {}
        with pytest.raises(FormatError, match=r"\.spent_s: no such field in schema 2"):
            read(RunInfo, stored(data | {"spent_s": {}}, tmp_path))

    def test_verdicts(self, tmp_path: Path) -> None:
        given = Verdicts(
            policy_digest="0" * 16, verdicts=(Verdict(case="a", status=Status.PASS, reasons=()),)
        )

        assert read(Verdicts, stored(old_verdicts(2), tmp_path)) == given


def old_baseline(schema: int) -> Any:
    """A baseline of two sessions as older schemas wrote it."""
    one = record("decode-b1-c512-fp16-eager", device_s=0.008)
    data = to_json(baseline_of([one, one], written="2026-11-22T12:00:00+00:00", command="a test"))
    for name in ("anchor", "previous", "by", "reason"):
        del data[name]
    if schema < 3:
        del data["kernels"]
        for session in data["sessions"]:
            del session["counts"], session["ceilings"]
    return data | {"schema": schema}


def old_run(folder: RunFolder, schema: int) -> Any:
    """A run.json as older schemas wrote it."""
    data = to_json(folder.info())
    if schema < 3:
        del data["spent_s"]
    for planned in data["planned"]:
        del planned["case"]["promise"]
    return data | {"schema": schema}


def old_verdicts(schema: int) -> Any:
    """A verdicts.json as older schemas wrote it."""
    given = Verdicts(policy_digest="0" * 16, verdicts=(Verdict(case="a", status=Status.PASS, reasons=()),))
    data = to_json(given)
    del data["shift"]
    for name in ("for_all", "sees_device", "sees_wall"):
        del data["verdicts"][0][name]
    return data | {"schema": schema}


def test_a_record_without_ceilings(tmp_path: Path) -> None:
    assert read(Record, stored(changed(lambda d: d.update(ceilings=None)), tmp_path)).ceilings is None


def test_what_is_given_is_left_as_it_is() -> None:
    data = copy.deepcopy(SCHEMA_1)

    assert upgraded(Record, data)["schema"] == SCHEMA
    assert data == SCHEMA_1


def test_a_present_file_is_not_touched() -> None:
    data = to_json(record("decode-b1-c512-fp16-eager"))

    assert upgraded(Record, data) is data


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["model"].pop("d_ff"), ".model.d_ff: missing"),
        (lambda d: d["model"].update(stacks=[]), ".model.stacks: no such field in a model of schema 1"),
        (
            lambda d: d["model"].update(n_heads="32"),
            ".model.n_heads: a positive integer is needed, not '32'",
        ),
        (
            lambda d: d["model"].update(n_layers=True),
            ".model.n_layers: a positive integer is needed, not True",
        ),
        (lambda d: d["model"].update(d_head=0), ".model.d_head: a positive integer is needed, not 0"),
        (
            lambda d: d["model"].update(sliding_window=-1),
            ".model.sliding_window: a positive integer is needed, not -1",
        ),
        (lambda d: d["model"].update(name=7), ".model.name: str is needed, not 7"),
        (
            lambda d: d["model"].update(tied_embeddings=None),
            ".model.tied_embeddings: bool is needed, not None",
        ),
        (
            lambda d: d["ceilings"].update(launch_gap_s=6e-6),
            ".ceilings.launch_gap_s: no such field in schema 1",
        ),
        # What a step leaves alone is refused as in a present file.
        (lambda d: d.pop("model"), ".model: missing"),
        (lambda d: d.update(model=[]), ".model: an object is needed, not '[]' (list)"),
        (lambda d: d.update(ceilings=7), ".ceilings: an object is needed, not '7' (int)"),
        (lambda d: d["ceilings"].pop("device"), ".ceilings.device: missing"),
        (lambda d: d.update(mfu=0.5), ".mfu: no such field in Record"),
    ],
)
def test_what_schema_1_never_held_is_refused_by_name(
    change: Callable[[Any], object], said: str, tmp_path: Path
) -> None:
    path = stored(changed(change), tmp_path)

    with pytest.raises(FormatError) as refused:
        read(Record, path)
    assert str(refused.value) == f"{path}: {said}"


def test_a_nested_model_in_a_file_of_schema_1_is_refused(tmp_path: Path) -> None:
    """One that was renumbered by hand."""
    path = stored({**to_json(record("decode-b1-c512-fp16-eager")), "schema": 1}, tmp_path)

    with pytest.raises(FormatError, match="no such field in a model of schema 1"):
        read(Record, path)


def test_a_run_of_schema_1_is_read_and_judged(tmp_path: Path) -> None:
    """As --perf-run does with a folder that was kept."""
    one = read(Record, stored(SCHEMA_1, tmp_path))
    folder = run_folder(tmp_path / "run", [one])
    for path, data in (
        (folder.path / "run.json", old_run(folder, 1)),
        (folder.path / "records" / f"{one.case.id}.json", SCHEMA_1),
    ):
        path.write_text(json.dumps(data), encoding="utf-8")
    kept = RunFolder(folder.path)

    assert kept.records() == (one,)
    assert read(RunInfo, folder.path / "run.json").planned == folder.info().planned
    judged = judge_folder(kept, Store(tmp_path / "none"))
    assert [v.status for v in judged.verdicts] == [Status.NO_BASELINE]


def test_there_are_committed_baselines() -> None:
    assert len(COMMITTED) == 32


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_committed_baseline_is_read_and_is_of_todays_shapes(path: Path) -> None:
    """Its key must equal that of a fresh measurement, or nothing could be compared."""
    baseline = read(Baseline, path)

    assert baseline.schema == SCHEMA
    assert baseline.hard.shapes == load_model(baseline.model).shapes == "L32 D4096 F14336 H32/8x128 V32000"
    assert len(baseline.sessions) == 5
    Case.parse(baseline.case, model=baseline.model)


def statuses_beside(baseline: Baseline, store: Store, folder: Path) -> list[Status]:
    """Of a record that equals its first session, and of one that is five per cent slower."""
    session = baseline.sessions[0]
    assert session.device_median_s is not None
    found = []
    for number, factor in enumerate((1.0, 1.05)):
        one = record(
            baseline.case,
            model=baseline.model,
            device_s=factor * session.device_median_s,
            wall_s=0.025,
            hard=baseline.hard,
            soft=session.soft,
            counts=session.counts,
            measured_ceilings=session.ceilings or ceilings(),
        )
        judged = judge_folder(confirmed(folder / str(number), [one]), store)
        found += [v.status for v in judged.verdicts]
    return found


def test_a_fresh_record_is_compared_with_a_committed_baseline(tmp_path: Path) -> None:
    path = next(p for p in COMMITTED if p.stem == "decode-b1-c512-fp16-eager")
    before = path.read_bytes()

    found = statuses_beside(read(Baseline, path), Store(ROOT / "baselines" / "data"), tmp_path)

    assert found == [Status.PASS, Status.REGRESSED]
    assert path.read_bytes() == before


def test_a_fresh_record_is_compared_with_a_baseline_of_schema_1(tmp_path: Path) -> None:
    """Its five sessions alone; without counts that could be compared."""
    store = Store(tmp_path / "store")
    folder = store.root / BASELINE_1["gpu"] / BASELINE_1["model"]
    folder.mkdir(parents=True)
    path = stored(BASELINE_1, folder).rename(folder / f"{BASELINE_1['case']}.json")
    before = path.read_bytes()

    assert statuses_beside(read(Baseline, path), store, tmp_path) == [Status.PASS, Status.REGRESSED]
    assert path.read_bytes() == before


def test_what_is_written_is_of_the_present_schema(tmp_path: Path) -> None:
    path = stored(SCHEMA_1, tmp_path)
    write(read(Record, path), path)

    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == SCHEMA
