"""Device time by kernel: the table of an engine whose steps call no modules, and the spreadsheet."""

from collections.abc import Sequence
from statistics import median

import pandas as pd

from analytic import Phase, text
from baselines.attribution import told_apart
from baselines.derived import Derived
from baselines.kernel_names import short_names
from baselines.markdown import escape, table
from reports.advice import representative

_HEADERS = ("kernel", "device ops", "device", "share")
_ROWS = 12


def by_kernel(derived: Sequence[Derived]) -> tuple[Derived, ...]:
    """The decode and the prefill case of each engine that are shown by kernel, since
    none of their like was told apart by operator."""
    found = []
    for engine in dict.fromkeys(d.record.case.engine for d in derived):
        own = [d for d in derived if d.record.case.engine == engine and d.record.measurement.kernels]
        for phase in (Phase.DECODE, Phase.PREFILL):
            one = representative(own, phase)
            attributed = any(told_apart(d.record.measurement) for d in own if d.record.case.phase is phase)
            if one is not None and not attributed:
                found.append(one)
    return tuple(found)


def kernel_table(derived: Derived) -> str:
    """The kernels, copies and fills that take longest, by the median of the steps."""
    kernels = derived.record.measurement.kernels or ()
    short = short_names({kernel.name for kernel in kernels})
    times = sorted(((median(k.device_s), k) for k in kernels), key=lambda item: -item[0])
    total_s = sum(time_s for time_s, _ in times)
    rows = [
        (escape(short[k.name]), f"{k.launches:,}", text.seconds(time_s), text.percent(time_s / total_s))
        for time_s, k in times[:_ROWS]
    ]
    rest = times[_ROWS:]
    if rest:
        rest_s = sum(time_s for time_s, _ in rest)
        ops = sum(k.launches for _, k in rest)
        rows.append((f"{len(rest)} others", f"{ops:,}", text.seconds(rest_s), text.percent(rest_s / total_s)))
    return table(_HEADERS, rows)


def frame(derived: Sequence[Derived]) -> pd.DataFrame:
    """One line for each kernel of every case, within its operator where kernels were
    told apart, in SI units: for spreadsheets. Empty where no kernel was seen."""
    measured = [(d.record.case.id, d.record.measurement.kernels or ()) for d in derived]
    short = short_names({kernel.name for _, kernels in measured for kernel in kernels})
    rows = [
        {
            "case": case_id,
            "operator": kernel.operator or "",
            "kernel": short[kernel.name],
            "name": kernel.name,
            "device_ops": kernel.launches,
            "device_s": median(kernel.device_s),
        }
        for case_id, kernels in measured
        for kernel in kernels
    ]
    return pd.DataFrame(rows)
