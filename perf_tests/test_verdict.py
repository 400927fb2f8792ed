"""The verdict of every case: collected last, so that it sees the whole run.

Also runs alone, without a GPU, over the records of an earlier run:
pytest perf_tests/test_verdict.py --perf-run FOLDER
"""

from typing import Any

import pytest

from baselines.verdict import Outcome, Verdict


@pytest.mark.judges
def test_verdict(verdict: Verdict, pytestconfig: pytest.Config, record_property: Any) -> None:
    __tracebackhide__ = True
    record_property("verdict", verdict.status.value)
    said = f"{verdict.case}: {verdict.status.value}: " + "\n  ".join(verdict.reasons)
    outcome = verdict.outcome(strict=pytestconfig.getoption("--perf-strict"))
    if outcome is Outcome.FAILS:
        pytest.fail(said, pytrace=False)
    if outcome is Outcome.SKIPS:
        pytest.skip(said)
