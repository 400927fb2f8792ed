"""The text of a run's report, in Markdown: what was found, why, and what would help."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analytic import Ceilings, Phase, text
from baselines.commands.show_table import section
from baselines.derived import CPU, Derived
from baselines.markdown import code, escape, printable
from baselines.run import RunInfo
from baselines.verdict import Verdict
from reports.advice import Advice, BatchStep, batch_table, gpu_table, host_limits, recommendations
from reports.conditions import conditions_text
from reports.counts import counts_table
from reports.findings import bottlenecks, key_findings
from reports.headline import headline
from reports.keys import keys_text
from reports.moved import moved_tables
from reports.nights import nights_text
from reports.operators import operator_tables
from reports.palette import versions
from reports.report import Report
from reports.scaling import length_table
from reports.table import case_table, generate_table, missing_verdicts
from reports.verdicts import verdict_list
from reports.waterfall import waterfalls


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report under its title; `body` is Markdown."""

    title: str
    body: str


def summarise(report: Report, *, images: Sequence[str]) -> str:
    """summary.md of a run. `images` are the names of the figures beside it."""
    pictures = Section(title="Figures", body="\n\n".join(f"![{name}]({name})" for name in images))
    said = (*sections(report), pictures)
    top = f"# {escape(title_of(report))}\n\n{_head(report)}"
    return "\n\n".join((top, *(f"## {one.title}\n\n{one.body}" for one in said if one.body))) + "\n"


def title_of(report: Report) -> str:
    models = ", ".join(dict.fromkeys(d.record.model.name for d in report.derived))
    return printable(f"{models} on {report.derived[0].record.hard.device}")


def sections(report: Report) -> tuple[Section, ...]:
    """All that is said of a run, the verdict first; a section without a body where there is
    nothing to say."""
    derived, verdicts, ceilings = report.derived, report.verdicts, report.ceilings
    held = section(report.held) if report.held else ""
    told = (
        ("Verdict", headline(report.tallies, report.standings)),
        ("What moved", moved_tables(report.moved)),
        ("Key findings", key_findings(derived)),
        ("What binds", bottlenecks(derived)),
        ("Results", case_table(derived, verdicts)),
        ("Verdicts", verdict_list(verdicts)),
        ("Not measured", _not_measured(report.info, derived, verdicts)),
        ("Where the time goes", _time(derived, ceilings)),
        ("generate()", generate_table(derived)),
        ("What would help", _advice(report.advices, derived)),
        ("Other GPUs", _gpus(report.advices)),
        ("Batch scaling", _batches(report.batches)),
        ("Length scaling", length_table(report.lengths)),
        ("Nights", nights_text(report.nights)),
        ("Baselines", held or "None of these cases has a baseline that can be read."),
        ("GPU state", conditions_text(derived)),
        ("Counts", counts_table(derived)),
        ("Machine", _machine(report)),
        ("Versions and provenance", keys_text(report.info, derived, policy_digest=report.policy_digest)),
    )
    return tuple(Section(title=title, body=body) for title, body in told)


def _head(report: Report) -> str:
    """Which run it is: what stands under the title."""
    info, record = report.info, report.derived[0].record
    limit_w = record.hard.power_limit_w
    limit = "" if limit_w is None else f", power limit {limit_w:.0f} W"
    lines = (
        f"- run {code(info.id)}, started {escape(info.started)}",
        f"- commit {code(info.commit)}{', with uncommitted changes' if info.dirty else ''}",
        f"- {escape(versions(report.derived[0]))}; host CPU {escape(record.soft.host_cpu)}",
        f"- {escape(record.hard.checkpoint)}, attention {escape(record.hard.attention)}{limit}",
    )
    return "\n".join(lines)


def _machine(report: Report) -> str:
    """What its datasheet says, and what it reached."""
    first, ceilings = report.derived[0], report.ceilings
    lines = []
    if first.record.gpu != CPU:
        roofs = _roofs(first.roofs.bytes_per_s, first.roofs.flops_per_s.items())
        lines.append(f"- datasheet ({first.record.gpu}): {roofs}")
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
