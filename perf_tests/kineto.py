"""What a profiler saw, read from its raw events: steps, operators, kernels and their launches.

Raw Kineto events are read because torch's event tree takes seconds to build for
the thousands of kernels of a step. Nothing here holds an event for longer than
reading takes: events that live until the process ends have been seen to hang it.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perf_tests.module_ranges import RANGE_PREFIX

# The ranges that profiling.py opens: a step up to the end of its last kernel, and
# within it what the host does before it waits for that end.
STEP_RANGE = "roofgate.step"
RUN_RANGE = "roofgate.run"

# Calls of the CUDA runtime and driver stand among the host's events under their own names.
_RUNTIME = re.compile(r"cu(da)?[A-Z]")
_SYNCS = re.compile(r"cu(da)?(Stream|Device|Event|Ctx)Synchronize")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of host time in nanoseconds, from `start_ns` up to `end_ns`."""

    name: str
    start_ns: int
    end_ns: int

    def holds(self, moment_ns: int) -> bool:
        return self.start_ns <= moment_ns < self.end_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEvent:
    """One kernel, copy (Memcpy) or fill (Memset) on the device, in nanoseconds.
    `launched_ns` is when the host launched it (when it began, where that was not
    seen); `operator` the innermost range around the launch."""

    name: str
    kind: str
    launched_ns: int
    start_ns: int
    end_ns: int
    operator: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """`steps` and `runs` in their order; moments of ATen calls and of the host's
    waits for the device, sorted, in nanoseconds."""

    steps: tuple[Span, ...]
    runs: tuple[Span, ...]
    device: tuple[DeviceEvent, ...]
    aten_ns: tuple[int, ...]
    syncs_ns: tuple[int, ...]


def read(events: Iterable) -> Trace:
    """The trace of one profiling session; `events` are torch's raw Kineto events."""
    from torch.autograd import DeviceType

    spans, kernels, aten, syncs = [], [], [], []
    launched_ns: dict[int, int] = {}
    for event in events:
        name, start = event.name(), event.start_ns()
        on_host = event.device_type() == DeviceType.CPU
        # A range is reported twice: on the host, and as a shadow on the device.
        if event.is_user_annotation():
            if on_host:
                spans.append(Span(name=name, start_ns=start, end_ns=start + event.duration_ns()))
        elif not on_host:
            kernels.append((name, start, start + event.duration_ns(), event.correlation_id()))
        elif name.startswith("aten::"):
            aten.append(start)
        elif _RUNTIME.match(name):
            launched_ns[event.correlation_id()] = start
            if _SYNCS.match(name):
                syncs.append(start)
    spans.sort(key=lambda span: (span.start_ns, -span.end_ns))
    operators = _innermost(
        [span for span in spans if span.name.startswith(RANGE_PREFIX)],
        [launched_ns.get(correlation) for *_, correlation in kernels],
    )
    return Trace(
        steps=tuple(span for span in spans if span.name == STEP_RANGE),
        runs=tuple(span for span in spans if span.name == RUN_RANGE),
        device=tuple(
            DeviceEvent(
                name=name,
                kind=_kind(name),
                launched_ns=launched_ns.get(correlation, start),
                start_ns=start,
                end_ns=end,
                operator=operator,
            )
            for (name, start, end, correlation), operator in zip(kernels, operators, strict=True)
        ),
        aten_ns=tuple(sorted(aten)),
        syncs_ns=tuple(sorted(syncs)),
    )


def _kind(name: str) -> str:
    """Kineto tells copies and fills from kernels by their names alone (torch < 2.13)."""
    return next((kind for kind in ("Memcpy", "Memset") if name.startswith(kind)), "kernel")


def _innermost(spans: Sequence[Span], moments_ns: Sequence[int | None]) -> list[str | None]:
    """The operator of the innermost span around each moment; None outside of all.

    `spans` nest, as calls do, and are sorted by start, outer ones first.
    """
    order = sorted((moment, index) for index, moment in enumerate(moments_ns) if moment is not None)
    found: list[str | None] = [None] * len(moments_ns)
    opened: list[Span] = []
    following = 0
    for moment, index in order:
        while following < len(spans) and spans[following].start_ns <= moment:
            opened.append(spans[following])
            following += 1
        # What has ended by now holds no later moment either.
        while opened and opened[-1].end_ns <= moment:
            opened.pop()
        around = next((span for span in reversed(opened) if span.holds(moment)), None)
        found[index] = around.name.removeprefix(RANGE_PREFIX) if around else None
    return found


def within(moments_ns: Sequence[int], span: Span) -> int:
    """How many of the sorted moments a span holds."""
    return bisect_left(moments_ns, span.end_ns) - bisect_left(moments_ns, span.start_ns)


def union_ns(events: Iterable[DeviceEvent]) -> int:
    """The time during which at least one of the events runs."""
    total, reached = 0, 0
    for event in sorted(events, key=lambda e: e.start_ns):
        start = max(event.start_ns, reached)
        total += max(0, event.end_ns - start)
        reached = max(reached, event.end_ns)
    return total
