"""Which conditions spoil a measurement, in which words, and which are normal."""

from dataclasses import replace

import pytest

from baselines.record import Conditions, GpuState, Measurement
from baselines.validity import passing_spoilers, power_capped_share, spoilers
from perf_tests.selftests.records import DECODE, conditions, gpu_state, record

GIB = 2**30
COUNTED = ("sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake")


def under(seen: Conditions | None, *, teardown: bool = True) -> Measurement:
    return record(DECODE, seen=seen, teardown=teardown).measurement


def memory_clock(mhz: int | None, *reasons: str) -> GpuState:
    return replace(gpu_state(*reasons), memory_clock_mhz=mhz)


@pytest.mark.parametrize(
    "seen",
    [
        None,
        conditions(),
        conditions(slowed_s={"sw_power_cap": 1.0, **dict.fromkeys(COUNTED, 0.0)}),
        conditions(before=gpu_state("sw_power_cap"), after=gpu_state("gpu_idle", "sync_boost")),
        replace(
            conditions(after=replace(gpu_state(), memory_clock_mhz=None, event_reasons=None)),
            slowed_s=None,
            foreign=None,
            memory_at_start_bytes=None,
            memory_clock_max_mhz=None,
        ),
        conditions(memory_at_start_bytes=GIB),
    ],
    ids=["no NVML", "calm", "power cap counted", "power cap seen", "a driver that says nothing", "1 GiB"],
)
def test_what_spoils_nothing(seen: Conditions | None) -> None:
    assert spoilers(under(seen)) == ()


@pytest.mark.parametrize("name", COUNTED)
def test_a_slowdown_that_no_reading_saw_is_counted(name: str) -> None:
    found = spoilers(under(conditions(slowed_s={name: 0.25, "sw_power_cap": 0.5})))

    assert found == (f"the GPU was slowed by {name} for 250.0 ms of 1.000 s",)


@pytest.mark.parametrize("name", ["hw_slowdown", *COUNTED])
@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_slowdown_in_any_reading(name: str, when: str) -> None:
    slowed = gpu_state("sw_power_cap", name)
    seen = replace(conditions(during=[gpu_state()]), **{when: (slowed,) if when == "during" else slowed})

    assert spoilers(under(seen)) == (f"the GPU was slowed by {name} in 1 of 3 readings",)


def test_what_was_counted_is_not_said_twice() -> None:
    hot = gpu_state("hw_thermal_slowdown")
    seen = conditions(before=hot, after=hot, slowed_s={"hw_thermal_slowdown": 1.0})

    assert spoilers(under(seen)) == ("the GPU was slowed by hw_thermal_slowdown for 1.000 s of 1.000 s",)


def test_other_programs_are_named() -> None:
    found = spoilers(under(conditions(foreign=["process 7", "process 4242 (3.10 GiB)"])))

    assert found == ("others used the GPU: process 7, process 4242 (3.10 GiB)",)


def test_memory_that_nobody_holds_is_another_containers() -> None:
    used = conditions(memory_at_start_bytes=3 * GIB)

    assert spoilers(under(used)) == (
        "3.00 GiB of the GPU were in use before this run, by a process that is not shown; 1.00 GiB are allowed",
    )
    named = replace(used, foreign=("process 4242 (3.00 GiB)",))
    assert spoilers(under(named)) == ("others used the GPU: process 4242 (3.00 GiB)",)


@pytest.mark.parametrize("when", ["during", "after"])
def test_a_memory_clock_off_its_maximum(when: str) -> None:
    low = memory_clock(2400)
    seen = conditions(during=[low]) if when == "during" else conditions(after=low)

    assert spoilers(under(seen)) == (
        "the memory clock was at 2400 MHz, 8.4 % below its 2619 MHz; 5 % are allowed",
    )


@pytest.mark.parametrize(
    "seen",
    [
        conditions(before=memory_clock(405)),
        conditions(after=memory_clock(405, "gpu_idle")),
        conditions(during=[memory_clock(2489)]),
    ],
    ids=["idle before", "idle again", "4.96 % below"],
)
def test_an_idle_gpu_and_a_small_difference_are_normal(seen: Conditions) -> None:
    assert spoilers(under(seen)) == ()


@pytest.mark.parametrize("seen", [None, conditions()])
def test_a_profiler_that_was_not_torn_down(seen: Conditions | None) -> None:
    (said,) = spoilers(under(seen, teardown=False))

    assert said.startswith("a profiler was used in this process without being torn down")
    assert "TEARDOWN_CUPTI=1" in said


def test_only_what_a_pause_may_end_is_worth_another_attempt() -> None:
    lasting = under(conditions(memory_at_start_bytes=3 * GIB), teardown=False)
    both = under(conditions(foreign=["process 7"]), teardown=False)

    assert (len(spoilers(lasting)), passing_spoilers(lasting)) == (2, ())
    assert (len(spoilers(both)), passing_spoilers(both)) == (2, ("others used the GPU: process 7",))


def test_the_power_cap_is_a_share() -> None:
    assert power_capped_share(conditions(slowed_s={"sw_power_cap": 0.25})) == 0.25
    # The counter is read a moment after the clock.
    assert power_capped_share(conditions(slowed_s={"sw_power_cap": 1.002})) == 1.0
    assert power_capped_share(conditions(slowed_s={"hw_power_brake": 0.0})) is None
    assert power_capped_share(replace(conditions(), slowed_s=None)) is None
    # Records from before counters were read.
    assert power_capped_share(replace(conditions(slowed_s={"sw_power_cap": 0.0}), observed_s=0.0)) is None
