"""pytest's side of the harness: its options and markers.

What is collected, and in which order, is in collecting.py; the fixtures that
bound a test are in physics.py, those that measure it in fixtures.py. It brings
the plugins of the rooms below it, so another repository names only this one.
Loading it touches no GPU and imports no torch.
"""

import pytest

from analytic import SpecError, find_gpu
from perf_tests.case_options import BATCH, CONTEXT, ENGINE, OTHER_CASES, PRECISION, PROMPT
from perf_tests.profiling import ProfilerStateError, arrange_teardown

pytest_plugins = (
    "baselines.plugin",
    "reports.plugin",
    "perf_tests.collecting",
    "perf_tests.covering",
    "perf_tests.physics",
    "perf_tests.fixtures",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("roofgate")
    group.addoption(
        "--perf-model", metavar="MODEL", help="measure this model: a preset, a config.json or its folder"
    )
    group.addoption(
        "--perf-cases",
        metavar="FILE",
        help="measure the cases of this TOML file (of the form of perf_tests/cases.toml) instead",
    )
    for option, metavar, text in (
        (PRECISION, "NAME", "measure in these precisions, with commas"),
        (
            ENGINE,
            "NAME",
            "measure with these engines, with commas: eager, graph, compiled, tuned, my_engine.py",
        ),
        (BATCH, "N", "measure these batch sizes, with commas"),
        (
            CONTEXT,
            "N",
            "measure decode steps after so many tokens, with commas; without --perf-prompt only those",
        ),
        (PROMPT, "N", "measure prompts of so many tokens, with commas; without --perf-context only those"),
    ):
        group.addoption(option, metavar=f"{metavar},…", help=f"{text} (in place of the table's)")
    group.addoption(
        "--perf-checkpoint",
        metavar="ID_OR_FOLDER",
        help="load real weights (safetensors) from a folder or a hub id, optionally @REVISION",
    )
    group.addoption(
        "--perf-trust-remote-code",
        action="store_true",
        help="let --perf-checkpoint run the Python code that comes with the model",
    )
    group.addoption(
        "--perf-gpu",
        metavar="GPU",
        help="the GPU that bounds tests which measure nothing: a key (t4, h100-sxm) or torch's name for it",
    )
    group.addoption(
        "--perf-allow-no-gpu",
        action="store_true",
        help="let `-m gpu` succeed on a machine without a usable GPU",
    )


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "analytic: tests of the model alone; no torch, any machine",
        "perf_case(id, model='mistral-7b-v0.2'): the case whose cost and bound a test's fixtures give",
        "cpu: measures on this machine's CPU",
        "gpu: measures on an NVIDIA GPU",
        "measures(phase): a test that measures every case of that phase",
        "long: proofs that take long, whole runs among them (make long)",
        "judges: a test that gives the verdict of every case",
    ):
        config.addinivalue_line("markers", line)
    if config.getoption("--perf-model") and config.getoption("--perf-checkpoint"):
        raise pytest.UsageError("--perf-checkpoint brings its own config: leave --perf-model out")
    if config.getoption("--perf-trust-remote-code") and not config.getoption("--perf-checkpoint"):
        raise pytest.UsageError(
            "--perf-trust-remote-code goes with --perf-checkpoint; random weights bring no code"
        )
    for option in OTHER_CASES:
        if config.getoption("--perf-run") and config.getoption(option) is not None:
            raise pytest.UsageError(f"--perf-run judges the cases of an earlier run: leave {option} out")
    try:
        arrange_teardown()
        if gpu := config.getoption("--perf-gpu"):
            find_gpu(gpu)
    except (ProfilerStateError, SpecError) as error:
        raise pytest.UsageError(str(error)) from error
