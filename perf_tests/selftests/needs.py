"""What a test needs beyond pip: where it lacks, the test skips with the reason, and where
ROOFGATE_NO_SKIP=1 says that nothing may skip, it fails."""

import os
from typing import NoReturn

import pytest


def skip_for_want_of(reason: str) -> NoReturn:
    if os.environ.get("ROOFGATE_NO_SKIP") == "1":
        pytest.fail(f"ROOFGATE_NO_SKIP=1: {reason}")
    pytest.skip(reason)
