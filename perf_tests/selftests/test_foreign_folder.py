"""Another repository opts in: its own folder, its own conftest, our plugins."""

import os

import pytest

from analytic import Case, case_costs, find_gpu, find_precision, load_model, merged, sequence_bound
from perf_tests.selftests.tiny import ROOT, environment

ALL = 'pytest_plugins = ["baselines.plugin", "reports.plugin", "perf_tests.plugin"]'
ONE = 'pytest_plugins = ["perf_tests.plugin"]'

BOUNDED = """
import pytest

@pytest.mark.perf_case("decode-b1-c512-nf4-eager", model="mistral-7b-v0.1")
def test_mine(case, cost, bound, gpu_spec, model_spec, roofs):
    assert (case.id, case.model) == ("decode-b1-c512-nf4-eager", "mistral-7b-v0.1")
    assert gpu_spec.key == "t4"
    assert roofs.bytes_per_s == gpu_spec.bytes_per_s == 320e9
    assert model_spec.n_layers == 32
    print("NUMBERS", cost.flops, cost.bytes, bound.lower_s, bound.limiter)
    assert 0.05 > bound.lower_s
"""

MEASURED = """
def test_ceilings(ceilings):
    assert ceilings.copy_bytes_per_s > 1e8
    assert ceilings.read_bytes_per_s > 1e8
    assert ceilings.gemm_flops_per_s["fp32"] > 1e8
    print("DEVICE", ceilings.device)

def test_again(ceilings):
    assert ceilings.copy_bytes_per_s > 1e8
"""


@pytest.fixture
def foreign(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder whose Python finds Roofgate, and nothing of it else."""
    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)
    for name, value in environment(PYTHONPATH=str(ROOT)).items():
        monkeypatch.setenv(name, value)
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider --strict-markers\n")
    return pytester


@pytest.mark.parametrize("plugins", [ALL, ONE], ids=["every room", "one name"])
def test_a_test_is_given_its_case_cost_and_bound(foreign: pytest.Pytester, plugins: str) -> None:
    foreign.makeconftest(plugins)
    foreign.makepyfile(BOUNDED)
    result = foreign.runpytest_subprocess("--perf-gpu", "t4", "-s")

    result.assert_outcomes(passed=1)
    model, precision = load_model("mistral-7b-v0.1"), find_precision("nf4")
    costs = case_costs(model, Case.parse("decode-b1-c512-nf4-eager", model=model.name), precision)
    bound = sequence_bound(costs, find_gpu("t4").roofs)
    cost = merged(costs)
    result.stdout.fnmatch_lines(f"*NUMBERS {cost.flops} {cost.bytes} {bound.lower_s} memory*")
    # By hand: 4.19 GB of weights and 67 MB of cache over 320 GB/s.
    assert bound.lower_s == pytest.approx((4.19e9 + 512 * 131072) / 320e9, rel=0.005)


@pytest.mark.parametrize("plugins", [ALL, ONE], ids=["every room", "one name"])
def test_without_a_gpu_named_the_error_says_what_to_do(foreign: pytest.Pytester, plugins: str) -> None:
    foreign.makeconftest(plugins)
    foreign.makepyfile(BOUNDED)
    result = foreign.runpytest_subprocess()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*UsageError: the bound of a test needs a GPU:*pass --perf-gpu=t4*")


def test_a_gpu_that_is_not_known_is_refused_with_the_nearest(foreign: pytest.Pytester) -> None:
    foreign.makeconftest(ONE)
    foreign.makepyfile(BOUNDED)
    result = foreign.runpytest_subprocess("--perf-gpu", "H100")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines("*unknown GPU 'H100'*h100-sxm*")


def test_a_test_without_a_case_is_told_how_to_mark_it(foreign: pytest.Pytester) -> None:
    foreign.makeconftest(ONE)
    foreign.makepyfile("def test_mine(bound): ...")
    result = foreign.runpytest_subprocess("--perf-gpu", "t4")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        "*mark the test with @pytest.mark.perf_case('decode-b1-c512-nf4-eager', model='mistral-7b-v0.2')*"
    )


def test_a_misspelt_key_of_a_case_is_named(foreign: pytest.Pytester) -> None:
    foreign.makeconftest(ONE)
    foreign.makepyfile(
        "import pytest\n"
        "@pytest.mark.perf_case('decode-b1-c512-nf4-eager', modle='mistral-7b-v0.1')\n"
        "def test_mine(bound): ..."
    )
    result = foreign.runpytest_subprocess("--perf-gpu", "t4")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*model='mistral-7b-v0.2'), not 'modle'*")


def test_the_gpu_lane_of_another_repository_fails_without_a_gpu(foreign: pytest.Pytester) -> None:
    """--perf-gpu bounds what measures nothing; it does not stand in for a GPU."""
    foreign.makeconftest(ALL)
    foreign.makepyfile(
        "import pytest\n"
        "@pytest.mark.gpu\n"
        "@pytest.mark.perf_case('decode-b1-c512-nf4-eager')\n"
        "def test_mine(bound): ..."
    )
    result = foreign.runpytest_subprocess("-m", "gpu", "--perf-gpu", "t4")

    result.assert_outcomes(skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines("*-m gpu was asked for, and nothing of it ran*")


@pytest.mark.usefixtures("torch_installed")
def test_ceilings_are_measured_here(foreign: pytest.Pytester) -> None:
    foreign.makeconftest(ALL)
    foreign.makepyfile(MEASURED)
    result = foreign.runpytest_subprocess("-s")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines("*DEVICE *")
    assert not {"runs", "baselines"} & {p.name for p in foreign.path.iterdir()}


def test_the_folder_is_left_alone(foreign: pytest.Pytester) -> None:
    """Neither runs nor baselines appear where nothing is measured."""
    foreign.makeconftest(ALL)
    foreign.makepyfile(BOUNDED, test_other="def test_other(): ...")
    foreign.runpytest_subprocess("--perf-gpu", "t4").assert_outcomes(passed=2)

    assert not {"runs", "baselines"} & {p.name for p in foreign.path.iterdir()}


def test_our_plugins_alone_are_no_burden(foreign: pytest.Pytester) -> None:
    """A session that uses none of it imports no torch, pandas or matplotlib."""
    foreign.makeconftest(ALL)
    foreign.makepyfile(
        """
        import sys

        def test_mine():
            assert not {"torch", "transformers", "pandas", "matplotlib"} & set(sys.modules)
        """
    )
    foreign.runpytest_subprocess().assert_outcomes(passed=1)
