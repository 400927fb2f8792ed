"""pytest's side of the harness: its options and markers.

What is collected, and in which order, is in collecting.py; the fixtures that
measure are in fixtures.py. Loading this plugin touches no GPU and imports no torch.
"""

import pytest

from perf_tests.profiling import ProfilerStateError, arrange_teardown

pytest_plugins = ("perf_tests.collecting", "perf_tests.fixtures")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("roofgate")
    group.addoption(
        "--perf-model", metavar="MODEL", help="measure this model: a preset, a config.json or its folder"
    )
    group.addoption(
        "--perf-checkpoint",
        metavar="ID_OR_FOLDER",
        help="load real weights (safetensors) from a folder or a hub id, optionally @REVISION",
    )
    group.addoption(
        "--perf-allow-no-gpu",
        action="store_true",
        help="let `-m gpu` succeed on a machine without a usable GPU",
    )


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "cpu: measures on this machine's CPU",
        "gpu: measures on an NVIDIA GPU",
        "measures(phase): a test that measures every case of that phase",
        "judges: a test that gives the verdict of every case",
    ):
        config.addinivalue_line("markers", line)
    if config.getoption("--perf-model") and config.getoption("--perf-checkpoint"):
        raise pytest.UsageError("--perf-checkpoint brings its own config: leave --perf-model out")
    try:
        arrange_teardown()
    except ProfilerStateError as error:
        raise pytest.UsageError(str(error)) from error
