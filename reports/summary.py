"""The summary of a run, in Markdown: what was found, why, and what would help."""

from collections.abc import Iterable, Sequence

from analytic import Ceilings, Phase, text
from baselines.derived import CPU, Derived
from baselines.markdown import code, escape
from baselines.run import RunInfo
from baselines.verdict import Verdict
from reports.advice import (
    Advice,
    BatchStep,
    advise,
    batch_series,
    batch_table,
    gpu_table,
    host_limits,
    recommendations,
)
from reports.counts import counts_table
from reports.findings import bottlenecks, key_findings
from reports.moved import Explained, moved_tables
from reports.operators import operator_tables
from reports.palette import versions
from reports.table import case_table, generate_table, missing_verdicts
from reports.verdicts import verdict_list
from reports.waterfall import waterfalls


def summarise(
    info: RunInfo,
    derived: Sequence[Derived],
    verdicts: Sequence[Verdict],
    *,
    ceilings: Ceilings | None,
    images: Sequence[str],
    moved: Explained | None = None,
) -> str:
    """summary.md of a run with at least one measured case. `images` are the
    names of the figures beside it, `moved` what changed against the baselines."""
    series = batch_series(derived)
    found = (advise(derived, phase, series) for phase in (Phase.DECODE, Phase.PREFILL))
    advices = [advice for advice in found if advice is not None]
    sections = (
        ("", _head(info, derived, ceilings)),
        ("Key findings", key_findings(derived)),
        ("What binds", bottlenecks(derived)),
        ("Results", case_table(derived, verdicts)),
        ("generate()", generate_table(derived)),
        ("Verdicts", verdict_list(verdicts)),
        ("What moved", moved_tables(moved or {})),
        ("Where the time goes", _time(derived, ceilings)),
        ("Counts and conditions", counts_table(derived)),
        ("What would help", _advice(advices, derived)),
        ("Other GPUs", _gpus(advices)),
        ("Batch scaling", _batches(series)),
        ("Not measured", _not_measured(info, derived, verdicts)),
        ("Figures", "\n\n".join(f"![{name}]({name})" for name in images)),
    )
    return "\n\n".join(f"## {title}\n\n{body}" if title else body for title, body in sections if body) + "\n"


def _head(info: RunInfo, derived: Sequence[Derived], ceilings: Ceilings | None) -> str:
    record = derived[0].record
    models = ", ".join(dict.fromkeys(d.record.model.name for d in derived))
    lines = [
        f"# {escape(models)} on {escape(record.hard.device)}",
        "",
        f"- run {code(info.id)}, started {escape(info.started)}",
        f"- commit {code(info.commit)}{', with uncommitted changes' if info.dirty else ''}",
        f"- {escape(versions(derived[0]))}; host CPU {escape(record.soft.host_cpu)}",
        f"- {escape(record.hard.checkpoint)}, attention {escape(record.hard.attention)}",
    ]
    if record.hard.power_limit_w is not None:
        lines.append(f"- power limit {record.hard.power_limit_w:.0f} W")
    if record.gpu != CPU:
        roofs = derived[0].roofs
        lines.append(f"- datasheet ({record.gpu}): {_roofs(roofs.bytes_per_s, roofs.flops_per_s.items())}")
    if ceilings is not None:
        reached = _roofs(ceilings.roofs.bytes_per_s, ceilings.gemm_flops_per_s.items())
        lines.append(f"- measured ceilings: {reached}")
    return "\n".join(lines)


def _roofs(bytes_per_s: float, flops_per_s: Iterable[tuple[str, float]]) -> str:
    peaks = ", ".join(f"{escape(dtype)} {text.scaled(peak, 'FLOP/s')}" for dtype, peak in flops_per_s)
    return f"{text.scaled(bytes_per_s, 'B/s')}; {peaks}"


def _time(derived: Sequence[Derived], ceilings: Ceilings | None) -> str:
    """From bound to wall, case by case; then by operator for one case of each phase."""
    passes = waterfalls(derived)
    return f"{passes}\n\n{operator_tables(derived, ceilings)}" if passes else ""


def _advice(advices: Sequence[Advice], derived: Sequence[Derived]) -> str:
    """The ranked options for one decode and one prefill case, named as chosen; why
    there are none, where passes were measured."""
    if not advices:
        passes = [d.record.case for d in derived if d.record.case.phase is not Phase.GENERATE]
        engines = ", ".join(dict.fromkeys(case.engine for case in passes))
        return (
            f"No advice: the estimates are of eager execution, and this run is of {engines}."
            if passes
            else ""
        )
    limits = (
        "Estimates of eager execution, scaled by what was measured, with the host as it is; in brackets "
        "between what a time is expected to lie (`analytic/whatif` says what that leaves out)."
    )
    parts = [limits]
    for advice in advices:
        chosen = advice.derived
        parts.append(
            f"### {chosen.record.case.phase.value}: {code(chosen.record.case.id)}, "
            f"{text.seconds(chosen.wall_s)}, {chosen.binding}\n\n"
            f"The longest case of the smallest batch, as one user meets it.\n\n{recommendations(advice)}"
        )
    return "\n\n".join(parts)


def _gpus(advices: Sequence[Advice]) -> str:
    if not advices:
        return ""
    cases = " and ".join(code(a.derived.record.case.id) for a in advices)
    intro = f"{cases}, computed for every GPU of the registry. {host_limits(advices)}".rstrip()
    return f"{intro}\n\n{gpu_table(advices)}"


def _batches(series: Sequence[Sequence[BatchStep]]) -> str:
    if not series:
        return ""
    return f"Throughput against the smallest batch: as measured, and as foretold from it.\n\n{batch_table(series)}"


def _not_measured(info: RunInfo, derived: Sequence[Derived], verdicts: Sequence[Verdict]) -> str:
    """Every planned or judged case without a record, and why."""
    measured = {d.record.case.id for d in derived}
    reasons = {v.case: "; ".join(v.reasons) for v in missing_verdicts(derived, verdicts)}
    for planned in info.planned:
        if planned.case.id not in measured:
            reasons.setdefault(planned.case.id, planned.not_run or "no reason was stored")
    return "\n".join(f"- {code(case_id)}: {escape(reason)}" for case_id, reason in reasons.items())
