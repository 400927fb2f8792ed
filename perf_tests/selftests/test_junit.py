"""What JUnit says of a verdict: the status, the case and its numbers, in every family that
pytest writes, whatever the verdict does to its item."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from analytic import Case, SpecError
from baselines.record import Record
from baselines.run import RunFolder
from baselines.store import Store
from baselines.verdict import Verdict, not_measured
from perf_tests.junit import junit_properties
from perf_tests.selftests.records import COMMIT, DECODE, MODEL, derived, gpu_state, record, run_folder
from perf_tests.selftests.records import conditions as seen
from perf_tests.selftests.tiny import ROOT, Done, Place, read_junit

# One verdict of each outcome: passes, fails, skips.
PASSES, FAILS, SKIPS = (f"decode-b{batch}-c512-fp16-eager" for batch in (1, 8, 16))
NOT_RUN = "decode-b64-c512-fp16-eager"
DEVICE_S, WALL_S = 0.0080, 0.040
# The spread between five sessions on a quiet H100: 0.15 %.
SESSIONS = (0.9985, 0.9995, 1.0, 1.0005, 1.0015)

OF_A_CASE = {"verdict", "case", "model", "precision", "engine"}
OF_A_RECORD = {"gpu", "commit", "wall_s", "lower_s", "wall_fraction", "regime"}
OF_DEVICE_TIME = {"device_s", "device_fraction"}


def stored_run(home: Path) -> RunFolder:
    """A run with a case that passes, one that regressed, one whose GPU was too hot, and one
    that did not run; its baselines beside it."""
    hot = replace(
        record(SKIPS, device_s=DEVICE_S, wall_s=WALL_S),
        measurement=replace(
            record(SKIPS, device_s=DEVICE_S, wall_s=WALL_S).measurement,
            conditions=seen(
                during=(gpu_state("hw_thermal_slowdown"),), slowed_s={"hw_thermal_slowdown": 0.9}
            ),
        ),
    )
    slow = record(FAILS, device_s=DEVICE_S * 1.03, wall_s=WALL_S)
    for case_id in (PASSES, FAILS):
        Store(home / "store").write(sessions(case_id), written="2026-11-22", command="a test")
    for number in (1, 2, 3):
        run_folder(home / "run" / "confirmations" / str(number), [slow])
    ok = record(PASSES, device_s=DEVICE_S, wall_s=WALL_S)
    return run_folder(home / "run", [ok, slow, hot], not_run={NOT_RUN: "needs 99 GiB of memory"})


def sessions(case_id: str) -> list[Record]:
    return [
        record(case_id, device_s=DEVICE_S * factor, wall_s=WALL_S * factor, run=f"session-{i}")
        for i, factor in enumerate(SESSIONS)
    ]


def judge(place: Place, home: Path, *options: str) -> Done:
    return place.pytest(
        *(*place.without_torch(), "-p", "no:reports.plugin", "perf_tests/test_verdict.py"),
        *(f"--perf-run={home / 'run'}", f"--perf-baselines={home / 'store'}"),
        *(f"--junitxml={home / 'junit.xml'}", *options),
    )


def properties(home: Path, case_id: str) -> dict[str, str]:
    return read_junit(home / "junit.xml").properties[f"test_verdict[{case_id}]"]


@pytest.mark.parametrize("family", ["", "xunit1", "xunit2"])
def test_every_family_holds_them_whatever_the_verdict(place: Place, tmp_path: Path, family: str) -> None:
    stored_run(tmp_path)
    done = judge(place, tmp_path, *(("-o", f"junit_family={family}") if family else ()))

    assert done.rc == 1, done.out
    assert "1 failed, 2 passed, 1 skipped" in done.out
    assert "warning" not in done.out
    told = {case_id: properties(tmp_path, case_id) for case_id in (PASSES, FAILS, SKIPS, NOT_RUN)}
    assert {case_id: one["verdict"] for case_id, one in told.items()} == {
        PASSES: "pass",
        FAILS: "regressed",
        SKIPS: "invalid",
        NOT_RUN: "not_measured",
    }
    for case_id in (PASSES, FAILS, SKIPS):
        assert set(told[case_id]) >= OF_A_CASE | OF_A_RECORD | OF_DEVICE_TIME
        assert told[case_id]["case"] == case_id
    assert set(told[NOT_RUN]) == OF_A_CASE
    assert told[NOT_RUN]["precision"] == "fp16"
    root = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 - pytest wrote it a moment ago
    assert {len(case.findall("properties")) for case in root.iter("testcase")} == {1}


def test_numbers_are_in_si_units_and_whole(place: Place, tmp_path: Path) -> None:
    stored_run(tmp_path)
    judge(place, tmp_path)
    one = properties(tmp_path, FAILS)
    (beside,) = derived([record(FAILS, device_s=DEVICE_S * 1.03, wall_s=WALL_S)])

    assert (one["gpu"], one["commit"], one["model"]) == ("h100-sxm", COMMIT, MODEL)
    assert float(one["device_s"]) == DEVICE_S * 1.03
    assert float(one["wall_s"]) == WALL_S
    assert float(one["lower_s"]) == beside.bound.lower_s
    assert float(one["device_fraction"]) == beside.bound.lower_s / (DEVICE_S * 1.03)
    assert float(one["wall_fraction"]) == beside.bound.lower_s / WALL_S
    assert one["regime"] == "launch"
    assert 0 < float(one["sees_device"]) < 0.02
    assert float(one["sees_wall"]) > 0


def test_what_is_not_known_has_no_property() -> None:
    """A CPU has no device clock; a case without a record nothing but its name."""
    case = Case.parse("decode-b1-c128-fp32-eager", model=MODEL)
    (on_cpu,) = derived([record(case.id, gpu="cpu")])
    verdict = Verdict(case=case.id, status=not_measured(case.id, "").status, reasons=())

    assert {name for name, _ in junit_properties(verdict, case, on_cpu)} == OF_A_CASE | OF_A_RECORD
    assert {name for name, _ in junit_properties(verdict, case, None)} == OF_A_CASE


def test_a_tree_with_changes_is_said() -> None:
    one = replace(record(DECODE, device_s=DEVICE_S), dirty=True)
    (beside,) = derived([one])
    told = dict(junit_properties(not_measured(DECODE, ""), one.case, beside))

    assert told["commit"] == f"{COMMIT}-dirty"


# --- text from outside --------------------------------------------------------

MARKUP = "it said </failure><script>alert(1)</script> & \"x\" 'y' ]]> \x1b[31m\x00\ufffe \N{GRINNING FACE}"


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_markup_and_control_characters_in_a_reason_leave_it_well_formed(
    place: Place, tmp_path: Path, family: str
) -> None:
    run_folder(tmp_path / "run", [record(DECODE, device_s=DEVICE_S)], not_run={NOT_RUN: MARKUP})
    done = judge(place, tmp_path, "--perf-strict", "-o", f"junit_family={family}")

    assert done.rc == 1, done.out
    said = read_junit(tmp_path / "junit.xml").messages[f"test_verdict[{NOT_RUN}]"]
    assert "</failure><script>alert(1)</script> & \"x\" 'y' ]]> #x1B[31m#x00#xFFFE \N{GRINNING FACE}" in said


def test_markup_in_a_models_name_stays_text(place: Place, tmp_path: Path) -> None:
    name = "<b>&\"'|`x`"
    one = record(DECODE, device_s=DEVICE_S)
    one = replace(one, case=replace(one.case, model=name), model=replace(one.model, name=name))
    run_folder(tmp_path / "run", [one])
    judge(place, tmp_path)

    assert properties(tmp_path, DECODE)["model"] == name


@pytest.mark.parametrize(
    "odd", ["decode-b1-c512-fp16-<b>", "decode-b1-c512-fp16-e|x", 'decode-b1-c512-fp16-"']
)
def test_a_case_id_holds_no_odd_character(odd: str) -> None:
    with pytest.raises(SpecError, match="case id"):
        Case.parse(odd, model=MODEL)


def test_every_property_is_documented() -> None:
    one = record(DECODE, device_s=DEVICE_S)
    seen_both = replace(not_measured(DECODE, ""), sees_device=0.01, sees_wall=0.1)
    told = dict(junit_properties(seen_both, one.case, derived([one])[0]))
    documented = (ROOT / "reports" / "TRACKING.md").read_text(encoding="utf-8").partition("\n## JUnit\n")[2]

    assert set(told) == OF_A_CASE | OF_A_RECORD | OF_DEVICE_TIME | {"sees_device", "sees_wall"}
    assert {name for name in told if f"`{name}`" not in documented} == set()
