"""One lane's measuring, case by case: plan, model, warm-up, wall, device time, record."""

import datetime as dt
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from analytic import Case, Ceilings, GpuSpec, Phase, find_precision
from analytic.text import gib
from baselines.record import SCHEMA, Counts, Measurement, Memory, Record, Tokens
from perf_tests import plan
from perf_tests.ceilings import CeilingMeter
from perf_tests.checkpoint import Source, load
from perf_tests.device import CudaDevice, Device
from perf_tests.engine import Step, prepare
from perf_tests.fingerprint import Commit, hard_key, soft_key
from perf_tests.gpu_presence import quantiser_problem
from perf_tests.profiling import Profile, profile_steps, require_teardown

#: Times `rounds` runs of a step, each after its reset; raw samples in seconds.
Timer = Callable[[Step, int], tuple[Sequence[float], Any]]


class MeasuringError(RuntimeError):
    """A case could not be measured; the message says what went wrong, with numbers."""


@dataclass(slots=True)
class Harness:
    """A device, the model that is loaded on it, and what it reached so far."""

    device: Device
    source: Source
    commit: Commit
    ceilings: Ceilings | None = None
    _meter: CeilingMeter | None = None
    _model: Any = None
    _loaded: str | None = None

    @property
    def gpu(self) -> GpuSpec | None:
        return self.device.spec if isinstance(self.device, CudaDevice) else None

    def plan(self, case: Case) -> plan.Plan:
        # bitsandbytes takes seconds to import: only a quantised case asks for it.
        quantised = find_precision(case.precision).quantised
        machine = plan.Machine(
            gpu=self.gpu,
            capacity_bytes=self.device.capacity_bytes(),
            no_quantiser=quantiser_problem() if quantised else None,
        )
        return plan.plan_case(case, self.source.spec, machine)

    def measure_ceilings(self) -> Ceilings:
        """On a GPU once, before the first model takes its memory; on a CPU before
        every case, and the maximum kept."""
        if self.ceilings is None or self.gpu is None:
            self._meter = self._meter or CeilingMeter(self.device)
            found = self._meter.measure()
            self.ceilings = found if self.ceilings is None else self.ceilings.raised(found)
        return self.ceilings

    def measure(self, case: Case, timer: Timer, *, run_id: str, predicted_bytes: int) -> Record:
        """Measures one case. Raises MeasuringError, out of memory included."""
        import torch

        require_teardown()
        started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        measurement, no_memory = None, ""
        try:
            if self.ceilings is None:
                self.measure_ceilings()
            with torch.inference_mode():
                measurement = self._measurement(self._model_for(case), case, timer, predicted_bytes)
        except RuntimeError as error:
            if isinstance(error, MeasuringError) or not _out_of_memory(error):
                raise
            # Raised from here, it would keep its frames, and all the tensors in them.
            no_memory = self._memory_message(case, predicted_bytes, error)
        finally:
            gc.collect()
            self.device.release()
        if measurement is None:
            raise MeasuringError(no_memory)
        return Record(
            schema=SCHEMA,
            run=run_id,
            started=started,
            commit=self.commit.hash,
            dirty=self.commit.dirty,
            case=case,
            gpu=self.device.key,
            model=self.source.spec,
            hard=hard_key(self.device, self.source.spec, checkpoint=self.source.label),
            soft=soft_key(self.device),
            ceilings=self.ceilings,
            measurement=measurement,
        )

    def _model_for(self, case: Case) -> Any:
        """The model of the case's precision; the one before is freed first, so
        that there are never two."""
        if self._loaded != case.precision:
            self.close()
            try:
                self._model = load(self.source, find_precision(case.precision), self.device.torch_device)
            except Exception as error:
                if _out_of_memory(error):
                    raise
                name = f"{self.source.spec.name} ({self.source.label})"
                raise MeasuringError(f"{name} cannot be loaded: {error}") from error
            self._loaded = case.precision
        return self._model

    def close(self) -> None:
        """Frees the loaded model."""
        self._model, self._loaded = None, None
        gc.collect()
        self.device.release()

    def _measurement(self, model: Any, case: Case, timer: Timer, predicted_bytes: int) -> Measurement:
        resident = self.device.resident_bytes()
        self.device.start_peak()
        step = prepare(model, self.source.spec, case, self.device)
        warmup_s = self._warm_up(step, case)
        before = self.device.state()
        timed = plan.rounds(step_s=warmup_s[-1], phase=case.phase)
        wall_s, output = timer(step, timed)
        after = self.device.state()
        peak = self.device.peak_bytes()
        tokens = step.tokens(output)
        _require_tokens(case, tokens)
        firsts = step.first_token_s() if step.first_token_s else None
        profile = self._profile(step, case, step_s=median(wall_s))
        seen = profile if isinstance(profile, Profile) else None
        return Measurement(
            warmup_s=tuple(warmup_s),
            wall_s=tuple(wall_s),
            first_token_s=tuple(firsts[len(warmup_s) :]) if firsts else None,
            device_s=seen.device_s if seen else None,
            device_note=profile if isinstance(profile, str) else None,
            memory=Memory(resident_bytes=resident, peak_bytes=peak, predicted_bytes=predicted_bytes),
            tokens=tokens,
            state_before=before,
            state_after=after,
            counts=Counts(launches=_settled(seen.launches), copies=_settled(seen.copies)) if seen else None,
            operators=None,
        )

    def _warm_up(self, step: Step, case: Case) -> list[float]:
        seconds: list[float] = []
        while not seconds or len(seconds) < plan.warmups(first_s=seconds[0], phase=case.phase):
            step.reset()
            self.device.synchronise()
            start = perf_counter()
            step.run()
            self.device.synchronise()
            seconds.append(perf_counter() - start)
        return seconds

    def _profile(self, step: Step, case: Case, *, step_s: float) -> Profile | str:
        if self.gpu is None:
            return "a CPU has no device clock"
        if case.phase is Phase.GENERATE:
            return "generate() is timed on the wall; its steps are cases of their own"
        return profile_steps(step, self.device, steps=plan.profiled_steps(step_s=step_s))

    def _memory_message(self, case: Case, predicted_bytes: int, error: Exception) -> str:
        peak = self.device.peak_bytes()
        return (
            f"{case.id} ran out of memory: {gib(predicted_bytes)} predicted, "
            f"{gib(peak) if peak is not None else '?'} reached, "
            f"{gib(self.device.capacity_bytes())} could be had: {str(error).splitlines()[0]}"
        )


def _out_of_memory(error: Exception) -> bool:
    """Torch has a class for it on a GPU; a CPU allocation, cuBLAS and bitsandbytes
    say it in a RuntimeError's words."""
    import torch

    words = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def _settled(per_step: Sequence[int]) -> int | None:
    """A count that every step agrees on; None where they differ."""
    return per_step[0] if len(set(per_step)) == 1 else None


def _require_tokens(case: Case, tokens: Tokens) -> None:
    """A step that produced fewer tokens than it claims was not the step it claims to be."""
    wanted = case.output_len or 1
    if tokens.produced != wanted:
        raise MeasuringError(f"{case.id} produced {tokens.produced} tokens per sequence, not {wanted}")
