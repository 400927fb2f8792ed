"""The true size of each slowdown, apart from the gate: python -m perf_tests.proof.true_size

The step of a case is captured in a CUDA graph with and without the slowdown, and
both are replayed back to back, in turn, between CUDA events: no profiler, no host.
A replay has a gap of about a microsecond after each kernel, so that its
milliseconds are compared with the gate's only by their difference. Work that a graph
does in another way than the eager step is timed alone, between events too.

Exit status: 0 every size is known, 1 a step could not be captured, 2 bad input.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from analytic import Case, ModelSpec, SpecError, find_precision, text
from baselines.files import write_text
from perf_tests.cases import default_model
from perf_tests.checkpoint import Source, load, random_source
from perf_tests.device import Device
from perf_tests.engines import eager, graph
from perf_tests.engines.engine import EngineError
from perf_tests.gpu_presence import gpu_problem, quantiser_problem
from perf_tests.proof.sizes import TrueSize, as_csv, table
from perf_tests.proof.work import PYTHON_CALLS, SLOWDOWNS, Slowdown, find_slowdown

CASES = (
    "prefill-b1-p512-fp16-eager",
    "decode-b1-c512-fp16-eager",
    "prefill-b1-p512-nf4-eager",
    "decode-b1-c512-nf4-eager",
)
# Short bursts after a rest: at the power limit, into which replays of a prefill run,
# they vary by more than what is sought.
ROUNDS = 30
REPLAYS = 2
REST_S = 0.06
WARMUPS = 3
# Long enough for the host to queue what is timed alone.
HOLD_S = 0.02

#: Seconds of one step, at the end of a burst of them.
Stopwatch = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A case and the loaded model that runs it."""

    case: Case
    model: Any
    spec: ModelSpec
    device: Device


#: Makes a stopwatch of a subject's step, as the model stands when it is called.
Capture = Callable[[Subject], Stopwatch]

BY_CONSTRUCTION = {
    "sync-per-layer": "{layers} waits of the host; nothing more for the device",
    "python-per-layer": f"{{layers}} × {PYTHON_CALLS} Python calls; nothing for the device",
}


def differences(plain: Stopwatch, slowed: Stopwatch, *, rounds: int) -> tuple[list[float], list[float]]:
    """Per round (plain, slowed less plain). The two take turns at being first, so
    that a clock that drifts drifts for both."""
    base, added = [], []
    for number in range(rounds):
        if number % 2:
            late, early = slowed(), plain()
        else:
            early, late = plain(), slowed()
        base.append(early)
        added.append(late - early)
    return base, added


def size_of(
    slowdown: Slowdown, subject: Subject, plain: Stopwatch, capture: Capture, *, rounds: int
) -> TrueSize:
    """The size of one slowdown; `plain` is the stopwatch of the step without it. The
    model is as before at the end."""
    case, model = subject.case, subject.model
    if not slowdown.on_device:
        how = BY_CONSTRUCTION[slowdown.name].format(layers=len(model.model.layers))
        return _size(slowdown, case, how=f"by construction: {how}", added_s=0.0)
    if alone := ALONE.get(slowdown.name):
        return _timed_alone(slowdown, subject, alone(subject), rounds=rounds)
    try:
        with _applied(slowdown, model):
            slowed = capture(subject)
    except EngineError as error:
        return _size(slowdown, case, how=f"not captured: {str(error).splitlines()[0]}")
    base, added = differences(plain, slowed, rounds=rounds)
    low, middle, high = quantiles(added, n=4)
    how = f"graph replay, {rounds} rounds of {REPLAYS}"
    return _size(slowdown, case, base_s=median(base), added_s=middle, low_s=low, high_s=high, how=how)


def _timed_alone(
    slowdown: Slowdown, subject: Subject, work: Callable[[], object], *, rounds: int
) -> TrueSize:
    """Behind a device that is held, so that the host is ahead of it."""
    seconds = []
    for _ in range(rounds):
        subject.device.hold(HOLD_S)
        seconds.append(subject.device.time_s(work))
    low, middle, high = quantiles(seconds, n=4)
    how = f"the same work alone, queued, {rounds} rounds"
    return _size(slowdown, subject.case, added_s=middle, low_s=low, high_s=high, how=how)


def clones(subject: Subject) -> Callable[[], object]:
    """Copies of the keys and values of one eager step of the case."""
    tensors = []

    def keep(attention: Any, _given: Any, named: Any, _out: Any) -> None:
        cached = named["past_key_values"].layers[attention.layer_idx]
        tensors.extend((cached.keys, cached.values))

    hooks = [
        layer.self_attn.register_forward_hook(keep, with_kwargs=True) for layer in subject.model.model.layers
    ]
    step = eager.prepare(subject.model, subject.spec, subject.case, subject.device)
    tensors.clear()  # what it took to prepare the step
    step.reset()
    step.run()
    for hook in hooks:
        hook.remove()
    return lambda: [tensor.clone() for tensor in tensors]


# Work that a graph does otherwise: its copies are not those of an eager step.
ALONE: dict[str, Callable[[Subject], Callable[[], object]]] = {"kv-copy": clones}


def _size(
    slowdown: Slowdown,
    case: Case,
    *,
    how: str,
    base_s: float | None = None,
    added_s: float | None = None,
    low_s: float | None = None,
    high_s: float | None = None,
) -> TrueSize:
    return TrueSize(
        slowdown=slowdown.name,
        case=case.id,
        base_s=base_s,
        added_s=added_s,
        low_s=low_s,
        high_s=high_s,
        how=how,
    )


@contextmanager
def _applied(slowdown: Slowdown, model: Any) -> Iterator[None]:
    remove = slowdown.apply(model)
    try:
        yield
    finally:
        remove()


def replayed(subject: Subject) -> Stopwatch:
    """A stopwatch of REPLAYS replays between two events. Raises EngineError for a step
    that cannot be captured."""
    import torch

    step = graph.prepare(subject.model, subject.spec, subject.case, subject.device)
    for _ in range(WARMUPS):
        step.run()

    def seconds() -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        subject.device.hold(REST_S)
        step.run()  # the device is at work when the first event comes
        start.record()
        for _ in range(REPLAYS):
            step.run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3 / REPLAYS

    return seconds


def sizes(
    source: Source, cases: Sequence[Case], slowdowns: Sequence[Slowdown], *, rounds: int
) -> Iterator[TrueSize]:
    """Every slowdown in every case, on the GPU; a precision's model is loaded once."""
    import torch

    from perf_tests.device import CudaDevice

    device = CudaDevice()
    for precision in dict.fromkeys(case.precision for case in cases):
        model = load(source, find_precision(precision), device.torch_device)
        with torch.inference_mode():
            for case in (c for c in cases if c.precision == precision):
                subject = Subject(case=case, model=model, spec=source.spec, device=device)
                plain = replayed(subject)
                for slowdown in slowdowns:
                    yield size_of(slowdown, subject, plain, replayed, rounds=rounds)
                del subject, plain
        del model
        device.release()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m perf_tests.proof.true_size", description=__doc__)
    parser.add_argument("--model", default=default_model("gpu"), help="a preset, a config.json or its folder")
    parser.add_argument("--cases", nargs="+", default=CASES, metavar="CASE", help="case ids")
    parser.add_argument(
        "--slowdowns", nargs="+", default=[s.name for s in SLOWDOWNS], metavar="NAME", help="default: all"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, help="the table to write (CSV)")
    options = parser.parse_args(arguments)
    try:
        found = _measure(options)
    except (SpecError, EngineError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{table(found)}")
    return 1 if any(size.added_s is None for size in found) else 0


def _measure(options: argparse.Namespace) -> list[TrueSize]:
    if options.rounds < 2:
        raise SpecError(f"--rounds is {options.rounds}; at least 2 are needed")
    slowdowns = [find_slowdown(name) for name in options.slowdowns]
    source = random_source(options.model)
    cases = [Case.parse(case, model=source.spec.name) for case in options.cases]
    if problem := gpu_problem():
        raise SpecError(f"sizes are timed on a GPU: {problem}")
    quantised = {c.precision for c in cases if find_precision(c.precision).quantised}
    if quantised and (problem := quantiser_problem()):
        raise SpecError(f"cases in {', '.join(sorted(quantised))}: {problem}")
    found = []
    for size in sizes(source, cases, slowdowns, rounds=options.rounds):
        found.append(size)
        print(f"{size.slowdown} {size.case}: {text.seconds(size.added_s)} {size.how}", flush=True)
        if options.out:
            write_text(as_csv(found), options.out)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
