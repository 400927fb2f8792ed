"""One case on one loaded model: warm-up, wall, device time, counts, in this order.

The wall comes first, because whatever else looks at a step disturbs what comes
after it; counting comes last and costs the timed rounds nothing.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any

from analytic import Case, ModelSpec, Phase
from analytic.small_file import shown
from baselines.record import Conditions, Counts, Measurement, Memory, Tokens
from perf_tests import counting, plan
from perf_tests.counting import HostWork, count_host_work
from perf_tests.device import Device
from perf_tests.engines.engine import Engine
from perf_tests.engines.step import Step
from perf_tests.module_ranges import module_ranges
from perf_tests.profiling import Profile, profile_steps, torn_down
from perf_tests.spent import Spent
from perf_tests.warmup import WarmUp, warm_up
from perf_tests.watch import Watch

#: Times `rounds` runs of a step, each after its reset; raw samples in seconds.
Timer = Callable[[Step, int], tuple[Sequence[float], Any]]

# NVML counts energy anew about ten times a second: over less than this the end of
# the first and the begin of the last tenth would weigh too much.
LEAST_ENERGY_S = 1.0

GENERATE_NOTE = "generate() is timed on the wall; its steps are cases of their own"


class MeasuringError(RuntimeError):
    """A case could not be measured; the message says what went wrong, with numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is measured: a case by an engine on a model, and the device it runs on."""

    case: Case
    spec: ModelSpec
    model: Any
    engine: Engine
    device: Device


def measured(subject: Subject, timer: Timer, spent: Spent, *, predicted_bytes: int) -> Measurement:
    """Raises MeasuringError for a step that makes other tokens than it claims, and
    whatever the engine raises."""
    device = subject.device
    resident = device.resident_bytes()
    device.start_peak()
    with spent.on("preparing the engine"):
        start = perf_counter()
        step = subject.engine.prepare(subject.model, subject.spec, subject.case, device)
        device.synchronise()
        prepare_s = perf_counter() - start
    if not isinstance(step, Step):
        name = subject.engine.name
        raise MeasuringError(f"{subject.case.id}: the engine {name} prepared {shown(step)}; a Step is needed")
    ready = _Ready(step=step, prepare_s=prepare_s, resident_bytes=resident, predicted_bytes=predicted_bytes)
    try:
        return _stepped(subject, ready, timer, spent)
    finally:
        step.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A step that can run, and what came before it."""

    step: Step
    prepare_s: float
    resident_bytes: int | None
    predicted_bytes: int


def _stepped(subject: Subject, ready: _Ready, timer: Timer, spent: Spent) -> Measurement:
    case, device, step = subject.case, subject.device, ready.step
    with spent.on("warm-up"):
        warm = warm_up(step, device, phase=case.phase)
    watch = device.watch()
    watched = _watched(step, watch)
    with spent.on("wall"):
        energy_before = device.energy_j()
        wall_s, output = timer(watched, plan.rounds(step_s=warm.samples_s[-1], phase=case.phase))
        energy_after = device.energy_j()
    energy_j = None
    if energy_before is not None and energy_after is not None and sum(wall_s) >= LEAST_ENERGY_S:
        energy_j = energy_after - energy_before
    peak = device.peak_bytes()
    tokens = step.tokens(output)
    _require_tokens(case, tokens)
    first_token_s = _first_tokens(step, warm)
    step_s = median(wall_s)
    with spent.on("back to back"):
        burst_s = _back_to_back(subject, step, step_s)
    with spent.on("profile"):
        conditions: list[Conditions] = []
        profile = _profiled(
            subject, watched, step_s, at_end=lambda: conditions.append(watch.end()) if watch else None
        )
    with spent.on("counts"):
        work = None if profile is None else count_host_work(step, device)
    return Measurement(
        prepare_s=ready.prepare_s,
        warmup_s=warm.samples_s,
        warmup_stop=warm.stop,
        wall_s=tuple(wall_s),
        back_to_back_s=burst_s,
        first_token_s=first_token_s,
        device_s=profile.device_s if profile else None,
        device_note=profile.note if profile else GENERATE_NOTE,
        hold_s=profile.hold_s if profile and profile.device_s else None,
        held_clock_mhz=profile.held_clock_mhz if profile and profile.device_s else None,
        memory=Memory(
            resident_bytes=ready.resident_bytes, peak_bytes=peak, predicted_bytes=ready.predicted_bytes
        ),
        tokens=tokens,
        conditions=conditions[0] if conditions else None,
        energy_j=energy_j,
        counts=_counts(profile, work) if profile and work else None,
        kernels=profile.kernels if profile else None,
        teardown=torn_down(),
        retried=(),
    )


def _watched(step: Step, watch: Watch | None) -> Step:
    """The step, with the GPU's state read before it every now and then."""
    if watch is None:
        return step

    def reset() -> None:
        watch.sample()
        step.reset()

    return replace(step, reset=reset)


def _first_tokens(step: Step, warm: WarmUp) -> tuple[float, ...] | None:
    """Those of the timed rounds alone."""
    return tuple(step.first_token_s()[len(warm.samples_s) :]) if step.first_token_s else None


def _back_to_back(subject: Subject, step: Step, step_s: float) -> tuple[float, ...] | None:
    """Steps that follow each other without a wait, where the host runs ahead of the device."""
    if not subject.engine.queued:
        return None
    steps = plan.burst_steps(step_s=step_s)
    seconds = []
    for _ in range(plan.BURSTS):
        subject.device.synchronise()
        start = perf_counter()
        for _ in range(steps):
            step.reset()
            step.run()
        subject.device.synchronise()
        seconds.append((perf_counter() - start) / steps)
    return tuple(seconds)


def _profiled(subject: Subject, step: Step, step_s: float, *, at_end: Callable[[], None]) -> Profile | None:
    """None for generate(), whose steps are cases of their own."""
    if subject.case.phase is Phase.GENERATE:
        at_end()
        return None
    if subject.device.torch_device == "cpu":  # it has no device clock: two steps are enough to count
        return profile_steps(step, subject.device, steps=counting.STEPS, at_end=at_end)
    ranges: AbstractContextManager[object] | None = None
    if subject.engine.attributed:
        ranges = module_ranges(subject.model, subject.spec)
    return profile_steps(
        step,
        subject.device,
        steps=plan.profiled_steps(step_s=step_s),
        lead_in=plan.lead_in_steps(step_s=step_s),
        hold_s=plan.hold_s,
        ranges=ranges,
        at_end=at_end,
    )


def _counts(profile: Profile, work: HostWork) -> Counts:
    return Counts(
        launches=_settled(profile.launches),
        aten_ops=_settled(profile.aten_ops),
        python_calls=_settled(work.python_calls),
        syncs=_settled(profile.syncs),
        copies=_settled(profile.copies),
        allocated_bytes=_settled(work.allocated_bytes),
    )


def _settled(per_step: Sequence[int] | None) -> int | None:
    """A count that every step agrees on; None where they differ."""
    return per_step[0] if per_step and len(set(per_step)) == 1 else None


def _require_tokens(case: Case, tokens: Tokens) -> None:
    """A step that produced fewer tokens than it claims was not the step it claims to be."""
    wanted = case.output_len or 1
    if not isinstance(tokens, Tokens):
        raise MeasuringError(
            f"{case.id}: the engine {case.engine} gave {shown(tokens)} as its tokens; Tokens are needed"
        )
    if tokens.produced != wanted:
        raise MeasuringError(f"{case.id} produced {tokens.produced} tokens per sequence, not {wanted}")
