"""The results as tables, in Markdown that also reads in a terminal."""

from collections.abc import Sequence

from analytic import text
from baselines.derived import Derived
from baselines.markdown import code, escape, table
from baselines.verdict import Verdict
from reports.generation import Generation, generations

NOT_JUDGED = "not judged"

_HEADERS = (
    "case",
    "bound",
    "device",
    "wall",
    "bound/device",
    "bound/wall",
    "tokens/s",
    "binds",
    "seen from",
    "status",
)
_GENERATE_HEADERS = (
    "case",
    "prompt",
    "time ± sd",
    "decode tokens/s",
    "first token",
    "per token after",
    "TFLOP/s",
    "prefill TFLOP/s",
    "decode TFLOP/s",
)


def results(derived: Sequence[Derived], verdicts: Sequence[Verdict]) -> str:
    """All that a terminal shows: the cases, generate() apart, what was not measured."""
    parts = (case_table(derived, verdicts), generate_table(derived), missing_list(derived, verdicts))
    return "\n\n".join(part for part in parts if part)


def case_table(derived: Sequence[Derived], verdicts: Sequence[Verdict]) -> str:
    """One row a case: bound and medians, the fraction of the bound that each
    clock shows, tokens/s by the wall, what binds, from which slowdown on the verdict would
    see one (of device time, of the wall), and the verdict."""
    given = {v.case: v for v in verdicts}
    rows = [_row(d, given.get(d.record.case.id)) for d in derived]
    rows += [
        (code(v.case), *("–" for _ in _HEADERS[2:]), v.status.value)
        for v in missing_verdicts(derived, verdicts)
    ]
    return table(_HEADERS, rows, left=(0, 7, 9))


def _row(derived: Derived, verdict: Verdict | None) -> tuple[str, ...]:
    return (
        code(derived.record.case.id),
        text.seconds(derived.bound.lower_s),
        text.seconds(derived.device_s),
        text.seconds(derived.wall_s),
        text.percent(derived.device_fraction),
        text.percent(derived.wall_fraction),
        text.tokens_per_s(derived.tokens_per_s),
        derived.regime,
        _seen(verdict, promised=derived.record.case.promise.wall is not None),
        NOT_JUDGED if verdict is None else verdict.status.value,
    )


def _seen(verdict: Verdict | None, *, promised: bool) -> str:
    """Of device time and of the wall; of a wall that nothing is promised of, and that is
    not judged, in brackets."""
    if verdict is None or (verdict.sees_device is None and verdict.sees_wall is None):
        return "–"
    wall = text.seen_from(verdict.sees_wall)
    return f"{text.seen_from(verdict.sees_device)}, {wall if promised else f'({wall})'}"


def generate_table(derived: Sequence[Derived]) -> str:
    """generate() as users meet it; empty where no such case was measured.

    The decode rate leaves the prefill out; TFLOP/s is of the whole call, then
    of each phase by its own FLOPs and its own time.
    """
    found = generations(derived)
    return table(_GENERATE_HEADERS, [_generate_row(g) for g in found]) if found else ""


def _generate_row(generation: Generation) -> tuple[str, ...]:
    derived = generation.derived
    return (
        code(generation.case.id),
        str(generation.case.length),
        text.spread(derived.wall_s, generation.wall_sd_s),
        text.tokens_per_s(derived.tokens_per_s),
        text.seconds(derived.first_token_s),
        text.seconds(derived.tpot_s),
        *(
            text.tera(rate)
            for rate in (
                generation.flops_per_s,
                generation.prefill_flops_per_s,
                generation.decode_flops_per_s,
            )
        ),
    )


def missing_verdicts(derived: Sequence[Derived], verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts on cases that left no record."""
    measured = {d.record.case.id for d in derived}
    return tuple(v for v in verdicts if v.case not in measured)


def missing_list(derived: Sequence[Derived], verdicts: Sequence[Verdict]) -> str:
    """One line for each case without a record, with its reason; empty without any."""
    return "\n".join(
        f"- {code(v.case)}: {escape('; '.join(v.reasons))}" for v in missing_verdicts(derived, verdicts)
    )
