"""The commands against a real HTTP server of GitHub's shapes: what arrives there, and what
is said where it fails. The token and the webhook's address are nowhere but in the requests."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from analytic import Case
from baselines.run import Planned, RunFolder
from baselines.store import Store, digest
from baselines.verdict import Status, Verdict
from perf_tests.selftests.github_server import (
    HOOK,
    REPOSITORY,
    TOKEN,
    Failure,
    GitHub,
    rate_limit,
    serving,
)
from perf_tests.selftests.histories import a_run, keep, named
from perf_tests.selftests.records import DECODE, record, run_folder
from perf_tests.selftests.refreshes import five, refresh
from reports.__main__ import main
from reports.alerts.state import Key

pytest.importorskip("github")

ROOT = Path(__file__).resolve().parents[2]
MISTRAL = Key(subject="regression", names=("h100-sxm", "mistral-7b-v0.1"))
VARIABLES = (
    "GITHUB_TOKEN",
    "GITHUB_REPOSITORY",
    "GITHUB_API_URL",
    "GITHUB_SERVER_URL",
    "GITHUB_RUN_ID",
    "ROOFGATE_WEBHOOK",
    "ROOFGATE_HISTORY",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a command said and returned."""

    code: int
    out: str
    err: str


class Desk:
    """Runs the commands here, beside a GitHub and a webhook."""

    def __init__(self, hub: GitHub, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.hub, self.path, self._capsys = hub, path, capsys
        self.heard: list[str] = []

    def night(self, number: int, status: Status | None, **more: object) -> str:
        """The folder of the run of a night in November."""
        stamp = f"2026-11-{number}T03:00:00+00:00"
        return str(a_run(self.path / f"run-{number}", started=stamp, status=status, **more).path)  # type: ignore[arg-type]

    def run(self, *arguments: str) -> Told:
        code = main([*arguments, "--timeout", "1"])
        said = self._capsys.readouterr()
        self.heard += [said.out, said.err]
        return Told(code=code, out=said.out, err=said.err)

    def alert(self, folder: str, *more: str) -> Told:
        return self.run("alert", folder, *more)

    def bodies(self) -> list[str]:
        return [issue["body"] for issue in self.hub.issues.values()]


@pytest.fixture
def hub() -> Iterator[GitHub]:
    with serving() as one:
        yield one


@pytest.fixture
def desk(
    hub: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """With both channels. Afterwards no secret may stand in what was said or sent."""
    from reports.alerts import sending

    monkeypatch.setattr(sending, "Limits", partial(sending.Limits, backoff_s=0.01, pace_s=0.0))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
    monkeypatch.setenv("GITHUB_API_URL", hub.address)
    monkeypatch.setenv("ROOFGATE_WEBHOOK", f"{hub.address}{HOOK}")
    monkeypatch.chdir(tmp_path)
    desk = Desk(hub, tmp_path, capsys)
    yield desk
    everything = "\n".join((*desk.heard, *hub.received, json.dumps([hub.issues, hub.comments, hub.messages])))
    assert TOKEN not in everything
    assert HOOK not in everything


class TestNights:
    def test_one_issue_from_the_first_night_to_the_last(self, desk: Desk, hub: GitHub) -> None:
        assert desk.alert(desk.night(20, Status.PASS)).code == 0
        assert hub.writes == []

        first = desk.alert(desk.night(21, Status.REGRESSED))
        assert (first.code, first.err) == (0, "")
        assert f"{hub.address}/{REPOSITORY}/issues/1" in first.out
        desk.alert(desk.night(22, Status.REGRESSED))
        assert "in 2 nights, first on 2026-11-21" in hub.issues[1]["body"]
        assert hub.said(1) == []
        assert len(hub.messages) == 1

        desk.alert(desk.night(23, Status.IMPOSSIBLE))
        assert [f"{DECODE}: regressed → impossible" in said for said in hub.said(1)] == [True]
        desk.alert(desk.night(24, Status.INVALID))
        assert [one["title"] for one in hub.open_issues()][1:] == [
            "No nightly result: nothing was measured or judged"
        ]
        desk.alert(desk.night(25, Status.PASS))

        assert [(i["state"], i["state_reason"]) for i in hub.issues.values()] == [("closed", "completed")] * 2
        assert [m.splitlines()[0] for m in hub.messages] == [
            f"mistral-7b-v0.1 on h100-sxm: 2 cases regressed, {DECODE}",
            f"It moved: mistral-7b-v0.1 on h100-sxm: 2 cases impossible, {DECODE}",
            "No nightly result: nothing was measured or judged",
            "Recovered: mistral-7b-v0.1 on h100-sxm: 2 cases recovered",
            "nightly: a result is there again, run run-25; not sent by a CI",
        ]

    def test_the_same_run_told_twice_writes_once(self, desk: Desk, hub: GitHub) -> None:
        folder = desk.night(21, Status.REGRESSED)
        desk.alert(folder)
        written = list(hub.writes)
        again = desk.alert(folder)

        assert (again.code, hub.writes) == (0, written)
        assert "the issue says so already" in again.out

    def test_after_it_was_closed_a_new_one_is_opened(self, desk: Desk, hub: GitHub) -> None:
        for night, status in ((21, Status.REGRESSED), (22, Status.PASS), (23, Status.REGRESSED)):
            desk.alert(desk.night(night, status))

        assert [one["state"] for one in hub.issues.values()] == ["closed", "open"]

    def test_what_was_closed_after_a_run_began_is_not_opened_by_it(self, desk: Desk, hub: GitHub) -> None:
        """A job that is run again, or overlaps: a later run has told of its cases."""
        first = desk.night(21, Status.REGRESSED)
        desk.alert(first)
        hub.now = "2026-11-22T04:00:00Z"
        desk.alert(desk.night(22, Status.PASS))
        told = desk.alert(first)

        assert [one["state"] for one in hub.issues.values()] == ["closed"]
        assert "the issue was closed after this run began" in told.out
        assert len(hub.messages) == 2
        desk.alert(desk.night(23, Status.REGRESSED))
        assert [one["state"] for one in hub.issues.values()] == ["closed", "open"]

    def test_each_model_has_its_own(self, desk: Desk, hub: GitHub) -> None:
        verdicts = [Verdict(case=DECODE, status=Status.REGRESSED, reasons=("slower",))]
        for model in ("mistral-7b-v0.1", "mistral-7b-v0.2"):
            desk.alert(
                str(run_folder(desk.path / model, [record(DECODE, model=model)], verdicts=verdicts).path)
            )

        assert [one["title"].split(":")[0] for one in hub.open_issues()] == [
            "mistral-7b-v0.1 on h100-sxm",
            "mistral-7b-v0.2 on h100-sxm",
        ]

    def test_issues_of_others_stay_as_they_are(self, desk: Desk, hub: GitHub) -> None:
        """Of the label, of the marker, and a pull request with both; on a later page too."""
        desk.alert(desk.night(21, Status.REGRESSED))
        ours = hub.issues[1]
        theirs = [hub.add_issue("theirs", "of the label") for _ in range(150)]
        theirs += [hub.add_issue("theirs", ours["body"], labels=("bug",))]
        pull = hub.add_issue("theirs", ours["body"]) | {"pull_request": {"url": "https://x/1"}}
        hub.issues[pull["number"]] = pull
        hub.issues[500] = hub.issues.pop(1) | {"number": 500, "url": f"{ours['url'][:-1]}500"}
        desk.alert(desk.night(22, Status.PASS))

        assert hub.issues[500]["state"] == "closed"
        assert len([r for r in hub.received if r.startswith("GET")]) < 20  # not one for each of theirs
        assert {one["state"] for number, one in hub.issues.items() if number != 500} == {"open"}

    def test_size_place_and_commit_are_told(self, desk: Desk, hub: GitHub) -> None:
        """Of a run that was judged by stored sessions, with the runs before it."""
        store, url = desk.path / "store", f"sqlite:///{desk.path}/h.sqlite"
        assert refresh(store, five(desk.path / "five", cases=(DECODE,))) == 0
        (file,) = (store / "h100-sxm" / "mistral-7b-v0.1").glob("*.json")
        good = a_run(
            desk.path / "good", started="2026-11-23T03:00:00+00:00", commit="900d000", cases=[DECODE]
        )
        folder = a_run(
            desk.path / "bad",
            started="2026-11-24T03:00:00+00:00",
            commit="bad0000",
            device_s=0.00822,
            cases=[DECODE],
        )
        verdict = Verdict(
            case=DECODE, status=Status.REGRESSED, reasons=("slower",), baseline_digest=digest(file)
        )
        judged(folder, [verdict])
        assert (keep(good, named(url)), keep(folder, named(url))) == ("", "")
        told = desk.alert(str(folder.path), "--perf-baselines", str(store), "--perf-history", url)

        assert Store(store).load(record(DECODE)) is not None
        assert told.err == ""
        (issue,) = hub.open_issues()
        assert issue["title"] == f"mistral-7b-v0.1 on h100-sxm: 1 case slower, {DECODE} +2.49 %"
        assert "device time +2.49 % (8.020 ms → 8.220 ms)" in issue["body"]
        assert "since 2026-11-24, commits 900d000..bad0000" in issue["body"]

    def test_a_history_that_cannot_be_used_is_a_note(self, desk: Desk, hub: GitHub) -> None:
        (desk.path / "h.sqlite").write_text("this is no database", encoding="utf-8")
        told = desk.alert(
            desk.night(21, Status.REGRESSED), "--perf-history", f"sqlite:///{desk.path}/h.sqlite"
        )

        assert told.code == 0
        assert told.err.startswith("note: since when is not looked up: ")
        assert len(hub.open_issues()) == 1


def planning(run: str, *more: tuple[str, str]) -> RunFolder:
    """The run with a case more in its plan for each model and lane."""
    folder = RunFolder(Path(run))
    info = folder.info()
    lost = (Planned(case=Case.parse(DECODE, model=model), lane=lane) for model, lane in more)
    folder.write_info(replace(info, planned=(*info.planned, *lost)))
    return folder


def judged(folder: RunFolder, verdicts: Sequence[Verdict]) -> None:
    from baselines.run import Verdicts

    folder.write_verdicts(Verdicts(policy_digest="0" * 16, verdicts=tuple(verdicts)))


class TestAnotherStore:
    def test_nobody_is_told_by_another_store_than_the_verdicts(self, desk: Desk, hub: GitHub) -> None:
        """With baselines in a folder of one's own, each good night would be told as an unjudged one."""
        folder = a_run(desk.path / "run", cases=[DECODE])
        verdict = Verdict(case=DECODE, status=Status.WARN, reasons=("no band",), baseline_digest="0" * 16)
        judged(folder, [verdict])
        told = desk.alert(str(folder.path), "--perf-baselines", str(desk.path / "empty"))

        assert (told.code, hub.issues) == (2, {})
        assert (
            f"were judged by baselines that are not in {desk.path}/empty: name their store with" in told.err
        )


class TestSilentNights:
    @pytest.mark.parametrize("status", [Status.INVALID, Status.NO_BASELINE, None])
    def test_what_judged_nothing_touches_no_regression(
        self, desk: Desk, hub: GitHub, status: Status | None
    ) -> None:
        desk.alert(desk.night(21, Status.REGRESSED))
        before = dict(hub.issues[1])
        told = desk.alert(desk.night(22, status))

        assert told.code == 0
        assert hub.issues[1] == before
        why = f"{status.value}: a test" if status else "not judged"
        assert f"mistral-7b-v0.1 on h100-sxm: {why} (2 cases)" in hub.issues[2]["body"].replace("\\", "")

    def test_a_run_without_a_record_says_why(self, desk: Desk, hub: GitHub) -> None:
        folder = run_folder(desk.path / "none", [], not_run={DECODE: "no usable GPU: it is gone"})
        desk.alert(str(folder.path), "--name", "weekly")

        (issue,) = hub.open_issues()
        assert issue["title"] == "No weekly result: nothing was measured or judged"
        assert "no usable GPU: it is gone (1 case)" in issue["body"]

    def test_so_does_a_model_without_a_record_beside_one_that_was_judged(
        self, desk: Desk, hub: GitHub
    ) -> None:
        """Whatever the model is called."""
        forged = f"@octocat **x**\n{MISTRAL.comment}"
        folder = planning(desk.night(21, Status.PASS), ("qwen3-8b", "gpu"), (forged, "gpu"))
        desk.alert(str(folder.path))

        (issue,) = hub.open_issues()
        assert issue["title"] == "No nightly result: of 2 models nothing was measured or judged"
        assert "qwen3-8b in the gpu lane: not finished (1 case)" in issue["body"].replace("\\", "")
        assert not MISTRAL.of(issue["body"])
        assert "@octocat" not in issue["body"]
        assert "**x**" not in issue["body"]

    def test_so_does_a_lane_without_a_record(self, desk: Desk, hub: GitHub) -> None:
        """Though the other one measured the same model."""
        folder = planning(desk.night(21, Status.PASS), ("mistral-7b-v0.1", "cpu"))
        desk.alert(str(folder.path))

        (issue,) = hub.open_issues()
        assert "mistral-7b-v0.1 in the cpu lane: not finished (1 case)" in issue["body"].replace("\\", "")

    def test_two_names_are_two_issues(self, desk: Desk, hub: GitHub) -> None:
        for name in ("nightly", "weekly", "weekly"):
            desk.alert(desk.night(21, None), "--name", name)

        assert len(hub.open_issues()) == 2


class TestWatching:
    def watch(self, desk: Desk, *more: str) -> Told:
        return desk.run("watch", "--artifact", "run-h100", "--hours", "26", *more)

    def test_a_night_without_an_artifact_is_told_once(self, desk: Desk, hub: GitHub) -> None:
        hub.add_artifact("run-h100", "2026-01-01T05:00:00Z")
        hub.add_artifact("run-other", ago(1))
        hub.add_artifact("run-h100", ago(1), expired=True)
        first, second = self.watch(desk), self.watch(desk)

        assert (first.code, second.code) == (0, 0)
        (issue,) = hub.open_issues()
        assert issue["title"] == "No nightly result: none arrived in time"
        assert (
            "no artifact run-h100 of the last 26 h: the newest is of 2026-01-01T05:00+00:00" in issue["body"]
        )
        assert len(hub.messages) == 1

    def test_there_never_was_one(self, desk: Desk, hub: GitHub) -> None:
        self.watch(desk)

        assert "no artifact run-h100 of the last 26 h: there is none" in hub.issues[1]["body"]

    def test_a_result_is_there(self, desk: Desk, hub: GitHub) -> None:
        hub.add_artifact("run-h100", "2026-01-01T05:00:00Z")
        hub.add_artifact("run-h100", ago(2))
        told = self.watch(desk)

        assert (told.code, hub.issues, hub.messages) == (0, {}, [])
        assert "run-h100: a result of 2.0 h ago is there" in told.out

    def test_a_pull_requests_artifact_of_the_same_name_is_none(self, desk: Desk, hub: GitHub) -> None:
        hub.add_artifact("run-h100", ago(1), branch="patch-1")
        hub.add_artifact("run-h100", ago(1), fork=True)
        self.watch(desk)

        assert "there is none" in hub.issues[1]["body"]

    def test_a_night_that_left_none_is_told_whatever_came_before(self, desk: Desk, hub: GitHub) -> None:
        """An older night's artifact says nothing of this one."""
        hub.add_artifact("run-h100", ago(2))
        told = self.watch(desk, "--none-arrived")

        assert told.code == 0
        assert "the night left no artifact run-h100, or it could not be fetched" in hub.issues[1]["body"]
        assert len(hub.messages) == 1

    def test_only_a_judged_run_closes_it(self, desk: Desk, hub: GitHub) -> None:
        self.watch(desk)
        hub.add_artifact("run-h100", ago(1))
        self.watch(desk)
        assert len(hub.open_issues()) == 1
        desk.alert(desk.night(22, Status.PASS))

        assert hub.open_issues() == []

    def test_who_may_not_look_is_told_what_is_needed(self, desk: Desk, hub: GitHub) -> None:
        hub.fail(Failure(method="GET", path="artifacts", status=403, message="Resource not accessible"))
        told = self.watch(desk)

        assert told.code == 1
        assert told.err == (
            "error: GitHub: refused (403): Resource not accessible; the token needs the permission "
            "`actions: read`; not delivered: whether run-h100 arrived\n"
        )


def ago(hours: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600 * hours))


# What GitHub may answer, or not, and what is said of it.
FAILURES: tuple[tuple[dict, str], ...] = (
    ({"status": 401, "message": "Bad credentials"}, "the token was refused (401): Bad credentials"),
    (
        {"status": 403, "message": "Resource not accessible by integration"},
        "refused (403): Resource not accessible by integration; the token needs the permission `issues: write`",
    ),
    ({"status": 403, "text": "<html>no</html>"}, "refused (403)"),
    ({"status": 404, "message": "Not Found"}, "owner/gate is not there, or the token cannot see it (404)"),
    ({"status": 410, "message": "Issues are disabled"}, "owner/gate has its issues switched off (410)"),
    (
        {"status": 422, "message": "Validation Failed", "errors": ({"message": "it is full"},)},
        "not taken (422): Validation Failed; it is full",
    ),
    ({"status": 502}, "it failed (502), and did so again when asked again"),
    ({"drop": True}, "cannot be reached (ConnectionError)"),
    ({"hang_s": 1.3}, "no answer within 1 s"),
)
STRANGE: tuple[tuple[dict, str], ...] = tuple(
    ({"status": 200, "text": text}, "the answer is not of the form that is needed")
    for text in ("<html>Sign in</html>", "7", '[{"number": "x"}]')
)


class TestFailures:
    @pytest.mark.parametrize(
        ("method", "failure", "said"),
        [(method, *one) for method in ("GET", "POST") for one in FAILURES]
        + [("GET", *one) for one in STRANGE],
    )
    def test_it_is_said_in_one_line_and_the_webhook_is_told(
        self, desk: Desk, hub: GitHub, method: str, failure: dict, said: str
    ) -> None:
        hub.fail(Failure(method=method, path="/issues", **failure))
        told = desk.alert(desk.night(21, Status.REGRESSED), "--patience", "0")

        assert told.code == 1
        lines = [line for line in told.err.splitlines() if line]
        assert lines
        assert all(line.startswith(f"error: GitHub: {said}") for line in lines)
        assert [m.splitlines()[0] for m in hub.messages] == [
            f"mistral-7b-v0.1 on h100-sxm: 2 cases regressed, {DECODE}"
        ]

    def test_nobody_listens(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("ROOFGATE_WEBHOOK", f"http://127.0.0.1:1{HOOK}")
        told = desk.alert(desk.night(21, Status.REGRESSED))

        assert told.code == 1
        assert "GitHub: cannot be reached" in told.err
        assert "the webhook: cannot be reached" in told.err

    @pytest.mark.parametrize("failure", [{"status": 503}, {"drop": True}, {"hang_s": 1.3}])
    @pytest.mark.parametrize("done", [False, True])
    def test_what_is_created_is_created_once(
        self,
        desk: Desk,
        hub: GitHub,
        failure: dict,
        done: bool,  # noqa: FBT001 - pytest gives it by name
    ) -> None:
        """However often it fails before, and though it was done when it failed."""
        hub.fail(Failure(method="POST", path="/issues$", times=2, done=done, **failure))
        told = desk.alert(desk.night(21, Status.REGRESSED))
        hub.fail(Failure(method="POST", path="/comments$", times=2, done=done, **failure))
        moved = desk.alert(desk.night(22, Status.IMPOSSIBLE))

        assert (told.code, told.err, moved.code, moved.err) == (0, "", 0, "")
        assert (len(hub.issues), len(hub.said(1)), len(hub.messages)) == (1, 1, 2)

    def test_a_short_outage_is_outlasted(self, desk: Desk, hub: GitHub) -> None:
        hub.fail(Failure(method="GET", path="/", status=502, times=3))
        desk.alert(desk.night(21, Status.REGRESSED))
        hub.fail(Failure(method="PATCH", path="/", status=500, times=3))
        told = desk.alert(desk.night(22, Status.REGRESSED))

        assert (told.code, told.err) == (0, "")
        assert "in 2 nights" in hub.issues[1]["body"]

    def test_a_comment_is_not_said_twice_though_the_edit_failed(self, desk: Desk, hub: GitHub) -> None:
        desk.alert(desk.night(21, Status.REGRESSED))
        hub.fail(Failure(method="PATCH", path="/", status=500))
        folder = desk.night(22, Status.IMPOSSIBLE)
        assert desk.alert(folder).code == 1
        hub.heal()
        assert desk.alert(folder).code == 0

        assert len(hub.said(1)) == 1
        assert "impossible" in hub.issues[1]["title"]

    def test_a_repository_that_was_renamed_is_followed(self, desk: Desk, hub: GitHub) -> None:
        moved = {"Location": f"{hub.address}/repos/{REPOSITORY}"}
        hub.fail(Failure(method="GET", path="/repos/owner/old$", status=301, headers=moved))
        told = desk.alert(desk.night(21, Status.REGRESSED), "--repo", "owner/old")

        assert (told.code, told.err, len(hub.issues)) == (0, "", 1)

    def test_a_label_that_was_dropped_is_said(self, desk: Desk, hub: GitHub) -> None:
        """GitHub drops it silently where the token may not set it; nobody would find the issue."""
        hub.keeps_labels = False
        told = desk.alert(desk.night(21, Status.REGRESSED))

        assert told.code == 1
        assert "issue #1 could not be given its label" in told.err
        assert hub.open_issues() == []

    def test_a_word_of_the_server_draws_nothing_out(self, desk: Desk, hub: GitHub) -> None:
        evil = f"no\n::set-output name=x::{TOKEN}\x1b[31m" + "x" * 5000
        hub.fail(Failure(method="GET", path="/issues", status=422, message=evil))
        told = desk.alert(desk.night(21, Status.PASS))

        assert all(len(line) < 300 and line.isprintable() for line in told.err.splitlines())
        assert not any(line.startswith("::") for line in told.err.splitlines())

    def test_a_record_that_holds_the_token_gives_it_to_nobody(self, desk: Desk, hub: GitHub) -> None:
        folder = desk.night(21, None)
        judged(
            RunFolder(Path(folder)),
            [Verdict(case=DECODE, status=Status.REGRESSED, reasons=(f"{TOKEN} {hub.address}{HOOK}",))],
        )
        desk.alert(folder, "--dry-run")
        desk.alert(folder)

        assert "*** ***" in hub.issues[1]["body"].replace("\\", "")


class TestRateLimits:
    def test_a_limit_that_ends_soon_is_waited_for(self, desk: Desk, hub: GitHub) -> None:
        hub.fail(rate_limit(reset=int(time.time()) + 1, times=1))
        hub.fail(
            Failure(
                method="POST",
                path="/issues$",
                status=403,
                headers={"Retry-After": "1"},
                message="You have exceeded a secondary rate limit.",
                times=1,
            )
        )
        hub.fail(Failure(method="POST", path=HOOK, status=429, headers={"Retry-After": "1"}, times=1))
        began = time.monotonic()
        told = desk.alert(desk.night(21, Status.REGRESSED))

        assert (told.code, told.err) == (0, "")
        assert time.monotonic() - began >= 3
        assert (len(hub.issues), len(hub.messages)) == (1, 1)

    @pytest.mark.parametrize(
        "failure",
        [
            {"status": 403, "headers": {"Retry-After": "3600"}},
            {"status": 429, "headers": {"Retry-After": "3600"}},
            {"status": 503, "headers": {"Retry-After": "3600"}},
            {"status": 403, "message": "You have exceeded a secondary rate limit. Please wait."},
            {"status": 429, "message": "Too many requests"},
            {
                "status": 429,
                "headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"},
            },
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_one_that_lasts_is_not(self, desk: Desk, hub: GitHub, failure: dict, method: str) -> None:
        hub.fail(Failure(method=method, path="/issues", **failure))
        told = desk.alert(desk.night(21, Status.REGRESSED), "--patience", "5")

        assert told.code == 1
        assert "rate limit" in told.err or failure["status"] == 503
        assert len(hub.messages) == 1
        asked = [r for r in hub.received if r.startswith(f"{method} /repos/{REPOSITORY}/issues")]
        assert len(asked) <= (8 if failure["status"] == 503 else 2)

    def test_until_when_is_said(self, desk: Desk, hub: GitHub) -> None:
        reset = int(time.time()) + 3600
        hub.fail(rate_limit(reset=reset))
        told = desk.alert(desk.night(21, Status.PASS), "--patience", "5")

        day = time.strftime("%Y-%m-%dT", time.gmtime(reset + 1))
        assert f"error: GitHub: rate limit until {day}" in told.err
        assert (
            "longer than --patience 5 s (403); not delivered: mistral-7b-v0.1 on h100-sxm: nothing fails"
            in told.err
        )


class TestWebhook:
    @pytest.mark.parametrize(
        ("failure", "said"),
        [
            ({"status": 404, "text": "no_service"}, "it answered 404; is ROOFGATE_WEBHOOK right?"),
            ({"status": 403, "text": "invalid_token"}, "it answered 403; is ROOFGATE_WEBHOOK right?"),
            ({"status": 302, "headers": {"Location": "/elsewhere"}}, "it answered 302"),
            ({"status": 500}, "it answered 500"),
            ({"status": 429, "headers": {"Retry-After": "999"}}, "rate limit until "),
            (
                {"status": 429, "headers": {"Retry-After": "Sun, 01 Jun 2199 12:00:00 GMT"}},
                "rate limit until 2199-06-01T",
            ),
            (
                {"status": 429, "headers": {"Retry-After": "soon"}},
                "rate limit; --patience 5 s did not outlast it",
            ),
            ({"drop": True}, "cannot be reached (ConnectionError)"),
            ({"hang_s": 1.3}, "no answer within 1 s"),
        ],
    )
    def test_github_is_told_all_the_same(self, desk: Desk, hub: GitHub, failure: dict, said: str) -> None:
        hub.fail(Failure(method="POST", path=HOOK, **failure))
        told = desk.alert(desk.night(21, Status.REGRESSED), "--patience", "5")

        assert told.code == 1
        assert told.err.startswith(f"error: the webhook: {said}")
        assert len(told.err.splitlines()) == 1
        assert len(hub.open_issues()) == 1
        assert not any("/elsewhere" in request for request in hub.received)

    @pytest.mark.parametrize("failure", [{"status": 500}, {"drop": True}, {"hang_s": 1.3}])
    def test_a_short_outage_is_outlasted(self, desk: Desk, hub: GitHub, failure: dict) -> None:
        hub.fail(Failure(method="POST", path=HOOK, times=2, **failure))

        assert desk.alert(desk.night(21, Status.REGRESSED)).code == 0
        assert len(hub.messages) == 1

    def test_a_log_of_what_went_wrong_does_not_name_it(
        self, desk: Desk, hub: GitHub, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        for failure in ({"drop": True}, {"status": 500}, {"hang_s": 1.3}):
            hub.fail(Failure(method="POST", path=HOOK, times=1, **failure))
            hub.fail(Failure(method="GET", path="/issues", times=1, **failure))
        assert desk.alert(desk.night(21, Status.REGRESSED)).code == 0

        assert "Retrying" in caplog.text
        assert HOOK not in caplog.text
        assert TOKEN not in caplog.text

    def test_alone_it_speaks_after_every_run_that_fails(
        self, desk: Desk, hub: GitHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("GITHUB_TOKEN")
        for night, status in ((21, Status.REGRESSED), (22, Status.REGRESSED), (23, Status.PASS), (24, None)):
            assert desk.alert(desk.night(night, status)).code == 0

        assert [m.splitlines()[0][:24] for m in hub.messages] == [
            "mistral-7b-v0.1 on h100-",
            "mistral-7b-v0.1 on h100-",
            "No nightly result: nothi",
        ]
        assert all("/hook" in request for request in hub.received)


class TestAtOnce:
    def test_runs_that_open_the_same_leave_one(self, hub: GitHub, tmp_path: Path) -> None:
        """Real processes, of which each has looked, and found none, before any creates."""
        sides = 2
        hub.creating = threading.Barrier(sides, timeout=100).wait
        stamp = "2026-11-22T03:00:00+00:00"
        folders = [
            a_run(tmp_path / f"run-{i}", started=stamp, status=Status.REGRESSED).path for i in range(sides)
        ]
        started = [command(hub, tmp_path, "alert", str(folder), "--timeout", "100") for folder in folders]
        said = [one.communicate(timeout=200) for one in started]

        assert [one.returncode for one in started] == [0] * sides
        assert len(hub.issues) == sides
        assert [one["number"] for one in hub.open_issues()] == [1]
        for number in range(2, sides + 1):
            assert hub.issues[number]["state_reason"] == "not_planned"
            assert len(hub.said(number)) == 1
            assert hub.said(number)[0].startswith("Duplicate of #")
        assert len(hub.messages) == 1
        assert sum("another run opened it meanwhile" in out for out, _ in said) == sides - 1
        assert not any(secret in "".join(pair) for pair in said for secret in (TOKEN, HOOK))

    def test_what_a_dead_run_left_is_closed_by_the_next(self, desk: Desk, hub: GitHub) -> None:
        desk.alert(desk.night(21, Status.REGRESSED))
        hub.add_issue(hub.issues[1]["title"], hub.issues[1]["body"])
        desk.alert(desk.night(22, Status.REGRESSED))

        assert [one["number"] for one in hub.open_issues()] == [1]
        assert hub.said(2) == ["Duplicate of #1: two runs opened it at once."]


def command(hub: GitHub, root: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """A process of the real command line, in an environment of its own."""
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES} | {
        "PYTHONPATH": str(ROOT),
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_API_URL": hub.address,
        "ROOFGATE_WEBHOOK": f"{hub.address}{HOOK}",
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "reports", *arguments],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestCommandLine:
    def test_a_night_through_the_real_command(self, hub: GitHub, tmp_path: Path) -> None:
        """With the pauses between writes that GitHub asks for, and a run of its CI. Connections
        are lost on the way, which is no news."""
        hub.fail(Failure(method="GET", path="/issues", drop=True, times=1))
        hub.fail(Failure(method="POST", path=HOOK, drop=True, times=1))
        folder = str(a_run(tmp_path / "run", status=Status.REGRESSED).path)
        place = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "4711"}
        out, err = command(hub, tmp_path, "alert", folder, **place).communicate(timeout=200)

        assert (err, out.splitlines()[-1]) == ("", "nightly: a result is there")
        assert "https://github.com/owner/gate/actions/runs/4711" in hub.issues[1]["body"]
        assert "actions/runs/4711" in hub.messages[0]

    def test_a_dry_run_reads_and_writes_nothing(self, desk: Desk, hub: GitHub) -> None:
        first = desk.alert(desk.night(21, Status.REGRESSED), "--dry-run")
        assert "would open an issue: mistral-7b-v0.1 on h100-sxm: 2 cases regressed" in first.out
        assert "| case " in first.out
        desk.alert(desk.night(21, Status.REGRESSED))
        written = list(hub.writes)
        second = desk.alert(desk.night(22, Status.PASS), "--dry-run")
        desk.run("watch", "--artifact", "x", "--dry-run")

        assert "would close #1: mistral-7b-v0.1 on h100-sxm: 2 cases recovered" in second.out
        assert hub.writes == written

    def test_a_dry_run_needs_no_channel(
        self, desk: Desk, hub: GitHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("GITHUB_TOKEN")
        told = desk.alert(desk.night(21, Status.REGRESSED), "--dry-run")

        assert (told.code, hub.received) == (0, [])
        assert "would open an issue" in told.out

    @pytest.mark.parametrize(
        "wrong",
        [
            ({"GITHUB_TOKEN": "", "ROOFGATE_WEBHOOK": ""}, [], "nobody to tell: set GITHUB_TOKEN and "),
            ({"GITHUB_REPOSITORY": ""}, [], "GITHUB_TOKEN is set and no repository is named"),
            ({}, ["--repo", "gate"], "'gate' is no repository; owner/name is needed"),
            ({"GITHUB_TOKEN": "ghp_a b"}, [], "GITHUB_TOKEN holds what no token does"),
            ({"ROOFGATE_WEBHOOK": "hooks.slack.com/secret"}, [], "ROOFGATE_WEBHOOK is no address"),
            ({"GITHUB_API_URL": "ftp://x"}, [], "GITHUB_API_URL is no address"),
            ({}, ["--patience", "nan"], "--patience nan: seconds from 0 on are needed"),
            ({}, ["--name", ""], "what --name gives '' names no file"),
        ],
    )
    def test_what_cannot_be_meant_is_bad_input(
        self, desk: Desk, hub: GitHub, monkeypatch: pytest.MonkeyPatch, wrong: tuple[dict, list, str]
    ) -> None:
        changed, more, said = wrong
        for name, value in changed.items():
            monkeypatch.setenv(name, value)
        told = desk.alert(desk.night(21, Status.REGRESSED), *more)

        assert (told.code, hub.received) == (2, [])
        assert told.err.startswith(f"error: {said}")
        assert len(told.err.splitlines()) == 1
        assert "secret" not in told.err
        assert "ghp_" not in told.err

    def test_a_run_that_cannot_be_read_is_bad_input(self, desk: Desk, hub: GitHub) -> None:
        empty = desk.path / "empty"
        empty.mkdir()
        newer, half, again = (Path(desk.night(n, Status.PASS)) for n in (21, 22, 23))
        text = (newer / "run.json").read_text(encoding="utf-8")
        (newer / "run.json").write_text(text.replace('"schema": ', '"schema": 9'), encoding="utf-8")
        (half / "verdicts.json").write_text('{"schema"', encoding="utf-8")
        RunFolder(again).disown("slowed on purpose")

        for folder, said in (
            (empty, "not a run's folder"),
            (newer, "newer than this Roofgate reads"),
            (half, "not JSON, or cut short"),
            (again, "nobody is told of what is no session: slowed on purpose"),
        ):
            told = desk.alert(str(folder))
            assert (told.code, len(told.err.splitlines())) == (2, 1)
            assert said in told.err
        assert hub.writes == []

    def test_without_the_extra_it_says_what_to_install(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in [
            n for n in sys.modules if n.partition(".")[0] == "github" or n.startswith("reports.alerts.")
        ]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "github", None)
        told = desk.alert(desk.night(21, Status.PASS))

        assert (told.code, told.err) == (
            1,
            "error: alerts need PyGithub and requests: pip install 'roofgate[alerts]'\n",
        )

    def test_other_commands_do_not_import_it(self) -> None:
        code = "import sys, reports.__main__; sys.exit('github' in sys.modules or 'requests' in sys.modules)"

        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
