"""The fixtures that bound a test: case, cost, bound, gpu_spec, ceilings.

    @pytest.mark.perf_case("decode-b1-c512-nf4-eager", model="mistral-7b-v0.2")
    def test_mine(case, cost, bound, gpu_spec): ...

A test that is marked `gpu` is bound by the GPU at hand, one marked `cpu` by this
machine's measured ceilings, and any other by the GPU that --perf-gpu names.
"""

from typing import Any

import pytest

from analytic import (
    Bound,
    Case,
    Ceilings,
    Cost,
    GpuSpec,
    ModelSpec,
    Roofs,
    case_bound,
    case_costs,
    find_gpu,
    find_precision,
    load_model,
    merged,
)
from perf_tests.cases import LANES
from perf_tests.collecting import PHASE_MARK


@pytest.fixture
def lane(request: pytest.FixtureRequest) -> str | None:
    """The lane that a test is marked for; None for one that measures nothing."""
    return next((lane for lane in LANES if request.node.get_closest_marker(lane)), None)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The case of a test: its perf_case marker, or a parameter named `case`."""
    marker = request.node.get_closest_marker("perf_case")
    if marker is None or len(marker.args) != 1 or set(marker.kwargs) - {"model"}:
        wrong = "".join(f", not {key!r}" for key in (marker.kwargs if marker else ()) if key != "model")
        raise pytest.UsageError(
            f"{request.node.nodeid}: mark the test with "
            f"@pytest.mark.perf_case('decode-b1-c512-nf4-eager', model='mistral-7b-v0.2'){wrong}"
        )
    return Case.parse(marker.args[0], model=marker.kwargs.get("model", "mistral-7b-v0.2"))


@pytest.fixture
def model_spec(case: Case, request: pytest.FixtureRequest) -> ModelSpec:
    """The shapes of the case's model: the lane's own, where the lane measures it."""
    if request.node.get_closest_marker(PHASE_MARK):
        return request.getfixturevalue("harness").source.spec
    return load_model(case.model)


@pytest.fixture
def gpu_name(lane: str | None, request: pytest.FixtureRequest) -> str:
    """The GPU at hand, for a test of the gpu lane; else --perf-gpu."""
    if lane == "gpu":
        return request.getfixturevalue("harness").device.key
    if name := request.config.getoption("--perf-gpu"):
        return name
    raise pytest.UsageError(
        "the bound of a test needs a GPU: mark the test gpu, or pass --perf-gpu=t4 "
        "(see `python -m analytic gpus`)"
    )


@pytest.fixture
def gpu_spec(gpu_name: str) -> GpuSpec:
    """The datasheet of the GPU; raises SpecError for one the registry lacks."""
    return find_gpu(gpu_name)


@pytest.fixture
def cost(case: Case, model_spec: ModelSpec) -> Cost:
    """FLOPs and compulsory bytes of the case; of generate(), of all its passes together."""
    return merged(case_costs(model_spec, case, find_precision(case.precision)))


@pytest.fixture
def ceilings(harness: Any) -> Ceilings:
    """What this machine reached so far in this session, measured."""
    return harness.measure_ceilings()


@pytest.fixture
def roofs(lane: str | None, request: pytest.FixtureRequest) -> Roofs:
    """A GPU is bound by its datasheet, a CPU under test by its measured ceilings."""
    if lane == "cpu":
        return request.getfixturevalue("ceilings").roofs
    spec: GpuSpec = request.getfixturevalue("gpu_spec")
    return spec.roofs


@pytest.fixture
def bound(case: Case, model_spec: ModelSpec, roofs: Roofs) -> Bound:
    """The case's lower bound under `roofs`."""
    return case_bound(model_spec, case, roofs)
