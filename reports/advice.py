"""What would help: the model's predictions for one case of each phase, ranked,
and held against what the run itself measured of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analytic import Case, Phase, find_gpu, text
from analytic.whatif import (
    NO_GAIN,
    Observation,
    Option,
    Outlook,
    Present,
    batch_option,
    options,
    other_gpus,
    present,
)
from baselines.derived import CPU, Derived
from baselines.markdown import code, escape, table

# The engine that the estimates are of.
EAGER = "eager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The options for one case, best first. `measured` maps a changed case's id
    to the throughput ratio that this run saw where it holds that case too;
    `idle_batch` says where a larger batch of a like case gained nothing, empty
    where none did; `quickest_s` is the shortest wall of any eager pass of the phase."""

    derived: Derived
    now: Present
    options: tuple[Option, ...]
    gpus: tuple[Outlook, ...]
    measured: dict[str, float]
    idle_batch: str
    quickest_s: float

    def measured_gain(self, option: Option) -> float | None:
        return None if option.case is None else self.measured.get(option.case.id)

    def refuted(self, option: Option) -> str:
        """Why this run speaks against a predicted gain; empty where it does not."""
        gain = self.measured_gain(option)
        if gain is not None:
            return f"this run measured {text.ratio(gain)}" if gain <= NO_GAIN else ""
        case = option.case
        return self.idle_batch if case is not None and case.batch > self.now.case.batch else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStep:
    """One batch of a scaling series; throughput ratios to the series' smallest. Nothing
    is predicted of an engine that is not eager."""

    derived: Derived
    measured: float
    predicted: float | None


def present_of(derived: Derived) -> Present:
    record = derived.record
    return present(
        record.model,
        record.case,
        gpu=None if record.gpu == CPU else find_gpu(record.gpu),
        roofs=derived.roofs,
        ceilings=record.ceilings,
        observation=Observation(
            wall_s=derived.wall_s, device_s=derived.device_s, launch_bound=derived.regime == "launch"
        ),
    )


def representative(derived: Sequence[Derived], phase: Phase) -> Derived | None:
    """The case that stands for a phase: an eager one where there is any, of the smallest
    batch, the longest, since that is what one user waits for; of several precisions
    the one planned first."""
    cases = [d for d in derived if d.record.case.phase is phase]
    return min(
        cases,
        key=lambda d: (d.record.case.engine != EAGER, d.record.case.batch, -d.record.case.length),
        default=None,
    )


def advise(derived: Sequence[Derived], phase: Phase, series: Sequence[Sequence[BatchStep]]) -> Advice | None:
    """Advice on the representative case of a phase; None where no eager one was
    measured, since the estimates know no other engine's launches and kernels.
    `series` are the run's, by batch_series."""
    eager = [d for d in derived if d.record.case.engine == EAGER]
    chosen = representative(eager, phase)
    if chosen is None:
        return None
    now = present_of(chosen)
    rates = {d.record.case.id: d.tokens_per_s for d in derived if d.record.model == chosen.record.model}
    return Advice(
        derived=chosen,
        now=now,
        options=options(now),
        gpus=other_gpus(now),
        measured={case_id: rate / chosen.tokens_per_s for case_id, rate in rates.items()},
        idle_batch=_idle_batch(series, chosen),
        quickest_s=min(d.wall_s for d in eager if d.record.case.phase is phase),
    )


def _idle_batch(series: Sequence[Sequence[BatchStep]], chosen: Derived) -> str:
    """Where this run saw a larger batch gain nothing, in words: in the series of the
    chosen case, or without one at another length."""
    own = chosen.record.case
    alike = [steps for steps in series if _alike(steps[0].derived.record.case, own)]
    alike = [steps for steps in alike if steps[0].derived.record.case.length == own.length] or alike
    idle = [step for steps in alike for step in steps[1:] if step.measured <= NO_GAIN]
    if not idle:
        return ""
    least = min(idle, key=lambda step: step.measured)
    case = least.derived.record.case
    return f"this run measured {text.ratio(least.measured)} at batch {case.batch} ({case.id})"


def _alike(one: Case, other: Case) -> bool:
    return replace(one, batch=other.batch, length=other.length, why="") == replace(other, why="")


def batch_series(derived: Sequence[Derived]) -> tuple[tuple[BatchStep, ...], ...]:
    """Cases alike but for the batch, smallest first, where there are several batches."""
    alike: dict[tuple[object, ...], list[Derived]] = {}
    for d in derived:
        case = d.record.case
        key = (case.model, case.phase, case.length, case.output_len, case.precision, case.engine)
        alike.setdefault(key, []).append(d)
    series = (sorted(group, key=lambda d: d.record.case.batch) for group in alike.values() if len(group) > 1)
    return tuple(_steps(group) for group in series)


def _steps(group: Sequence[Derived]) -> tuple[BatchStep, ...]:
    first = group[0]
    now = present_of(first)

    def predicted(d: Derived) -> float | None:
        if d is first:
            return 1.0
        return batch_option(now, d.record.case.batch).gain if now.case.engine == EAGER else None

    return tuple(
        BatchStep(derived=d, measured=d.tokens_per_s / first.tokens_per_s, predicted=predicted(d))
        for d in group
    )


def recommendations(advice: Advice) -> str:
    """A numbered list of what gains; then what this run has refuted, what gains
    nothing, and what cannot be done."""
    gaining = [o for o in advice.options if o.gains and not advice.refuted(o)]
    refuted = [o for o in advice.options if o.gains and advice.refuted(o)]
    groups = (
        ("Predicted, but refuted by this run:", refuted),
        ("No gain:", [o for o in advice.options if o.gain is not None and not o.gains]),
        ("Not possible here, or not known:", [o for o in advice.options if o.gain is None]),
    )
    lines = [
        f"{i}. **{escape(o.name)}: {text.ratio(o.gain)}** the throughput by the {o.basis}, {_pass(o)}"
        f"{_seen(advice, o)}. {_sentence(o.reason)}"
        for i, o in enumerate(gaining, start=1)
    ]
    if not gaining:
        lines.append("Nothing that the model can foretell gains.")
    for title, members in groups:
        if members:
            lines += ["", title, "", *(_item(advice, o) for o in members)]
    return "\n".join(lines)


def _item(advice: Advice, option: Option) -> str:
    predicted = "" if option.gain is None else f" {text.ratio(option.gain)} predicted{_seen(advice, option)}."
    return f"- {escape(option.name)}:{predicted} {_sentence(option.reason)}"


def _pass(option: Option) -> str:
    """What a pass then takes: by estimate, and at the least."""
    least = f"bound {text.seconds(option.lower_s)}"
    if option.wall is None:
        return least
    wall = option.wall
    takes = f"a pass in {text.interval(wall.low_s, wall.typical_s, wall.high_s)}, {least}"
    slower = option.pace is not None and option.pace < 1 / NO_GAIN
    return f"{takes}, each sequence at {text.ratio(option.pace)} its pace" if slower else takes


def _seen(advice: Advice, option: Option) -> str:
    gain = advice.measured_gain(option)
    said = "" if gain is None else f"this run measured {text.ratio(gain)}"
    said = said or (advice.refuted(option) if option.gains else "")
    return f"; {said}" if said else ""


def _sentence(reason: str) -> str:
    return f"{escape(reason[:1].upper() + reason[1:])}."


def host_limits(advices: Sequence[Advice]) -> str:
    """How far the predicted walls can be trusted: a host whose launching hid
    under the kernels was never seen to launch faster than the quickest pass."""
    said = [
        f"below {text.seconds(a.quickest_s)} for {a.derived.record.case.phase.value}"
        for a in advices
        if a.derived.record.gpu != CPU and a.derived.regime != "launch"
    ]
    if not said:
        return ""
    return (
        f"Walls {' and '.join(said)} suppose a host that launches faster than this run has shown: "
        "that is its quickest pass."
    )


def gpu_table(advices: Sequence[Advice]) -> str:
    """The advised cases on every GPU of the registry, side by side."""
    headers = ["GPU"]
    for advice in advices:
        phase = advice.derived.record.case.phase.value
        headers += [f"{phase} bound", f"{phase} wall", "speed-up", "note"]
    rows = [
        [outlooks[0].gpu, *(cell for outlook in outlooks for cell in _gpu_cells(outlook))]
        for outlooks in zip(*(advice.gpus for advice in advices), strict=True)
    ]
    notes = [4 * (i + 1) for i in range(len(advices))]
    return table(headers, rows, left=(0, *notes))


def _interval(outlook: Outlook) -> str:
    wall = outlook.wall
    if wall is None:
        return text.seconds(None)
    return text.interval(wall.low_s, wall.typical_s, wall.high_s)


def _gpu_cells(outlook: Outlook) -> tuple[str, ...]:
    return (
        text.seconds(outlook.lower_s),
        _interval(outlook),
        text.ratio(outlook.speedup),
        escape(outlook.note),
    )


def batch_table(series: Sequence[Sequence[BatchStep]]) -> str:
    """Measured throughput by batch beside what the smallest batch foretold."""
    rows = [
        (
            code(step.derived.record.case.id),
            str(step.derived.record.case.batch),
            text.seconds(step.derived.wall_s),
            text.tokens_per_s(step.derived.tokens_per_s),
            text.ratio(step.measured),
            text.ratio(step.predicted),
        )
        for steps in series
        for step in steps
    ]
    return table(("case", "batch", "wall", "tokens/s", "measured", "predicted"), rows)
