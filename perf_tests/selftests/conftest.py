"""What several selftests stand on: a clean copy of the checkout for those that run
Roofgate's own commands, and no engine left over from another test."""

import pytest

from perf_tests.selftests.tiny import Place, copy_checkout

# It holds tests for others to inherit; its asserts are to say as much as theirs.
pytest.register_assert_rewrite("perf_tests.selftests.histories")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return copy_checkout(tmp_path_factory.mktemp("place"))


@pytest.fixture(autouse=True)
def of_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pytest that a test starts is no worker of the xdist that may run the test."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


@pytest.fixture
def forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engines that a test registers are gone after it."""
    from perf_tests.engines import registry

    monkeypatch.setattr(registry, "_OWN", {})


@pytest.fixture(scope="session")
def torch_installed() -> None:
    """Skips where the lanes cannot measure."""
    from perf_tests.gpu_presence import torch_problem

    if problem := torch_problem():
        pytest.skip(problem)
