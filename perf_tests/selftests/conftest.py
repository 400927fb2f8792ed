"""A clean copy of the checkout for every test that runs Roofgate's own commands."""

import pytest

from perf_tests.selftests.tiny import Place, copy_checkout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return copy_checkout(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="session")
def torch_installed() -> None:
    """Skips where the lanes cannot measure."""
    from perf_tests.gpu_presence import torch_problem

    if problem := torch_problem():
        pytest.skip(problem)
