"""In which order a run measures."""

from types import SimpleNamespace
from typing import Any

import pytest

from analytic import Case
from baselines.plugin import STATE
from perf_tests.collecting import PHASE_MARK, VERDICT_MARK, pytest_collection_modifyitems


def item(case_id: str, *, mark: str = PHASE_MARK) -> Any:
    """An item of the gpu lane, as far as it is looked at."""
    case = Case.parse(case_id, model="mistral-7b-v0.2")
    marks = {mark: True, "gpu": True}
    return SimpleNamespace(
        name=case_id, get_closest_marker=marks.get, callspec=SimpleNamespace(params={"case": case})
    )


def test_eager_cases_come_before_those_that_compile() -> None:
    """Of each precision, which stays together; verdicts come last. What is collected
    is by phase and the other way round."""
    config = SimpleNamespace(stash=pytest.Stash(), getoption=lambda _, default: default, hook=pytest.fail)
    config.stash[STATE] = SimpleNamespace(stored=False)
    engines, precisions = ("tuned", "graph", "eager", "compiled"), ("nf4", "fp16")
    measured = [
        item(f"{case}-{precision}-{engine}")
        for case in ("decode-b1-c512", "prefill-b1-p512")
        for engine in engines
        for precision in precisions
    ]
    verdict = item("decode-b1-c512-fp16-eager", mark=VERDICT_MARK)
    items = [verdict, *measured]

    pytest_collection_modifyitems(config, items)

    assert [i.name for i in items[:-1]] == [
        f"{case}-{precision}-{engine}"
        for precision in ("fp16", "nf4")
        for engine in ("eager", "compiled", "graph", "tuned")
        for case in ("prefill-b1-p512", "decode-b1-c512")
    ]
    assert items[-1] is verdict
