"""What runs where, and for how long: decided by calculation, so that the plan for
a T4 is checked on machines without one."""

import csv
import itertools
import re
import subprocess
import sys

import pytest

from analytic import Case, Phase, SpecError, find_gpu, find_precision, load_model
from baselines.expectations import bands
from perf_tests import plan
from perf_tests.cases import default_model, lane_cases
from perf_tests.pace import Pace
from perf_tests.plan import (
    Machine,
    Plan,
    burst_steps,
    estimate,
    lead_in_steps,
    plan_case,
    profiled_steps,
    rounds,
)
from perf_tests.selftests import t4_plan
from perf_tests.selftests.tiny import ROOT

MODEL = load_model(default_model("gpu"))
T4 = t4_plan.machine()
H100 = Machine(gpu=find_gpu("h100-sxm"), capacity_bytes=78 * 2**30)
LANE = {case.id: case for case in lane_cases("gpu")}


def skip(case: Case, machine: Machine) -> str | None:
    return plan_case(case, MODEL, machine).skip


def test_the_plan_for_a_t4_is_the_committed_one() -> None:
    """If this changed and is meant: see the notes at the top of t4_plan.csv."""
    committed = t4_plan.COMMITTED.read_text(encoding="utf-8").splitlines()

    assert committed == list(t4_plan.lines())


def test_the_committed_plan_is_remade_by_its_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "perf_tests.selftests.t4_plan"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == t4_plan.COMMITTED.read_text(encoding="utf-8")


def test_the_committed_plan_lists_every_case_with_a_reason_for_each_skip() -> None:
    lines = t4_plan.COMMITTED.read_text(encoding="utf-8").splitlines()
    notes = [line for line in lines if line.startswith("#")]
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))

    assert any("no T4 was measured" in note for note in notes)
    assert [row["case"] for row in rows] == list(LANE)
    for row in rows:
        assert (row["fits"] == "no") == bool(row["skip"])
        if row["skip"]:
            assert re.fullmatch(
                r"needs (\d+\.\d+) GiB of memory by prediction; 14\.64 GiB are free", row["skip"]
            )
    # What a T4 is bought for: every precision and phase keeps half of its cases or more.
    fits = {row["case"] for row in rows if row["fits"] == "yes"}
    assert len(fits) == 26
    for phase, precision in itertools.product(Phase, ("fp16", "nf4")):
        mine = [i for i, c in LANE.items() if (c.phase, c.precision) == (phase, precision)]
        assert 2 * len(fits & set(mine)) >= len(mine)


def test_the_lane_on_a_t4_takes_no_more_than_twelve_minutes() -> None:
    assert t4_plan.cases_s() + t4_plan.LOADING_S <= t4_plan.MOST_S == 12 * 60


def test_estimates_add_up() -> None:
    for _, cost, band in t4_plan.planned():
        assert cost.total_s >= cost.step_s * (cost.rounds + cost.profiled + 1)
        assert band.published


def test_an_estimate_by_hand() -> None:
    """Decode at batch 1 on a T4: 14.22 GB of weights and 16.8 MB of cache at half
    of 320 GB/s are 89 ms; 8 warm-ups, 10 rounds, a step before the profiler, 3 that lead
    in to 5 profiled ones, and 2 that are counted."""
    cost = estimate(LANE["decode-b1-c128-fp16-eager"], MODEL, T4.gpu, bands())

    assert cost.step_s == pytest.approx((14.22e9 + 128 * 131072) / 320e9 / 0.5, rel=1e-3)
    assert cost.total_s == pytest.approx(29 * cost.step_s)


def test_without_a_band_the_estimate_is_pessimistic() -> None:
    case = LANE["decode-b1-c128-fp16-eager"]
    known = estimate(case, MODEL, T4.gpu, bands())
    unknown = estimate(case, MODEL, T4.gpu, ())

    assert unknown.step_s == pytest.approx(known.step_s * 0.5 / plan.UNKNOWN_FRACTION)


@pytest.mark.parametrize("phase", list(Phase))
def test_rounds_are_never_fewer_than_three_nor_more_than_ten(phase: Phase) -> None:
    for step_s in (1e-6, 0.05, 0.3, 0.5, 1.0, 30.0, 1e4):
        assert (2 if phase is Phase.GENERATE else 3) <= rounds(step_s=step_s, phase=phase) <= 10
        assert 3 <= profiled_steps(step_s=step_s) <= 5
        assert 1 <= lead_in_steps(step_s=step_s) <= 3
        assert 5 <= burst_steps(step_s=step_s) <= 50
    assert [profiled_steps(step_s=s) for s in (0.04, 0.06, 0.5)] == [3, 5, 4]
    assert rounds(step_s=1e-6, phase=Phase.DECODE) == 10
    assert rounds(step_s=0.5, phase=Phase.DECODE) == 4
    assert [rounds(step_s=s, phase=Phase.GENERATE) for s in (0.7, 1.0, 5.0)] == [3, 2, 2]
    assert rounds(step_s=1e4, phase=Phase.DECODE) == 3


@pytest.mark.parametrize(
    ("host_s", "step_s", "held_s"),
    [
        (0.0199, 0.0200, 0.12),  # a decode step that waits for its launches
        (0.066, 0.0665, 0.12),  # and one on a slow host
        (0.0455, 0.050, 0.12),
        (0.044, 0.050, 0.0),  # it waits for the device, which may run into its power limit
        (0.025, 0.064, 0.0),
        (0.015, 0.019, 0.12),  # too short for that
        (0.001, 0.007, 0.12),
    ],
)
def test_a_step_is_held_unless_its_power_limit_slows_it(host_s: float, step_s: float, held_s: float) -> None:
    """By what launching takes within the profiler, where every step may wait for it."""
    plain, profiled = Pace(host_s=host_s, step_s=step_s), Pace(host_s=0.1, step_s=0.1001)

    assert plan.hold_s(plain, profiled) == pytest.approx(held_s)


def test_a_gpu_rests_as_long_on_a_fast_host() -> None:
    plain = Pace(host_s=0.017, step_s=0.018)

    assert [plan.hold_s(plain, Pace(host_s=s, step_s=s)) for s in (0.001, 0.045, 0.08)] == [0.1, 0.1, 0.1]


def test_no_step_is_held_for_longer_than_a_queue_takes_to_fill() -> None:
    slow = Pace(host_s=0.9, step_s=0.9)

    assert plan.hold_s(slow, slow) == 0.25


def test_rounds_in_both_plans() -> None:
    for machine in (T4, H100):
        costs = [estimate(case, MODEL, machine.gpu, bands()) for case in LANE.values()]
        assert {c.rounds for c in costs} <= set(range(2, 11))
        assert max(c.rounds for c in costs) == 10


def test_everything_fits_an_h100() -> None:
    assert {i: s for i, c in LANE.items() if (s := skip(c, H100))} == {}


def test_too_little_memory_is_said_with_both_numbers() -> None:
    case = LANE["decode-b1-c128-fp16-eager"]
    small = Machine(gpu=find_gpu("t4"), capacity_bytes=8 * 2**30)
    found = plan_case(case, MODEL, small)
    assert found.footprint_bytes is not None
    need = found.footprint_bytes + plan.WORKSPACE_BYTES

    assert found.skip == f"needs {need / 2**30:.2f} GiB of memory by prediction; 8.00 GiB are free"


def test_memory_is_refused_at_its_very_edge() -> None:
    case = LANE["decode-b1-c128-nf4-eager"]
    need = (plan_case(case, MODEL, T4).footprint_bytes or 0) + plan.WORKSPACE_BYTES

    assert skip(case, Machine(gpu=T4.gpu, capacity_bytes=need)) is None
    assert skip(case, Machine(gpu=T4.gpu, capacity_bytes=need - 1)) is not None


def test_scores_are_materialised_only_before_flash_attention() -> None:
    """Prefill of 8 x 2048 tokens needs more memory on a T4 than on a newer card."""
    case = LANE["prefill-b8-p2048-nf4-eager"]
    newer = Machine(gpu=find_gpu("l4"), capacity_bytes=T4.capacity_bytes)
    there, here = (plan_case(case, MODEL, m).footprint_bytes for m in (newer, T4))

    assert there is not None
    assert here is not None
    assert here > there + 2 * 2**30


def other(case_id: str) -> Case:
    return Case.parse(case_id, model=MODEL.name)


def test_bf16_is_refused_on_a_t4_and_welcome_on_newer_cards() -> None:
    case = other("decode-b1-c128-bf16-eager")

    assert plan_case(case, MODEL, T4) == Plan(case=case, footprint_bytes=None, skip="t4 has no bf16 units")
    assert skip(case, H100) is None


def test_the_lane_asks_a_t4_for_nothing_it_lacks() -> None:
    assert {c.precision for c in LANE.values()} == {"fp16", "nf4"}
    with pytest.raises(SpecError, match="t4"):
        find_gpu("t4").require("bf16")
    for case in LANE.values():
        find_gpu("t4").require(find_precision(case.precision).compute)


def test_without_bitsandbytes_quantised_cases_skip_with_its_reason() -> None:
    why = "bitsandbytes is not installed: pip install -e '.[torch]'"
    bare = Machine(gpu=find_gpu("h100-sxm"), capacity_bytes=H100.capacity_bytes, no_quantiser=why)

    for case in (*LANE.values(), other("decode-b1-c128-int8-eager"), other("decode-b1-c128-nf4-dq-eager")):
        assert skip(case, bare) == (why if find_precision(case.precision).quantised else None)


def test_a_cpu_is_asked_for_memory_alone() -> None:
    cpu = Machine(gpu=None, capacity_bytes=64 * 2**30)

    assert skip(other("decode-b1-c128-bf16-eager"), cpu) is None
    assert skip(LANE["decode-b1-c128-fp16-eager"], Machine(gpu=None, capacity_bytes=2**30)) is not None
