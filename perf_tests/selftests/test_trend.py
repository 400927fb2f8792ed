"""Change points, drift, and the command that shows them."""

import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from baselines.__main__ import main
from baselines.codec import write
from baselines.history.anchor import Anchor, anchor_of
from baselines.history.entry import Observation, entries_of
from baselines.history.keeping import keep
from baselines.history.series import Point, Series, series_of
from baselines.history.together import together
from baselines.history.trend import Step, Trend, trend
from baselines.record import SoftKey
from baselines.run import RunFolder
from baselines.store import Accepted, Store, baseline_of
from baselines.verdict import Status
from perf_tests.selftests.histories import DECODE, PREFILL, a_run, named
from perf_tests.selftests.records import hard_key, record, soft_key
from perf_tests.selftests.tiny import Later

np = Later("numpy")

FIRST = dt.date(2026, 9, 1)
LEVEL_S = 0.008


@pytest.fixture(autouse=True)
def _packages() -> None:
    pytest.importorskip("sqlalchemy")


def points(times_s: Sequence[float], softs: Callable[[int], SoftKey] = lambda _: soft_key()) -> list[Point]:
    """A night each, of a commit of its own: c0, c1, …"""
    return [
        Point(
            night=FIRST + dt.timedelta(days=i),
            commit=f"c{i}",
            median_s=float(time_s),
            runs=1,
            softs=(softs(i),),
        )
        for i, time_s in enumerate(times_s)
    ]


def noisy(seed: int, *, nights: int = 60, noise: float = 0.002) -> Sequence[float]:
    return LEVEL_S * np.exp(np.random.default_rng(seed).normal(0, noise, nights))


def seen(times_s: Sequence[float], *, anchor_s: float | None = None, min_effect: float = 0.005) -> Trend:
    return trend(points(times_s), anchor_s=anchor_s, min_effect=min_effect)


def night(step: Step) -> int:
    return (step.night - FIRST).days


class TestSteps:
    @pytest.mark.parametrize(
        ("noise", "nights", "most"), [(0.002, 60, 1), (0.002, 20, 1), (0.01, 60, 6), (0.0002, 60, 0)]
    )
    def test_two_hundred_unchanged_series_show_hardly_any(self, noise: float, nights: int, most: int) -> None:
        alarms = sum(bool(seen(noisy(seed, nights=nights, noise=noise)).steps) for seed in range(200))

        assert alarms <= most

    @pytest.mark.parametrize("factor", [1.01, 0.99])
    def test_one_percent_at_night_30_is_found_to_the_night(self, factor: float) -> None:
        found = 0
        for seed in range(200):
            times_s = noisy(seed)
            times_s[30:] *= factor
            steps = seen(times_s).steps
            found += (
                len(steps) == 1
                and abs(night(steps[0]) - 30) <= 1
                and steps[0].size == pytest.approx(factor - 1, abs=0.002)
            )

        assert found >= 0.95 * 200

    def test_it_names_the_levels_and_the_commits_between(self) -> None:
        (step,) = seen([0.008] * 10 + [0.0082] * 5).steps

        assert (step.before_s, step.after_s) == (0.008, 0.0082)
        assert step.size == pytest.approx(0.025)
        assert (night(step), step.good, step.bad, step.soft) == (10, "c9", "c10", ())

    def test_it_names_what_changed_with_it(self) -> None:
        def softs(i: int) -> SoftKey:
            return soft_key() if i < 10 else replace(soft_key(), driver="590.1", gpu_uuid="GPU-7")

        (step,) = trend(points([0.008] * 10 + [0.0082] * 5, softs), anchor_s=None, min_effect=0.005).steps

        assert step.soft == ("gpu_uuid GPU-0 -> GPU-7", "driver 580.159 -> 590.1")

    def test_two_steps_are_two(self) -> None:
        times_s = noisy(1)
        times_s[20:] *= 1.02
        times_s[40:] *= 0.97

        assert [night(s) for s in seen(times_s).steps] == [20, 40]

    def test_less_than_the_least_effect_is_none(self) -> None:
        assert seen([0.008] * 20 + [0.008 * 1.004] * 20).steps == ()
        assert len(seen([0.008] * 20 + [0.008 * 1.006] * 20).steps) == 1
        assert seen([0.008] * 20 + [0.008 * 1.006] * 20, min_effect=0.05).steps == ()

    @pytest.mark.parametrize("at", [0, 5, 30, 59])
    def test_one_bad_night_is_none(self, at: int) -> None:
        times_s = noisy(2)
        times_s[at] *= 1.3

        assert seen(times_s).steps == ()

    @pytest.mark.parametrize("after", [0, 20])
    def test_two_nights_are_no_level_and_three_are(self, after: int) -> None:
        """At the end of a series, and within."""
        assert seen([*[0.008] * 20, *[0.0084] * 2, *[0.008] * after]).steps == ()
        assert night(seen([*[0.008] * 20, *[0.0084] * 3, *[0.008] * after]).steps[0]) == 20

    def test_too_few_nights_are_not_looked_at(self) -> None:
        few = seen([0.008] * 4 + [0.009] * 3)

        assert (few.noise, few.steps) == (None, ())
        assert len(seen([0.008] * 4 + [0.009] * 4).steps) == 1

    def test_nights_that_are_equal_to_the_digit_are_quiet(self) -> None:
        assert seen([0.008] * 60).steps == ()


class TestDrift:
    def test_creep_that_no_night_shows_adds_up(self) -> None:
        """0.02 % a night: of two neighbours none differs beyond the noise."""
        times_s = noisy(3) * 1.0002 ** np.arange(60)
        drift = seen(times_s, anchor_s=LEVEL_S).drift

        assert drift is not None
        assert drift.size == pytest.approx(1.0002**58 - 1, abs=0.003)
        assert drift.claimed

    def test_half_a_percent_a_night_is_reported(self) -> None:
        found = seen(noisy(4) * 1.005 ** np.arange(60), anchor_s=LEVEL_S)

        assert found.drift is not None
        assert found.drift.claimed
        assert found.drift.size == pytest.approx(1.005**58 - 1, abs=0.005)
        assert found.noise == pytest.approx(0.002, rel=0.5)  # the creep is no noise

    def test_an_unchanged_series_has_none_that_is_claimed(self) -> None:
        claimed = [seen(noisy(seed), anchor_s=LEVEL_S).drift for seed in range(200)]

        assert sum(d.claimed for d in claimed if d) <= 2

    def test_none_without_an_anchor_or_nights(self) -> None:
        assert seen([0.008] * 10).drift is None
        assert seen([0.008] * 2, anchor_s=0.008).drift is None

    def test_few_nights_have_a_drift_that_is_not_claimed(self) -> None:
        drift = seen([0.009] * 5, anchor_s=0.008).drift

        assert drift is not None
        assert (drift.claimed, drift.now_s, drift.size) == (False, 0.009, pytest.approx(0.125))


class TestAnchor:
    def test_the_stored_sessions_under_the_same_hard_key(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        sessions = [record(DECODE, wall_s=0.04, device_s=s, run=str(s)) for s in (0.008, 0.0098)]
        store.write(sessions, written="2026-11-22", command="a test")
        other = record(DECODE, hard=replace(hard_key(), power_limit_w=350.0))

        assert anchor_of(store, record(DECODE), "device_s").time_s == pytest.approx((0.008 * 0.0098) ** 0.5)
        assert anchor_of(store, record(DECODE), "wall_s").time_s == pytest.approx(0.04)
        assert anchor_of(store, other, "device_s") == Anchor(
            time_s=None, lacks=f"its baseline in {tmp_path} is of another hard key"
        )
        assert anchor_of(store, record(PREFILL), "device_s") == Anchor(
            time_s=None, lacks=f"no baseline of it is stored in {tmp_path}"
        )

    def test_what_was_accepted_first_where_that_is_kept(self, tmp_path: Path) -> None:
        """A refresh moves the sessions, and not the anchor."""
        store = Store(tmp_path)
        first = Accepted(written="2026-10-01", commit="aaaaaaa", sessions=5, device_s=0.0075, wall_s=0.03)
        now = baseline_of([record(DECODE, wall_s=0.04, device_s=0.008)], written="2026-11-22", command="test")
        write(replace(now, anchor=first), store.path(record(DECODE)))

        assert anchor_of(store, record(DECODE), "device_s") == Anchor(time_s=0.0075)
        assert anchor_of(store, record(DECODE), "wall_s") == Anchor(time_s=0.03)
        write(replace(now, anchor=replace(first, device_s=None)), store.path(record(DECODE)))
        assert anchor_of(store, record(DECODE), "device_s") == Anchor(
            time_s=None, lacks="the anchor of 2026-10-01 has no device time"
        )


@pytest.fixture
def observed(tmp_path: Path) -> Callable[..., Observation]:
    """Observations of DECODE, each of a run of its own."""
    made = iter(range(1000))

    def observe(started: str, **changes: object) -> Observation:
        (entry,) = entries_of(
            a_run(tmp_path / f"run-{next(made)}", started=started, cases=[DECODE], **changes)
        )
        return entry.observation

    return observe


class TestSeries:
    def test_a_night_of_a_commit_is_the_median_of_its_runs(
        self, observed: Callable[..., Observation]
    ) -> None:
        runs = [
            observed("2026-11-22T01:00:00+00:00", device_s=0.010, commit="a"),
            observed("2026-11-22T03:00:00+00:00", device_s=0.008, commit="a", driver="590"),
            observed("2026-11-22T02:00:00+00:00", device_s=0.009, commit="a"),
            observed("2026-11-22T04:00:00+00:00", device_s=0.007, commit="b"),
            observed("2026-11-23T00:00:01+00:00", device_s=0.006, commit="b"),
        ]
        (series,) = series_of(runs, "device_s")

        assert [(p.night.day, p.commit, p.median_s, p.runs) for p in series.points] == [
            (22, "a", 0.009, 3),
            (22, "b", 0.007, 1),
            (23, "b", 0.006, 1),
        ]
        assert [s.driver for s in series.points[0].softs] == ["580.159", "590"]
        assert (series.nights, series.latest) == (2, runs[-1].key)

    def test_the_night_is_of_utc(self, observed: Callable[..., Observation]) -> None:
        (series,) = series_of([observed("2026-11-22T23:30:00-02:00")], "device_s")

        assert series.points[0].night == dt.date(2026, 11, 23)

    def test_what_is_broken_or_without_a_commit_is_left_out(
        self, observed: Callable[..., Observation]
    ) -> None:
        at = "2026-11-22T01:00:00+00:00"
        runs = [
            observed(at, status=Status.REGRESSED, exit_status=1),
            observed(at, status=Status.INVALID),
            observed(at, status=Status.IMPOSSIBLE),
            observed(at, dirty=True),
            observed(at, status=None, exit_status=None),
            replace(observed(at), device_s=None),
        ]
        (series,) = series_of(runs, "device_s")

        assert sum(p.runs for p in series.points) == 1
        assert series.left_out == {
            "invalid": 1,
            "impossible": 1,
            "of a dirty tree": 1,
            "not judged": 1,
            "without device_s": 1,
        }

    def test_another_hard_key_is_another_series(self, observed: Callable[..., Observation]) -> None:
        one = observed("2026-11-22T01:00:00+00:00")

        assert len(series_of([one, replace(one, hard="another"), replace(one, gpu="t4")], "device_s")) == 3


@pytest.fixture
def nightly(tmp_path: Path) -> str:
    """The history of twelve nights, 2 % slower since the ninth, with a new driver."""
    url = f"sqlite:///{tmp_path}/history.sqlite"
    for i in range(12):
        slower = i >= 8
        folder: RunFolder = a_run(
            tmp_path / "runs" / f"night-{i}",
            started=f"2026-11-{i + 1:02}T02:00:00+00:00",
            commit=f"c{i}",
            device_s=0.00816 if slower else 0.008,
            driver="590.1" if slower else "580.1",
        )
        assert keep(folder, named(url)) == ""
    sessions = [record(DECODE, device_s=0.0079, run=str(i)) for i in range(3)]
    Store(tmp_path / "store").write(sessions, written="2026-11-01", command="a test")
    return url


class TestCommand:
    def test_it_names_the_night_the_commits_and_the_driver(
        self, nightly: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = [
            "--perf-history",
            nightly,
            "--perf-baselines",
            str(tmp_path / "store"),
            "--case",
            "decode-*",
        ]

        assert main(["trend", *arguments]) == 0
        name = f"{DECODE} of mistral-7b-v0.1 on h100-sxm under hard key d031b27cda67d163"
        assert capsys.readouterr().out.splitlines() == [
            f"{name}: 12 points in 12 nights, 2026-11-01 to 2026-11-12, latest 8.160 ms, noise 0.05 %",
            "  2026-11-09 +2.00 % (8.000 ms -> 8.160 ms), commits c7..c8; with it driver 580.1 -> 590.1",
            "  against the anchor: +3.29 % (7.900 ms -> 8.160 ms)",
        ]

    def test_json_holds_the_same(
        self, nightly: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["--perf-history", nightly, "--perf-baselines", str(tmp_path / "store"), "--json"]
        assert main(["trend", *arguments]) == 0
        answer = json.loads(capsys.readouterr().out)
        decode, prefill = answer["series"]
        (step,) = decode["steps"]

        assert answer["metric"] == "device_s"
        assert (decode["case"], decode["nights"], len(decode["points"])) == (DECODE, 12, 12)
        assert (step["night"], step["good"], step["bad"]) == ("2026-11-09", "c7", "c8")
        assert step["size"] == pytest.approx(0.02)
        assert decode["drift"]["claimed"] is True
        assert (prefill["case"], prefill["drift"]) == (PREFILL, None)

    def test_the_wall_needs_more_to_be_claimed(
        self, nightly: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["trend", "--perf-history", nightly, "--metric", "wall_s"]) == 0
        assert capsys.readouterr().out.count("no change point") == 2

    @pytest.mark.parametrize("none", [("--gpu", "t4"), ("--model", "gpt2"), ("--case", "generate-*")])
    def test_only_what_was_asked_for(
        self, nightly: str, none: tuple[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["trend", "--perf-history", nightly, *none]) == 0
        assert capsys.readouterr().out == "no such series in the history\n"

    def test_a_series_without_a_point_says_why(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url = f"sqlite:///{tmp_path}/history.sqlite"
        keep(a_run(tmp_path / "a", cases=[DECODE], dirty=True), named(url))
        keep(a_run(tmp_path / "b", cases=[DECODE], status=Status.INVALID), named(url))

        assert main(["trend", "--perf-history", url]) == 0
        assert capsys.readouterr().out.splitlines()[1:] == [
            "  too few points to look for a change: 8 are needed",
            "  left out: 1 invalid, 1 of a dirty tree",
        ]

    def test_a_damaged_baseline_is_named(
        self, nightly: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = Store(tmp_path / "store").path(record(DECODE))
        path.write_text("{", encoding="utf-8")

        assert main(["trend", "--perf-history", nightly, "--perf-baselines", str(tmp_path / "store")]) == 1
        decode, prefill = capsys.readouterr().out.split("\n\n")[1:]
        assert decode.splitlines()[-1].startswith(f"  damaged: {path}: not JSON")
        assert "2026-11-09 +2.00 %" in decode
        assert prefill.splitlines()[-1] == (
            f"  against the anchor: unknown; no baseline of it is stored in {tmp_path / 'store'}"
        )

    def test_a_damaged_record_costs_its_series_the_anchor(
        self, nightly: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with closing(sqlite3.connect(tmp_path / "history.sqlite")) as database, database:
            database.execute("UPDATE roofgate_records SET record = '{' WHERE \"case\" = ?", (DECODE,))

        assert main(["trend", "--perf-history", nightly]) == 1
        decode, prefill = capsys.readouterr().out.split("\n\n")[1:]
        assert "  damaged: sqlite:///" in decode
        assert "damaged" not in prefill

    def test_what_changed_in_one_night_is_said_first(
        self, nightly: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["trend", "--perf-history", nightly]) == 0
        assert capsys.readouterr().out.split("\n\n")[0] == (
            "2026-11-09: 2 cases of mistral-7b-v0.1 on h100-sxm moved together, +2.00 % "
            f"(commits c7..c8): {DECODE}, {PREFILL}"
        )
        assert main(["trend", "--perf-history", nightly, "--json"]) == 0
        (moved,) = json.loads(capsys.readouterr().out)["together"]
        assert (moved["night"], moved["cases"]) == ("2026-11-09", [DECODE, PREFILL])

    @pytest.mark.parametrize(
        ("options", "series"),
        [(("--gpu", "h100*"), 2), (("--model", "mistral-7b-v0.?"), 2), (("--gpu", "h200*"), 0)],
    )
    def test_patterns_as_those_of_show(
        self, options: tuple[str, str], series: int, nightly: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["trend", "--perf-history", nightly, "--json", *options]) == 0
        assert len(json.loads(capsys.readouterr().out)["series"]) == series

    def test_what_is_lacking_for_a_drift_is_named(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url, store = f"sqlite:///{tmp_path}/history.sqlite", Store(tmp_path / "store")
        keep(a_run(tmp_path / "a", cases=[DECODE]), named(url))
        store.write([record(DECODE, device_s=0.0079)], written="2026-11-01", command="a test")

        assert main(["trend", "--perf-history", url, "--perf-baselines", str(store.root)]) == 0
        head, *_, last = capsys.readouterr().out.splitlines()
        assert head.endswith(": 1 point on 2026-11-22, latest 8.000 ms")
        assert last == "  against the anchor: unknown; 1 point, 3 are needed"

    @pytest.mark.parametrize(("nights", "said"), [(5, "not judged"), (12, "within noise")])
    def test_a_drift_that_is_not_claimed_says_why(
        self, nights: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        url, store = f"sqlite:///{tmp_path}/history.sqlite", Store(tmp_path / "store")
        for i in range(nights):
            started = f"2026-11-{i + 1:02}T02:00:00+00:00"
            keep(a_run(tmp_path / f"{i}", cases=[DECODE], started=started), named(url))
        store.write([record(DECODE, device_s=0.00799)], written="2026-11-01", command="a test")

        assert main(["trend", "--perf-history", url, "--perf-baselines", str(store.root)]) == 0
        last = capsys.readouterr().out.splitlines()[-1]
        assert last == f"  against the anchor: +0.13 % (7.990 ms -> 8.000 ms), {said}"


class TestTogether:
    def test_slower_and_faster_and_other_nights_are_apart(self) -> None:
        series = Series(gpu="h100-sxm", model="m", case="w", hard="k", points=(), latest="", left_out={})
        step = Step(night=FIRST, size=0.011, before_s=1.0, after_s=1.011, good="a", bad="b", soft=())
        moved = [
            (series, step),
            (replace(series, case="x"), replace(step, size=0.013)),
            (replace(series, case="y"), replace(step, size=-0.02)),
            (replace(series, case="z"), replace(step, night=FIRST + dt.timedelta(days=1))),
        ]
        (one,) = together(moved)

        assert one.cases == (series.case, "x")
        assert (one.low, one.high, one.commits) == (0.011, 0.013, ("a..b",))
