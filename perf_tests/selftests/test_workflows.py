"""What the workflows may do: who can start them, with which permissions and secrets, and that each
step is a make target or a pinned action."""

import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from typing import Any

import pytest

from perf_tests.selftests.tiny import ROOT, Later

yaml: Any = Later("ruamel.yaml")

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(path.name for path in FOLDER.glob("*"))
# What a person with write access, or the clock, starts: nobody else can.
OF_THE_HOUSE = {"schedule", "workflow_dispatch"}
# What a fork can cause and is met with: no secret, and a token that only reads.
OPEN_TO_FORKS = {"push", "pull_request"}
HOSTED = "ubuntu-latest"
GPU = """${{ fromJSON(vars.ROOFGATE_RUNNER || '["self-hosted", "gpu", "t4"]') }}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step with its place, for messages and for lists of what is allowed."""

    place: str
    job: dict[str, Any]
    content: dict[str, Any]

    @property
    def run(self) -> str:
        return self.content.get("run", "")


def _workflow(name: str) -> dict[str, Any]:
    return yaml.YAML(typ="safe", pure=True).load((FOLDER / name).read_text(encoding="utf-8"))


def _jobs() -> dict[str, dict[str, Any]]:
    """By "file:job"."""
    return {f"{name}:{job}": content for name in FILES for job, content in _workflow(name)["jobs"].items()}


def _steps() -> list[Step]:
    """Their places end in the name, or in the action."""
    return [
        Step(place=f"{place}:{step.get('name') or step['uses']}", job=job, content=step)
        for place, job in _jobs().items()
        for step in job["steps"]
    ]


def _on_gpu() -> dict[str, dict[str, Any]]:
    return {place: job for place, job in _jobs().items() if job["runs-on"] != HOSTED}


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_there_are_four() -> None:
    """A fifth is to be thought about here first."""
    assert FILES == ["ci.yml", "nightly.yml", "refresh.yml", "watch.yml"]


class TestForks:
    def test_nothing_that_a_fork_can_cause_reaches_the_gpu(self) -> None:
        measured = {place.partition(":")[0] for place in _on_gpu()}

        assert measured == {"nightly.yml", "refresh.yml"}
        for name in measured:
            assert set(_workflow(name)["on"]) <= OF_THE_HOUSE, name

    def test_what_a_fork_can_start_holds_nothing(self) -> None:
        for name in FILES:
            workflow = _workflow(name)
            if set(workflow["on"]) <= OF_THE_HOUSE:
                continue
            assert set(workflow["on"]) <= OPEN_TO_FORKS, name
            assert "secrets." not in (FOLDER / name).read_text(encoding="utf-8"), name
            for job in workflow["jobs"].values():
                assert job["permissions"] == {"contents": "read"}, name

    def test_the_gpu_measures_main_alone_and_nothing_of_a_fork(self) -> None:
        for place, job in _on_gpu().items():
            assert job["if"] == "${{ github.ref == 'refs/heads/main' && !github.event.repository.fork }}", (
                place
            )

    def test_no_workflow_calls_another(self) -> None:
        """Which would take the triggers of its caller."""
        assert not [place for place, job in _jobs().items() if "uses" in job]


class TestTheRunnersOwnGuard:
    """What the machine itself refuses, whatever a workflow says."""

    @staticmethod
    def admits(**given: str) -> bool:
        bash = shutil.which("bash")
        if bash is None:
            pytest.skip("bash is not installed")
        names = {
            "GITHUB_REPOSITORY": "one/roofgate",
            "GITHUB_WORKFLOW_REF": "one/roofgate/.github/workflows/nightly.yml@refs/heads/main",
            "GITHUB_EVENT_NAME": "schedule",
            "GITHUB_REF": "refs/heads/main",
        }
        script = ROOT / ".ci" / "job-started.sh"
        done = subprocess.run([bash, "-e", str(script)], env=names | given, capture_output=True, check=False)
        assert done.returncode == 0 or done.stderr
        return done.returncode == 0

    @pytest.mark.parametrize("event", sorted(OF_THE_HOUSE))
    @pytest.mark.parametrize("name", ["nightly.yml", "refresh.yml"])
    def test_what_measures_is_let_in(self, name: str, event: str) -> None:
        assert self.admits(
            GITHUB_WORKFLOW_REF=f"one/roofgate/.github/workflows/{name}@refs/heads/main",
            GITHUB_EVENT_NAME=event,
        )

    @pytest.mark.parametrize(
        "workflow",
        [
            "one/roofgate/.github/workflows/nightly.yml@refs/pull/7/merge",
            "one/roofgate/.github/workflows/nightly.yml@refs/heads/other",
            "one/roofgate/.github/workflows/nightly.yml@refs/heads/main2",
            "one/roofgate/.github/workflows/ci.yml@refs/heads/main",
            "one/roofgate/.github/workflows/evil.yml@refs/heads/main",
            "two/roofgate/.github/workflows/nightly.yml@refs/heads/main",
            "",
        ],
    )
    def test_no_other_workflow_is(self, workflow: str) -> None:
        assert not self.admits(GITHUB_WORKFLOW_REF=workflow)

    @pytest.mark.parametrize("event", ["pull_request", "pull_request_target", "push", "workflow_run", ""])
    def test_nor_what_a_fork_can_cause(self, event: str) -> None:
        assert not self.admits(GITHUB_EVENT_NAME=event)

    def test_nor_another_branch(self) -> None:
        assert not self.admits(GITHUB_REF="refs/pull/7/merge")

    def test_nor_a_job_of_which_nothing_is_known(self) -> None:
        assert not self.admits(GITHUB_REPOSITORY="", GITHUB_WORKFLOW_REF="")


class TestTheGpu:
    def test_its_label_is_one_variable(self) -> None:
        assert {job["runs-on"] for job in _on_gpu().values()} == {GPU}

    def test_one_job_at_a_time(self) -> None:
        held = {"group": "roofgate-gpu", "cancel-in-progress": False, "queue": "max"}

        assert [job["concurrency"] for job in _on_gpu().values()] == [held, held]

    def test_it_holds_no_token_that_can_write(self) -> None:
        for place, job in _on_gpu().items():
            assert job["permissions"] == {"contents": "read"}, place
        tokens = [
            s.place for s in _steps() if s.job["runs-on"] != HOSTED and "token" in str(s.content.get("env"))
        ]
        assert tokens == []

    def test_what_was_measured_is_kept_however_it_ends(self) -> None:
        """A job past its limit is cancelled, and takes the steps after it along: the step's limit is less."""
        for place, job in _on_gpu().items():
            (measure,) = [s for s in job["steps"] if s.get("run") in ("make nightly", "make refresh")]
            assert measure["timeout-minutes"] < job["timeout-minutes"], place
            after = job["steps"][job["steps"].index(measure) + 1 :]
            assert any(
                "always()" in s.get("if", "") and "upload-artifact" in s.get("uses", "") for s in after
            ), place


class TestLeastRights:
    @pytest.mark.parametrize("name", FILES)
    def test_none_by_default(self, name: str) -> None:
        assert _workflow(name)["permissions"] == {}

    def test_each_job_names_its_own(self) -> None:
        writing = {
            place: sorted(right for right, kind in job["permissions"].items() if kind == "write")
            for place, job in _jobs().items()
        }

        assert {place: rights for place, rights in writing.items() if rights} == {
            "nightly.yml:alert": ["issues"],
            "refresh.yml:propose": ["contents", "pull-requests"],
            "watch.yml:watch": ["issues"],
        }

    def test_secrets_and_tokens_only_in_the_steps_that_need_them(self) -> None:
        given = {
            step.place: {name for name, value in step.content.get("env", {}).items() if _is_secret(value)}
            for step in _steps()
        }

        assert {place: names for place, names in given.items() if names} == {
            "nightly.yml:measure:Measure": {"ROOFGATE_HISTORY"},
            "nightly.yml:alert:Tell what was found": {"GITHUB_TOKEN", "ROOFGATE_HISTORY", "ROOFGATE_WEBHOOK"},
            "nightly.yml:alert:Tell that nothing was measured": {"GITHUB_TOKEN", "ROOFGATE_WEBHOOK"},
            "refresh.yml:measure:Measure and store": {"ROOFGATE_HISTORY"},
            "refresh.yml:propose:Open the pull request": {"GH_TOKEN"},
            "watch.yml:watch:Look for the nightly's result": {"GITHUB_TOKEN", "ROOFGATE_WEBHOOK"},
        }

    @pytest.mark.parametrize("name", FILES)
    def test_and_nowhere_else(self, name: str) -> None:
        """Not in the environment of a workflow or a job, nor handed to an action."""
        workflow = _workflow(name)
        for job in workflow["jobs"].values():
            for step in job["steps"]:
                step.pop("env", None)
        assert not _is_secret(workflow)

    def test_installing_is_a_step_of_its_own(self) -> None:
        """Packages run code of their own as they are installed: not beside a secret."""
        for place, job in _jobs().items():
            runs = [step.get("run", "") for step in job["steps"]]
            if not any(_is_secret(step.get("env", {})) for step in job["steps"]):
                continue
            (venv,) = [i for i, run in enumerate(runs) if run.startswith("make venv")]
            first = min(i for i, step in enumerate(job["steps"]) if _is_secret(step.get("env", {})))
            assert venv < first, place
            # With the same extras, so that nothing is left to install.
            extras = runs[venv].removeprefix("make venv")
            assert all(
                run.endswith(extras) for run in runs if re.match(r"make (nightly|alert|watch|refresh)", run)
            ), place

    def test_no_checkout_leaves_its_token_behind(self) -> None:
        checkouts = [s for s in _steps() if s.content.get("uses", "").startswith("actions/checkout@")]

        assert len(checkouts) == len(_jobs())
        for step in checkouts:
            assert step.content["with"] == {"persist-credentials": False}, step.place


class TestSteps:
    def test_actions_are_pinned_by_commit_one_version_of_each(self) -> None:
        uses = [
            line.partition("uses:")[2].strip()
            for name in FILES
            for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()
            if "uses:" in line
        ]

        assert len(uses) == sum("uses" in step.content for step in _steps())
        for use in uses:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use
        assert len(set(uses)) == len({use.partition("@")[0] for use in uses})

    def test_what_runs_is_a_make_target(self) -> None:
        """All else is the summary's page."""
        for step in _steps():
            if not step.run or step.run.endswith('>> "$GITHUB_STEP_SUMMARY"'):
                continue
            made = re.fullmatch(
                r"make ([a-z]+)( EXTRAS=[a-z,]+)?( FROM=\"\$RUNNER_TEMP/refresh\")?", step.run
            )
            assert made, f"{step.place}: {step.run}"
            assert made[1] in _targets(), step.place

    def test_nothing_is_written_into_a_script(self) -> None:
        """What a person types into a form comes through the environment: it is never code."""
        assert [step.place for step in _steps() if "${{" in step.run] == []

    def test_extras_are_those_of_the_project(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        named = {
            e
            for step in _steps()
            for found in re.findall(r"EXTRAS=(\S+)", step.run)
            for e in found.split(",")
        }

        assert named == {"alerts", "dev", "history"}
        assert named <= set(project["optional-dependencies"])

    def test_every_job_has_a_limit(self) -> None:
        for place, job in _jobs().items():
            assert 0 < job["timeout-minutes"] <= 210, place


class TestTheNightlysResult:
    def test_all_mean_the_same_artifact(self) -> None:
        (name,) = re.findall(r"^ARTIFACT \?= (\S+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        moved = {
            s.content["with"]["name"]
            for s in _steps()
            if s.place.startswith("nightly") and "artifact" in str(s.content.get("uses"))
        }

        assert {_workflow(f)["env"]["ARTIFACT"] for f in ("nightly.yml", "watch.yml")} == {name}
        assert moved == {"${{ env.ARTIFACT }}"}

    def test_the_watch_looks_between_two_nights(self) -> None:
        """Late enough for the night's own result; the last night's is too old, also for the alert of a
        night in which nothing was measured."""
        (night,), (watch,) = (_workflow(f)["on"]["schedule"] for f in ("nightly.yml", "watch.yml"))
        (hours,) = re.findall(r"^HOURS \?= (\d+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        pause_h = _hour(watch["cron"]) - _hour(night["cron"])
        job_h = _workflow("nightly.yml")["jobs"]["measure"]["timeout-minutes"] / 60

        assert job_h < pause_h < int(hours) < 24 - job_h

    def test_it_is_told_after_a_failure_too(self) -> None:
        alert = _workflow("nightly.yml")["jobs"]["alert"]
        tells = {
            step["run"].split()[1]: step["if"]
            for step in alert["steps"]
            if "GITHUB_TOKEN" in step.get("env", {})
        }

        assert alert["needs"] == "measure"
        assert alert["if"] == "${{ always() && needs.measure.result != 'skipped' }}"
        assert tells == {
            "alert": "${{ steps.fetch.outcome == 'success' }}",
            "watch": "${{ steps.fetch.outcome == 'failure' }}",
        }


def _is_secret(content: object) -> bool:
    return re.search(r"secrets\.|secrets\[|github\.token", str(content)) is not None


def _hour(cron: str) -> float:
    minute, hour = cron.split()[:2]
    return int(hour) + int(minute) / 60
