from pathlib import Path

import pytest

from perf_tests.cases import LANES

pytest_plugins = (
    "pytester",
    "baselines.plugin",
    "reports.plugin",
    "perf_tests.plugin",
)

ROOM = Path(__file__).parent / "perf_tests"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A lane measures none of the tests of the model and of the harness, and to read
    these thousands takes longer than a case: `-m gpu` alone leaves them unread, unless
    they are named."""
    if config.option.markexpr not in LANES or collection_path not in (ROOM / "bounds", ROOM / "selftests"):
        return None
    named = (Path(config.invocation_params.dir, argument.partition("::")[0]) for argument in config.args)
    return True if not any(path.resolve().is_relative_to(collection_path) for path in named) else None
