"""python -m perf_tests.selftests.t4_plan: what the gpu lane would do on a T4, by calculation.

    python -m perf_tests.selftests.t4_plan > perf_tests/selftests/t4_plan.csv

No T4 was measured: the bands behind the times are published figures.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from analytic import Case, find_gpu, load_model
from analytic.text import gib
from baselines.expectations import Band, bands, find_band
from perf_tests.cases import default_model, lane_cases
from perf_tests.plan import Estimate, Machine, Plan, estimate, plan_case

COMMITTED = Path(__file__).with_name("t4_plan.csv")
GPU = "t4"
# What its sources say that a model may occupy of the 16 GB (analytic/gpus.csv).
CAPACITY_BYTES = int(find_gpu(GPU).usable_bytes)
# Beside the cases: starting Python and CUDA, the ceilings, and for each of the
# two precisions making (or reading from a warm disk) and quantising the weights.
LOADING_S = 150.0
MOST_S = 720.0

NOTES = (
    f"# The default gpu lane on a T4 ({gib(CAPACITY_BYTES)} free), by calculation: no T4 was measured.",
    "# Bands rest on published figures; times are for the low end of each band, so they are pessimistic.",
    "# Remade by: python -m perf_tests.selftests.t4_plan > perf_tests/selftests/t4_plan.csv",
)
COLUMNS = "case,fits,footprint_gib,rounds,profiled_steps,step_s,total_s,metric,low,high,skip"


def machine() -> Machine:
    return Machine(gpu=find_gpu(GPU), capacity_bytes=CAPACITY_BYTES)


def planned() -> list[tuple[Plan, Estimate, Band]]:
    """Every case of the default lane with its plan, estimate and band."""
    model, t4 = load_model(default_model("gpu")), machine()
    rows = []
    for case in lane_cases("gpu"):
        band = find_band(bands(), gpu=GPU, case=case)
        assert t4.gpu is not None
        assert band is not None, f"no T4 band covers {case.id}"
        rows.append((plan_case(case, model, t4), estimate(case, model, t4.gpu, bands()), band))
    return rows


def cases_s() -> float:
    """Estimated seconds for all cases that fit."""
    return sum(cost.total_s for plan, cost, _ in planned() if plan.skip is None)


def lines() -> Iterable[str]:
    """The committed file, line by line."""
    yield from NOTES
    yield (
        f"# In all {cases_s():.0f} s for the cases that fit, and {LOADING_S:.0f} s allowed for starting, "
        f"ceilings and loading: at most {MOST_S:.0f} s."
    )
    yield COLUMNS
    for plan, cost, band in planned():
        yield _line(plan.case, plan, cost, band)


def _line(case: Case, plan: Plan, cost: Estimate, band: Band) -> str:
    assert plan.footprint_bytes is not None, f"the lane asks a T4 for {case.precision}"
    cells = (
        case.id,
        "no" if plan.skip else "yes",
        f"{plan.footprint_bytes / 2**30:.2f}",
        cost.rounds,
        cost.profiled,
        f"{cost.step_s:.4g}",
        f"{cost.total_s:.3g}",
        band.metric,
        band.low,
        band.high,
        plan.skip or "",
    )
    return ",".join(map(str, cells))


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in lines()))
