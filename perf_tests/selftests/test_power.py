"""The power table: the gate's own rule on made-up and on stored sessions, beside other tools'."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from baselines.__main__ import main
from baselines.pinned import suites
from baselines.policy import POLICY, Policy
from baselines.power.draws import ROUNDS, Noise, bimodal, heavy_tailed, normal, resampled
from baselines.power.kinds import Steps, at_least, at_most
from baselines.power.rivals import RIVALS, bootstrap, mann_whitney, mean_beyond
from baselines.power.scenarios import scenarios
from baselines.power.stored import pairs, stored_scenarios
from baselines.store import Store
from perf_tests.selftests.records import record

RNG_SEED = 7


def rng() -> np.random.Generator:
    return np.random.default_rng(RNG_SEED)


def write_store(root: Path, *, cases: int = 6, sd: float = 0.001) -> Path:
    """Five sessions of several decode cases, of which device times vary by `sd`, walls by a tenth."""
    noise = rng()
    store = Store(root)
    for n in range(cases):
        like = record(f"decode-b1-c{500 + n}-fp16-eager", device_s=0.008)
        sessions = []
        for session in range(5):
            wall = 0.03 * math.exp(noise.normal(0.0, 0.1))
            sampled = replace(
                like.measurement,
                device_s=(0.008 * math.exp(noise.normal(0.0, sd)),) * 3,
                wall_s=tuple(wall * f for f in (0.999, 1.0, 1.0005, 1.001, 0.9995)),
            )
            sessions.append(replace(like, run=f"run-{session}", measurement=sampled))
        store.write(sessions, written="2026-11-23T00:00:00+00:00", command="a test")
    return root


class TestDraws:
    @pytest.mark.parametrize(
        ("noise", "sd"),
        [
            (normal(0.01), 0.01),
            (heavy_tailed(0.01), 0.0173),
            (bimodal(0.13, 0.01), math.hypot(0.01, math.log(1.13) / 2)),
            (resampled(np.array([-0.01, 0.01])), 0.01),
        ],
    )
    def test_sessions_vary_by_as_much_as_is_said(self, noise: object, sd: float) -> None:
        rounds = Noise(within=0.0, between=noise).draw(rng(), 40, 500)  # type: ignore[arg-type]

        assert rounds.shape == (40, 500, ROUNDS)
        assert rounds[:, :, 0].std() == pytest.approx(sd, rel=0.1)

    def test_a_process_is_in_one_mode_with_all_its_cases(self) -> None:
        rounds = Noise(within=0.0, between=bimodal(0.13, 0.001)).draw(rng(), 24, 200)
        slow = rounds[:, :, 0] > 0.06

        assert (slow == slow[0]).all()
        assert 0.35 < slow[0].mean() < 0.65


class TestRivals:
    SAME = np.exp(rng().normal(0.0, 0.01, size=(2000, ROUNDS)))
    OTHER = np.exp(rng().normal(0.0, 0.01, size=(4000, ROUNDS)))[2000:]

    @pytest.mark.parametrize(
        ("rule", "slower", "faster"),
        [("pytest-benchmark mean:5%", 1.06, 1.04), ("criterion bootstrap", 1.03, 1.005)],
    )
    def test_each_has_its_threshold(self, rule: str, slower: float, faster: float) -> None:
        assert RIVALS[rule](self.SAME, self.OTHER * slower, rng()).mean() > 0.95
        assert RIVALS[rule](self.SAME, self.OTHER * faster, rng()).mean() < 0.05

    def test_mann_whitney_is_as_often_wrong_as_its_p_says(self) -> None:
        """One side of p < 0.002, where only rounds differ; and it is sure of 2 %."""
        assert mann_whitney(self.SAME, self.OTHER, rng()).mean() == pytest.approx(0.001, abs=0.002)
        assert mann_whitney(self.SAME, self.OTHER * 1.02, rng()).all()
        assert not mann_whitney(self.SAME * 1.02, self.OTHER, rng()).any()

    def test_they_are_fooled_by_what_differs_between_sessions(self) -> None:
        shifted = self.OTHER * np.exp(rng().normal(0.0, 0.02, size=(2000, 1)))

        assert mann_whitney(self.SAME, shifted, rng()).mean() > 0.25
        assert bootstrap(self.SAME, shifted, rng()).mean() > 0.15
        assert mean_beyond(0.05)(self.SAME, shifted, rng()).mean() < 0.02


class TestTargets:
    def test_a_promise_that_does_not_hold_is_said(self) -> None:
        assert at_most(0.001).held(0.001)
        assert not at_most(0.001).held(0.0011)
        assert at_least(0.99).held(0.99)
        assert not at_least(0.99).held(0.989)

    @pytest.mark.parametrize(
        ("policy", "question"),
        [
            (replace(POLICY, claim_alpha=0.9, screen_alpha=0.4, min_effect=1e-6), "false alarms"),
            (replace(POLICY, screen_alpha=1e-9), "+1 % caught"),
        ],
    )
    def test_a_rule_that_is_too_loose_or_too_strict_breaks_one(self, policy: Policy, question: str) -> None:
        """The table can say no: it is the gate's own functions that are under test."""
        device = scenarios(policy)[0]
        rows = {row.question: row for row in device.rows(60, policy, rng())}

        assert not rows[question].held

    def test_sessions_too_few_to_judge_are_refused(self) -> None:
        few = Steps(
            name="x",
            noise=Noise(within=0.0, between=normal(0.01)),
            sessions=2,
            floor=0.005,
            effects=((0.0, None),),
        )
        with pytest.raises(ValueError, match="2 sessions are too few to judge"):
            list(few.rows(20, POLICY, rng()))


class TestStored:
    def test_a_calm_rig_sees_one_per_cent_and_its_wall_sees_little(self, tmp_path: Path) -> None:
        (suite,) = suites(Store(write_store(tmp_path / "store")))
        rows = {
            (row.noise.partition(",")[0], row.question): row.gate
            for scenario in stored_scenarios(suite, POLICY)
            for row in scenario.rows(40, POLICY, rng())
        }

        assert rows["stored: device", "false alarms"] <= 0.01
        assert rows["stored: device", "+1 % caught"] >= 0.99
        assert rows["stored: wall", "+10 % caught"] <= 0.3

    def test_a_noisy_one_does_not(self, tmp_path: Path) -> None:
        (suite,) = suites(Store(write_store(tmp_path / "store", sd=0.01)))
        device = next(iter(stored_scenarios(suite, POLICY)))
        rows = {row.question: row.gate for row in device.rows(40, POLICY, rng())}

        assert rows["+1 % caught"] <= 0.3

    def test_the_stored_rounds_fool_the_others_as_they_are(self, tmp_path: Path) -> None:
        (suite,) = suites(Store(write_store(tmp_path / "store")))
        row = pairs(suite, rng())
        assert row is not None

        assert row.gate is None
        # Half of the pairs are slower, most by more than 5 %.
        assert 0.25 <= row.rivals["pytest-benchmark mean:5%"] <= 0.5

    def test_two_sessions_allow_nothing(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "store")
        like = record("decode-b1-c512-fp16-eager", device_s=0.008)
        store.write([replace(like, run=f"r{i}") for i in range(2)], written="today", command="a test")
        (suite,) = suites(store)

        assert list(stored_scenarios(suite, POLICY)) == []


class TestCommand:
    def test_json_holds_what_the_table_shows(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store = str(write_store(tmp_path / "store"))
        arguments = ["power", "--trials", "20", "--perf-baselines", store]
        codes = [main(arguments), main([*arguments, "--json"])]
        out = capsys.readouterr().out
        shown, text = out[: out.index("[\n")], out[out.index("[\n") :]
        rows = json.loads(text)

        assert codes[0] == codes[1] == (0 if all(row["held"] for row in rows) else 1)
        assert len(rows) == sum(
            line.startswith(("| device", "| wall", "| bim", "| heavy", "| creep", "| stored"))
            for line in shown.splitlines()
        )
        assert {row["noise"].partition(":")[0] for row in rows} >= {"device", "wall", "stored"}
        caught = next(row for row in rows if row["question"] == "+2 % caught")
        assert caught["promised"] == {"at_least": 1.0}
        assert f"{100 * caught['roofgate']:.2f} %" in shown

    def test_without_a_store_the_made_up_noise_is_all(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["power", "--trials", "20", "--json", "--perf-baselines", str(tmp_path / "none")])

        assert not [r for r in json.loads(capsys.readouterr().out) if r["noise"].startswith("stored")]

    def test_a_damaged_baseline_is_named_and_no_part_of_the_answer(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        root = write_store(tmp_path / "store", cases=3)
        path = next(root.rglob("*.json"))
        path.write_text("{", encoding="utf-8")

        assert main(["power", "--trials", "20", "--json", "--perf-baselines", str(root)]) == 2
        said = capsys.readouterr()
        assert said.err.startswith(f"damaged: {path}: not JSON")
        assert [r for r in json.loads(said.out) if r["noise"].startswith("stored")]

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--trials", "19"], "--trials is 19; at least 20"),
            (["--seed", "-1"], "--seed is -1; a number from 0"),
        ],
    )
    def test_bad_input_is_named(
        self, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["power", *arguments]) == 2
        assert said in capsys.readouterr().err

    @pytest.mark.long
    def test_every_promise_holds(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """500 trials a row, by the seed that anyone gets."""
        assert main(["power", "--perf-baselines", str(tmp_path / "none")]) == 0, capsys.readouterr().out

    @pytest.mark.long
    def test_they_hold_by_another_seed_too(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        given = ["power", "--trials", "1000", "--seed", "1", "--perf-baselines", str(tmp_path / "none")]

        assert main(given) == 0, capsys.readouterr().out
