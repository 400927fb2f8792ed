"""One lane's measuring, case by case: plan, model, measurement, record; and what goes wrong on the way."""

import datetime as dt
import gc
import time
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from analytic import Case, Ceilings, GpuSpec, find_precision
from analytic.text import gib
from baselines.commit import Commit
from baselines.record import SCHEMA, Measurement, Record
from baselines.validity import passing_spoilers
from perf_tests import plan
from perf_tests.causes import first_line
from perf_tests.ceilings import CeilingMeter
from perf_tests.checkpoint import Source, load
from perf_tests.device import CudaDevice, Device
from perf_tests.engines.engine import Engine, EngineError
from perf_tests.engines.registry import find_engine
from perf_tests.fingerprint import hard_key, soft_key
from perf_tests.gpu_presence import quantiser_problem
from perf_tests.measuring import MeasuringError, Subject, Timer, measured
from perf_tests.spent import Spent

# How long a GPU that was too hot, or not alone, is left before the one retry.
RETRY_PAUSE_S = 10.0


class ContextLostError(MeasuringError):
    """The CUDA context died with this case: nothing more can be measured in this process."""


@dataclass(slots=True)
class Harness:
    """A device, the model that is loaded on it, and what it reached so far. `lost`
    says why nothing can be measured any more; empty as long as it can."""

    device: Device
    source: Source
    commit: Commit
    ceilings: Ceilings | None = None
    lost: str = ""
    spent: Spent = field(default_factory=Spent)
    _meter: CeilingMeter | None = None
    _model: Any = None
    _loaded: tuple[object, str] | None = None

    @property
    def gpu(self) -> GpuSpec | None:
        return self.device.spec if isinstance(self.device, CudaDevice) else None

    def plan(self, case: Case) -> plan.Plan:
        engine = find_engine(case.engine)
        # bitsandbytes takes seconds to import: only a quantised case asks for it.
        quantised = find_precision(case.precision).quantised
        machine = plan.Machine(
            gpu=self.gpu,
            capacity_bytes=self.device.capacity_bytes(),
            no_quantiser=quantiser_problem() if quantised else None,
        )
        planned = plan.plan_case(case, self.source.spec, machine)
        return replace(planned, skip=self._lacking(engine, case) or planned.skip)

    def _lacking(self, engine: Engine, case: Case) -> str | None:
        if case.phase not in engine.phases:
            return f"is not for the engine {engine.name}, which runs {' and '.join(engine.phases)}"
        if engine.needs_cuda and self.gpu is None:
            return f"needs a CUDA GPU: the engine {engine.name} runs nowhere else"
        return None

    def measure_ceilings(self) -> Ceilings:
        """On a GPU once, before the first model takes its memory; on a CPU before
        every case, and the maximum kept."""
        if self.ceilings is None or self.gpu is None:
            with self.spent.on("ceilings"):
                self._meter = self._meter or CeilingMeter(self.device)
                found = self._meter.measure()
            self.ceilings = found if self.ceilings is None else self.ceilings.raised(found)
        return self.ceilings

    def measure(self, case: Case, timer: Timer, *, run_id: str, predicted_bytes: int) -> Record:
        """Measures one case, and once more after a pause where the GPU's state spoilt it.

        Raises MeasuringError for whatever goes wrong on the way: out of memory, an
        engine that raises, a wrong number of tokens; ContextLostError where the
        device died of it.
        """
        import torch

        if self.lost:
            raise ContextLostError(self.lost)
        started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        measurement, failure = None, ""
        try:
            if self.ceilings is None:
                self.measure_ceilings()
            with torch.inference_mode():
                measurement = self._calm(case, timer, predicted_bytes)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - what an engine raises fails its case alone
            # Raised from here, it would keep its frames, and all the tensors in them.
            failure = self._message(case, predicted_bytes, error)
            self.lost = self._lost(case, error)
        if self.lost:
            raise ContextLostError(self.lost)
        with self.spent.on("freeing memory"):
            gc.collect()
            self.device.release()
        if measurement is None:
            raise MeasuringError(failure)
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

    def _calm(self, case: Case, timer: Timer, predicted_bytes: int) -> Measurement:
        """A measurement; where the GPU's state spoilt it, and a pause may help, a second one."""
        found = self._measurement(case, timer, predicted_bytes)
        reasons = passing_spoilers(found)
        if not reasons:
            return found
        with self.spent.on("pause before a retry"):
            time.sleep(RETRY_PAUSE_S)
        return replace(self._measurement(case, timer, predicted_bytes), retried=reasons)

    def _measurement(self, case: Case, timer: Timer, predicted_bytes: int) -> Measurement:
        engine = find_engine(case.engine)
        subject = Subject(
            case=case,
            spec=self.source.spec,
            model=self._model_for(case, engine),
            engine=engine,
            device=self.device,
        )
        return measured(subject, timer, self.spent, predicted_bytes=predicted_bytes)

    def _model_for(self, case: Case, engine: Engine) -> Any:
        """The model of the case's precision and loader; the one before is freed
        first, so that there are never two."""
        loader = engine.load or load
        if self._loaded != (loader, case.precision):
            self.close()
            with self.spent.on("loading weights"):
                try:
                    self._model = loader(
                        self.source, find_precision(case.precision), self.device.torch_device
                    )
                except Exception as error:
                    if _out_of_memory(error):
                        raise
                    name = f"{self.source.spec.name} ({self.source.label})"
                    raise MeasuringError(f"{name} cannot be loaded: {error}") from error
            self._loaded = (loader, case.precision)
            # Half a million objects of libraries and model, walked through after every
            # case, take longer than its timed rounds. A case leaves only its own behind.
            gc.freeze()
        return self._model

    def close(self) -> None:
        """Frees the loaded model."""
        self._model, self._loaded = None, None
        with self.spent.on("freeing memory"):
            gc.unfreeze()
            gc.collect()
            if not self.lost:
                self.device.release()

    def _message(self, case: Case, predicted_bytes: int, error: BaseException) -> str:
        if isinstance(error, MeasuringError | EngineError):
            return str(error)
        if _out_of_memory(error):
            return self._memory_message(case, predicted_bytes, error)
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {first_line(error)}"
        return (
            f"{case.id}: the engine {case.engine} raised {said} ({Path(where.filename).name}:{where.lineno})"
        )

    def _lost(self, case: Case, error: BaseException) -> str:
        """Why nothing more can be measured: after a kernel's assert or an illegal
        address every call to the device fails. Empty where the device answers."""
        try:
            self.device.synchronise()
        except RuntimeError:
            return (
                f"the CUDA context was lost in {case.id}, so nothing more can be measured in this run: "
                f"{first_line(error)}"
            )
        return ""

    def _memory_message(self, case: Case, predicted_bytes: int, error: BaseException) -> str:
        peak = self.device.peak_bytes()
        return (
            f"{case.id} ran out of memory: {gib(predicted_bytes)} predicted, "
            f"{gib(peak) if peak is not None else '?'} reached, "
            f"{gib(self.device.capacity_bytes())} could be had: {first_line(error)}"
        )


def _out_of_memory(error: BaseException) -> bool:
    """Torch has a class for it on a GPU; a CPU allocation, cuBLAS and bitsandbytes
    say it in a RuntimeError's words."""
    import torch

    words = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )
