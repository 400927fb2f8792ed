"""Device time in pytest-benchmark's JSON, for the tools that track it (TRACKING.md).

The file that --benchmark-json asks for holds wall times. This is its twin: the same
schema, groups and names, with the times that repeat between processes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_benchmark import __version__
from pytest_benchmark.stats import Stats

from baselines.derived import Derived
from baselines.run import RunInfo
from baselines.verdict import Verdict
from reports.table import NOT_JUDGED

Json = dict[str, Any]

CLOCK = "device time: union of the kernels' intervals by CUPTI, at the card's own clock"


def device_benchmarks(info: RunInfo, derived: Sequence[Derived], verdicts: Sequence[Verdict]) -> str | None:
    """The text of benchmark-device.json; None where no case has device time, as on a CPU:
    an empty list is an error to those who read it.

    The same for the same run, whenever and wherever it is written. What a record does
    not say is null.
    """
    timed = [d for d in derived if d.record.measurement.device_s]
    if not timed:
        return None
    given = {v.case: v for v in verdicts}
    told = {
        "machine_info": _machine(timed[0]),
        "commit_info": _commit(info),
        "benchmarks": [_benchmark(d, given) for d in timed],
        "datetime": info.started,
        "version": __version__,
    }
    # Neither JavaScript nor Rust reads NaN.
    return json.dumps(told, indent=4, allow_nan=False) + "\n"


def _machine(derived: Derived) -> Json:
    """The machine that measured, which need not be this one."""
    record = derived.record
    return {
        "node": record.soft.host,
        "processor": record.soft.host_cpu,
        "machine": None,
        "python_compiler": None,
        "python_implementation": None,
        "python_implementation_version": None,
        "python_version": record.soft.python,
        "python_build": None,
        "release": None,
        "system": None,
        "cpu": {"brand_raw": record.soft.host_cpu},
        "gpu": {
            "key": record.gpu,
            "device": record.hard.device,
            "uuid": record.soft.gpu_uuid,
            "driver": record.soft.driver,
            "cuda": record.soft.cuda,
            "power_limit_w": record.hard.power_limit_w,
        },
    }


def _commit(info: RunInfo) -> Json:
    return {
        "id": info.commit,
        "time": None,
        "author_time": None,
        "dirty": info.dirty,
        "project": None,
        "branch": "(unknown)",
    }


def _benchmark(derived: Derived, given: Mapping[str, Verdict]) -> Json:
    case, samples = derived.record.case, derived.record.measurement.device_s or ()
    name = f"test_{case.phase.value}[{case.id}]"
    verdict = given.get(case.id)
    return {
        "group": case.phase.value,
        "name": name,
        # The pytest item that measured it, by its phase: a record does not hold it.
        "fullname": f"perf_tests/test_{case.phase.value}.py::{name}",
        "params": {"case": case.id},
        "param": case.id,
        "extra_info": {
            "case": case.id,
            "model": case.model,
            "gpu": derived.record.gpu,
            "precision": case.precision,
            "engine": case.engine,
            "seconds_of": CLOCK,
            "lower_s": derived.bound.lower_s,
            "device_fraction": derived.device_fraction,
            "verdict": NOT_JUDGED if verdict is None else verdict.status.value,
        },
        "options": {"timer": "CUPTI"},
        "stats": _stats(samples),
    }


def _stats(samples: Sequence[float]) -> Json:
    """By pytest-benchmark's own arithmetic, so that the two files differ in their times alone."""
    stats = Stats()
    for sample_s in samples:
        stats.update(sample_s)
    return {**stats.as_dict(), "data": list(samples), "iterations": 1}
