"""The verdict of every case: collected last, so that it sees the whole run.

Also runs alone, without a GPU, over the records of an earlier run:
pytest perf_tests/test_verdict.py --perf-run FOLDER
"""

import pytest

from baselines.verdict import Outcome, Verdict


@pytest.mark.judges
def test_verdict(verdict: Verdict, request: pytest.FixtureRequest) -> None:
    # As record_property does, but that refuses JUnit's default family.
    request.node.user_properties.append(("verdict", verdict.status.value))
    said = f"{verdict.status.value}: " + "\n  ".join(verdict.reasons)
    outcome = verdict.outcome(strict=request.config.getoption("--perf-strict"))
    if outcome is Outcome.FAILS:
        pytest.fail(said, pytrace=False)
    if outcome is Outcome.SKIPS:
        pytest.skip(said)
