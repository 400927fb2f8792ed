"""pytest's side of the model: the marker `analytic` and the fixtures that bound a test.

    @pytest.mark.perf_case("decode-b1-c512-nf4-eager", model="mistral-7b-v0.2")
    def test_mine(case, cost, bound, gpu_spec): ...

`gpu_name` says which GPU: `--perf-gpu`, or whatever overrides it. The harness
(perf_tests.plugin) overrides it by the GPU at hand, and `roofs` on a CPU.
"""

import pytest

from analytic import (
    Bound,
    Case,
    Cost,
    GpuSpec,
    ModelSpec,
    Roofs,
    case_costs,
    find_gpu,
    find_precision,
    load_model,
    merged,
    sequence_bound,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("roofgate", "Roofgate: inference speed against physics and history")
    group.addoption(
        "--perf-gpu",
        metavar="GPU",
        help="the GPU whose roofs bound tests that measure nothing: a key (t4, h100-sxm) or torch's name",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "analytic: tests of the model alone; no torch, any machine")
    config.addinivalue_line(
        "markers",
        "perf_case(id, model='mistral-7b-v0.2'): the case whose cost and bound a test's fixtures give",
    )


@pytest.fixture
def gpu_name(pytestconfig: pytest.Config) -> str:
    """The name or key of the GPU that bounds a test."""
    name = pytestconfig.getoption("--perf-gpu")
    if name is None:
        raise pytest.UsageError(
            "the bound of a test needs a GPU: pass --perf-gpu t4 (see `python -m analytic gpus`), "
            "or override the fixture gpu_name"
        )
    return str(name)


@pytest.fixture
def gpu_spec(gpu_name: str) -> GpuSpec:
    """The datasheet of the GPU; raises SpecError for one the registry lacks."""
    return find_gpu(gpu_name)


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
def model_spec(case: Case) -> ModelSpec:
    """The shapes of the case's model."""
    return load_model(case.model)


@pytest.fixture
def cost(case: Case, model_spec: ModelSpec) -> Cost:
    """FLOPs and compulsory bytes of the case; of generate(), of all its passes together."""
    return merged(case_costs(model_spec, case, find_precision(case.precision)))


@pytest.fixture
def roofs(gpu_spec: GpuSpec) -> Roofs:
    """The roofs that bound the case: the GPU's datasheet."""
    return gpu_spec.roofs


@pytest.fixture
def bound(case: Case, model_spec: ModelSpec, roofs: Roofs) -> Bound:
    """The case's lower bound under `roofs`."""
    return sequence_bound(case_costs(model_spec, case, find_precision(case.precision)), roofs)
