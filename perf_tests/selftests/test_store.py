"""Where baselines lie, and what is never done to them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from baselines.card_clock import streamed_s
from baselines.codec import FormatError
from baselines.record import Counts, KernelTime, Record
from baselines.store import Baseline, Store, baseline_of, differing, digest, session_of
from perf_tests.selftests.records import DECODE, conditions, hard_key, kernel, record, soft_key

WHEN = "2026-11-22T12:00:00+00:00"


def sessions(*device_s: float, case: str = DECODE) -> list[Record]:
    return [record(case, device_s=s, run=f"run-{i}") for i, s in enumerate(device_s)]


def write(store: Store, records: list[Record]) -> Path:
    return store.write(records, written=WHEN, command="a test")


@pytest.mark.parametrize(
    ("one", "place"),
    [
        (record(DECODE), "h100-sxm/mistral-7b-v0.1/decode-b1-c512-fp16-eager.json"),
        (
            record("prefill-b8-p2048-nf4-dq-eager", gpu="t4", model="mistral-7b-v0.2"),
            "t4/mistral-7b-v0.2/prefill-b8-p2048-nf4-dq-eager.json",
        ),
        (
            record("generate-b1-p128-n32-fp32-eager", gpu="cpu", model="mistral-cpu-140m"),
            "cpu/mistral-cpu-140m/generate-b1-p128-n32-fp32-eager.json",
        ),
    ],
)
def test_one_file_per_gpu_model_and_case(one: Record, place: str, tmp_path: Path) -> None:
    assert Store(tmp_path).path(one) == tmp_path / place
    assert write(Store(tmp_path), [one]) == tmp_path / place
    files = [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()]
    assert sorted(files) == [".lock", place]


def test_a_session_is_stored_at_the_cards_own_clock(tmp_path: Path) -> None:
    """Times and kernels: 4.265 ms stream, the rest takes 1 % more without 1 % of clock."""
    kernel = KernelTime(operator="q_proj", name="gemv", launches=32, device_s=(0.002, 0.004, 0.004))
    above = record(
        DECODE, device_s=0.008, held_clock_mhz=(1980, 1999.8, 1999.8), seen=conditions(), kernels=(kernel,)
    )
    write(Store(tmp_path), [above, *sessions(0.008)])
    loaded = Store(tmp_path).load(above)
    slower = 0.008 + 0.01 * (0.008 - streamed_s(above))

    assert loaded is not None
    assert [s.device_s for s in loaded.sessions] == [
        (0.008, pytest.approx(slower), pytest.approx(slower)),
        (0.008,) * 3,
    ]
    one = write(Store(tmp_path / "one"), [above])
    stored = json.loads(one.read_text(encoding="utf-8"))
    assert stored["kernels"][0]["device_s"] == [pytest.approx(0.004 * slower / 0.008)]


def test_what_is_written_is_loaded(tmp_path: Path) -> None:
    first, second = sessions(0.008, 0.009)
    second = replace(second, soft=replace(soft_key(), driver="595.10"), commit="fffffff")
    write(Store(tmp_path), [first, second])
    loaded = Store(tmp_path).load(record(DECODE, device_s=0.5))

    assert loaded == Baseline(
        case=DECODE,
        model="mistral-7b-v0.1",
        gpu="h100-sxm",
        written=WHEN,
        command="a test",
        hard=hard_key(),
        sessions=(session_of(first), session_of(second)),
        kernels=None,
    )
    assert loaded.device_medians_s == (0.008, 0.009)
    assert loaded.wall_medians_s == (0.040, 0.040)
    assert loaded.sessions[1].soft.driver == "595.10"
    assert loaded.sessions[1].run == "run-1"


def test_a_session_s_time_is_its_median(tmp_path: Path) -> None:
    write(Store(tmp_path), [record(DECODE, wall_s=[0.9, 0.1, 0.2], device_s=[0.05, 0.07])])
    loaded = Store(tmp_path).load(record(DECODE))

    assert loaded is not None
    assert loaded.wall_medians_s == (0.2,)
    assert loaded.device_medians_s == (pytest.approx(0.06),)


def test_sessions_without_device_time_have_no_median_of_it(tmp_path: Path) -> None:
    write(Store(tmp_path), [record(DECODE, wall_s=0.04)])
    loaded = Store(tmp_path).load(record(DECODE))

    assert loaded is not None
    assert loaded.device_medians_s == ()
    assert loaded.wall_medians_s == (0.04,)


def test_counts_and_ceilings_are_kept_with_each_session(tmp_path: Path) -> None:
    first, second = sessions(0.008, 0.009)
    second = replace(second, measurement=replace(second.measurement, counts=Counts(launches=1494)))
    write(Store(tmp_path), [first, replace(second, ceilings=None)])
    loaded = Store(tmp_path).load(first)

    assert loaded is not None
    assert [s.counts for s in loaded.sessions] == [None, Counts(launches=1494)]
    assert [s.ceilings for s in loaded.sessions] == [first.ceilings, None]


class TestKernels:
    def test_a_kernel_has_one_median_per_session(self) -> None:
        """0 where a session did not run it; launches are those of most sessions."""
        runs = [
            record(DECODE, kernels=(kernel("a", 1.0, 3.0, 2.0), kernel("b", 0.5, 0.5, 0.5, launches=1))),
            record(DECODE, kernels=(kernel("a", 5.0, 5.0, 4.0, launches=33),)),
            record(DECODE, kernels=(kernel("a", 7.0, 7.0, 7.0), kernel("c", 1.0, 1.0, 1.0))),
        ]
        baseline = baseline_of(runs, written=WHEN, command="a test")

        assert baseline.kernels == (
            kernel("a", 2.0, 5.0, 7.0),
            kernel("b", 0.5, 0.0, 0.0, launches=0),
            kernel("c", 0.0, 0.0, 1.0, launches=0),
        )

    def test_one_name_in_two_operators_is_two_kernels(self) -> None:
        shared = (kernel("gemv", 1.0), replace(kernel("gemv", 2.0), operator="k_proj"))
        baseline = baseline_of([record(DECODE, kernels=shared)], written=WHEN, command="a test")

        assert baseline.kernels == shared

    def test_a_session_without_kernels_leaves_none(self) -> None:
        runs = [record(DECODE, kernels=(kernel("a", 1.0),)), record(DECODE)]

        assert baseline_of(runs, written=WHEN, command="a test").kernels is None


def test_keys_are_sorted_so_that_a_diff_shows_the_change(tmp_path: Path) -> None:
    text = write(Store(tmp_path), sessions(0.008)).read_text(encoding="utf-8")

    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"


def test_a_new_baseline_replaces_the_old_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, sessions(0.008, 0.009, 0.010))
    write(store, sessions(0.007))
    loaded = store.load(record(DECODE))

    assert loaded is not None
    assert loaded.device_medians_s == (0.007,)


def test_nothing_is_made_before_something_is_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")

    assert store.load(record(DECODE)) is None
    assert digest(store.path(record(DECODE))) is None
    assert list(tmp_path.iterdir()) == []


class TestDamaged:
    @pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 99}', '{"schema": 1}'])
    def test_it_is_refused_by_name_and_never_overwritten(self, text: str, tmp_path: Path) -> None:
        store = Store(tmp_path)
        path = write(store, sessions(0.008))
        path.write_text(text, encoding="utf-8")

        with pytest.raises(FormatError, match=r"decode-b1-c512-fp16-eager\.json: "):
            store.load(record(DECODE))
        with pytest.raises(FormatError, match=r"decode-b1-c512-fp16-eager\.json: "):
            write(store, sessions(0.009))
        assert path.read_text(encoding="utf-8") == text
        assert list(path.parent.iterdir()) == [path]

    def test_a_file_that_holds_another_case(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        other = record("decode-b8-c512-fp16-eager", device_s=0.008)
        path = store.path(record(DECODE))
        write(store, [other]).rename(path)
        before = path.read_bytes()

        with pytest.raises(
            FormatError, match=r"holds decode-b8-c512-fp16-eager of .*, not decode-b1-c512-fp16-eager of"
        ):
            store.load(record(DECODE))
        with pytest.raises(FormatError, match=r"holds decode-b8-c512-fp16-eager"):
            write(store, sessions(0.009))
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (record(DECODE), record(DECODE, gpu="t4")),
            (record(DECODE), record(DECODE, model="mistral-7b-v0.2")),
        ],
    )
    def test_a_file_moved_to_another_gpu_or_model(self, one: Record, other: Record, tmp_path: Path) -> None:
        store = Store(tmp_path)
        path = store.path(other)
        path.parent.mkdir(parents=True)
        write(store, [one]).rename(path)

        with pytest.raises(FormatError, match=r"of mistral-7b-v0\.1 of h100-sxm, not "):
            store.load(other)


class TestSessions:
    def test_of_different_hard_keys_are_refused(self, tmp_path: Path) -> None:
        first, second = sessions(0.008, 0.009)
        capped = replace(second, hard=replace(hard_key(), power_limit_w=400.0))

        with pytest.raises(
            FormatError,
            match=r"run-1 has another hard key than run-0: power_limit_w 700\.0 -> 400\.0",
        ):
            write(Store(tmp_path / "store"), [first, capped])
        assert list(tmp_path.iterdir()) == []

    def test_of_different_cases_are_refused(self) -> None:
        (first,) = sessions(0.008)
        (second,) = sessions(0.008, case="decode-b8-c512-fp16-eager")

        with pytest.raises(FormatError, match="another case"):
            baseline_of([first, second], written=WHEN, command="a test")

    def test_of_different_soft_keys_are_kept(self) -> None:
        first, second = sessions(0.008, 0.009)
        second = replace(second, soft=replace(soft_key(), host="host-b"))
        hosts = [s.soft.host for s in baseline_of([first, second], written=WHEN, command="a test").sessions]

        assert hosts == ["host-a", "host-b"]


def test_differing_names_the_fields_with_both_values() -> None:
    changed = replace(soft_key(), driver=None, torch="2.12.0")

    assert differing(soft_key(), changed) == ["driver '580.159' -> None", "torch '2.11.0' -> '2.12.0'"]
    assert differing(soft_key(), soft_key()) == []


def test_a_digest_follows_the_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = write(store, sessions(0.008))
    first = digest(path)
    write(store, sessions(0.008))
    again = digest(path)
    write(store, sessions(0.009))

    assert first == again
    assert digest(path) != first
    path.write_bytes(b"abc")
    assert digest(path) == "ba7816bf8f01cfea"
