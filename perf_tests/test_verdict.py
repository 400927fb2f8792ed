"""The verdict of every case: collected last, so that it sees the whole run.

Also runs alone, without a GPU, over the records of an earlier run:
pytest perf_tests/test_verdict.py --perf-run FOLDER
"""

import pytest

from analytic import Case
from baselines.plugin import state
from baselines.verdict import Outcome, Verdict
from perf_tests.junit import derived_of, junit_properties


@pytest.mark.judges
def test_verdict(verdict: Verdict, case: Case, request: pytest.FixtureRequest) -> None:
    # As record_property does, but that refuses JUnit's default family.
    request.node.user_properties += junit_properties(verdict, case, derived_of(case, state(request.config)))
    said = f"{verdict.status.value}: " + "\n  ".join(verdict.reasons)
    outcome = verdict.outcome(strict=request.config.getoption("--perf-strict"))
    if outcome is Outcome.FAILS:
        pytest.fail(said, pytrace=False)
    if outcome is Outcome.SKIPS:
        pytest.skip(said)
