"""One case on a device that is made up: what is read when, and what it is divided by."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from analytic import Case, load_model
from baselines.record import Conditions, Measurement, Tokens
from perf_tests import measuring, plan
from perf_tests.counting import HostWork
from perf_tests.engines.engine import Engine
from perf_tests.engines.step import Step
from perf_tests.measuring import MeasuringError, Subject, measured
from perf_tests.profiling import Profile
from perf_tests.selftests.records import conditions
from perf_tests.spent import Spent
from perf_tests.warmup import WarmUp

SEEN = conditions()


@dataclass(slots=True)
class World:
    """A device, its watch and an engine's step; `done` says what happened, in order."""

    energies_j: list[float | None] = field(default_factory=lambda: [100.0, 130.0])
    wall_s: Sequence[float] = (0.6, 0.6)
    step_s: float = 0.25
    produced: int = 1
    done: list[str] = field(default_factory=list)
    clock_s: float = 0.0

    def device(self) -> Any:
        watch = SimpleNamespace(sample=lambda: self.done.append("sample"), end=self._end)
        energies = iter(self.energies_j)
        return SimpleNamespace(
            torch_device="cuda:0",
            resident_bytes=lambda: 10,
            peak_bytes=lambda: 30,
            start_peak=lambda: None,
            synchronise=lambda: self.done.append("sync"),
            watch=lambda: watch,
            energy_j=lambda: next(energies),
        )

    def _end(self) -> Conditions:
        self.done.append("end")
        return SEEN

    def prepare(self, *_: Any) -> Step:
        def run() -> None:
            self.done.append("run")
            self.clock_s += self.step_s

        return Step(
            reset=lambda: self.done.append("reset"),
            run=run,
            tokens=lambda _: Tokens(produced=self.produced, digest="d"),
            close=lambda: self.done.append("close"),
        )

    def timer(self, step: Step, rounds: int) -> tuple[Sequence[float], None]:
        for _ in range(rounds):
            step.reset()
            step.run()
        return self.wall_s, None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    profile = Profile(aten_ops=(5, 5), device_s=(0.1,), launches=(7, 8), copies=(0, 0), syncs=(1, 1))
    work = HostWork(python_calls=(9, 9), allocated_bytes=(20, 20))

    def profile_steps(step: Step, *_: Any, at_end: Any, **__: Any) -> Profile:
        step.reset()
        at_end()
        made.done.append("read")
        return profile

    monkeypatch.setattr(measuring, "warm_up", lambda *_, **__: WarmUp(samples_s=(0.6,), stop="settled"))
    monkeypatch.setattr(measuring, "profile_steps", profile_steps)
    monkeypatch.setattr(measuring, "count_host_work", lambda *_: work)
    monkeypatch.setattr(measuring, "perf_counter", lambda: made.clock_s)
    return made


def measure(world: World, *, queued: bool = False, case_id: str = "decode-b1-c8-fp16-eager") -> Measurement:
    engine = Engine(name="eager", prepare=world.prepare, queued=queued)
    subject = Subject(
        case=Case.parse(case_id, model="mistral-7b-v0.2"),
        spec=load_model("mistral-7b-v0.2"),
        model=None,
        engine=engine,
        device=world.device(),
    )
    return measured(subject, world.timer, Spent(), predicted_bytes=25)


def test_energy_is_the_counters_difference_over_the_rounds(world: World) -> None:
    assert measure(world).energy_j == pytest.approx(30.0)


@pytest.mark.parametrize("changed", [{"wall_s": (0.2, 0.2)}, {"energies_j": [None, None]}])
def test_too_short_for_the_counter_there_is_no_energy(world: World, changed: dict[str, Any]) -> None:
    for name, value in changed.items():
        setattr(world, name, value)

    assert measure(world).energy_j is None


def test_a_burst_is_synchronised_at_its_ends_alone_and_nothing_is_read_in_it(world: World) -> None:
    found = measure(world, queued=True)
    steps = plan.burst_steps(step_s=0.6)
    burst = ["sync", *["reset", "run"] * steps, "sync"]
    done = world.done[world.done.index("sample") :]

    assert found.back_to_back_s == pytest.approx((0.25,) * plan.BURSTS)
    whole = [i for i in range(len(done)) if done[i : i + len(burst)] == burst]
    assert len(whole) == plan.BURSTS


def test_an_engine_that_waits_for_the_host_has_no_bursts(world: World) -> None:
    assert measure(world).back_to_back_s is None


def test_conditions_end_with_the_last_step_and_before_the_profile_is_read(world: World) -> None:
    found = measure(world)

    assert found.conditions is SEEN
    assert world.done.index("end") < world.done.index("read")
    assert world.done.count("end") == 1


def test_a_count_on_which_steps_disagree_is_none(world: World) -> None:
    counts = measure(world).counts

    assert counts is not None
    assert (counts.launches, counts.aten_ops, counts.syncs, counts.python_calls) == (None, 5, 1, 9)
    assert counts.allocated_bytes == 20


@pytest.mark.parametrize("produced", [1, 2])
def test_the_step_is_closed_whatever_becomes_of_it(world: World, produced: int) -> None:
    world.produced = produced
    if produced == 1:
        measure(world)
    else:
        with pytest.raises(MeasuringError, match="produced 2 tokens per sequence, not 1"):
            measure(world)

    assert world.done[-1] == "close"


def test_what_an_engine_gives_instead_of_a_step_is_said(world: World) -> None:
    engine = Engine(name="mine", prepare=lambda *_: None)
    subject = Subject(
        case=Case.parse("decode-b1-c8-fp16-mine", model="mistral-7b-v0.2"),
        spec=load_model("mistral-7b-v0.2"),
        model=None,
        engine=engine,
        device=world.device(),
    )

    with pytest.raises(MeasuringError, match=r"the engine mine prepared None.*; a Step is needed"):
        measured(subject, world.timer, Spent(), predicted_bytes=25)


def test_what_an_engine_gives_instead_of_tokens_is_said(world: World) -> None:
    prepared = world.prepare
    world_step = lambda *given: replace(prepared(*given), tokens=lambda _: 7)  # noqa: E731 - a step in one line
    subject = Subject(
        case=Case.parse("decode-b1-c8-fp16-mine", model="mistral-7b-v0.2"),
        spec=load_model("mistral-7b-v0.2"),
        model=None,
        engine=Engine(name="mine", prepare=world_step),
        device=world.device(),
    )

    with pytest.raises(MeasuringError, match=r"the engine mine gave 7.* as its tokens; Tokens are needed"):
        measured(subject, world.timer, Spent(), predicted_bytes=25)
