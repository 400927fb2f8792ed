"""What is to be done about an issue after a night, and in which words: decided without a network."""

import html
import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from baselines.verdict import Status
from perf_tests.selftests.alerts import DECODE, LONG, PAGE, PREFILL, after, opened, problem, standing
from reports.alerts import regression, silence, wording
from reports.alerts.action import Action, Issue, Kind
from reports.alerts.ci_page import page_of
from reports.alerts.silence import MISSING, UNMEASURED, Silent
from reports.alerts.state import Regression, Said, hidden, read
from reports.standing import Standing

EVIL = "@team see #12 <!-- roofgate:key --> --> </details> | `x` <b>*bold*</b> [a](http://b)"


def decide(now: Standing, issue: Issue | None) -> Action:
    return regression.decide(now, issue, PAGE)


class TestOpening:
    def test_what_fails_is_told(self) -> None:
        action = decide(standing(problem(), problem(PREFILL, change=0.004, counts=["launches 9 → 10"])), None)

        assert action.kind is Kind.OPEN
        assert action.title == f"mistral-7b-v0.2 on h100-sxm: 2 cases regressed, {DECODE} +1.05 %"
        assert action.message.splitlines()[1:3] == [
            f"{DECODE}: device time +1.05 % (7.800 ms → 7.882 ms); most in gate +0.040 ms",
            f"{PREFILL}: device time +0.40 % (7.800 ms → 7.831 ms); most in gate +0.040 ms; launches 9 → 10",
        ]

    def test_the_title_names_the_worst(self) -> None:
        assert decide(standing(problem(), problem(LONG, change=0.03)), None).title == (
            f"mistral-7b-v0.2 on h100-sxm: 2 cases slower, {LONG} +3.00 %"
        )
        assert decide(standing(problem(change=0.0001, counts=["launches 9 → 10"])), None).title == (
            f"mistral-7b-v0.2 on h100-sxm: 1 case regressed, {DECODE} launches 9 → 10"
        )
        assert decide(standing(problem(change=None, status=Status.BELOW_BAND)), None).title == (
            f"mistral-7b-v0.2 on h100-sxm: 1 case below band, {DECODE}"
        )

    def test_the_verdict_stands_first(self) -> None:
        body = decide(standing(problem()), None).body
        shown = [line for line in body.splitlines() if line and not line.startswith("<!--")]

        assert shown[0] == (
            f"**1 case of mistral-7b-v0.2 on h100-sxm slower.** `{DECODE}`: "
            "device time +1.05 % (7.800 ms → 7.882 ms); most in gate +0.040 ms."
        )
        assert "NVIDIA H100 80GB HBM3" in body
        assert "https://github.com/owner/gate/actions/runs/77" in body
        assert "--accept-regression" in body

    def test_nothing_is_said_of_a_run_that_passes(self) -> None:
        assert decide(standing(settled=[DECODE]), None).kind is Kind.NOTHING

    def test_nothing_is_said_of_a_run_that_judged_nothing(self) -> None:
        silent = standing(unknown={DECODE: "invalid: hot"}, night=23)

        assert decide(silent, None).kind is Kind.NOTHING
        assert decide(silent, opened(problem())).kind is Kind.NOTHING


class TestFollowing:
    def test_the_same_again_is_kept_true_silently(self) -> None:
        first = opened(problem())
        second = decide(standing(problem(change=0.0120), night=23), first)
        third = decide(standing(problem(), night=24), after(second))

        assert (second.kind, third.kind) == (Kind.UPDATE, Kind.UPDATE)
        assert (second.comment, second.message) == ("", "")
        assert "in 3 nights, first on 2026-11-22" in third.body
        assert second.title.endswith("+1.20 %")

    def test_the_same_run_again_changes_nothing(self) -> None:
        first = opened(problem())
        windows = replace(first, body=first.body.replace("\n", "\r\n"))

        assert decide(standing(problem()), first).kind is Kind.NOTHING
        assert decide(standing(problem()), windows).kind is Kind.NOTHING

    def test_two_runs_of_one_date_are_one_night(self) -> None:
        again = replace(standing(problem(), night=22), started="2026-11-22T23:00:00+00:00", run="b")

        assert "in 1 night, first on 2026-11-22" in decide(again, opened(problem())).body

    def test_an_older_run_says_nothing(self) -> None:
        issue = opened(problem(), night=23)

        assert decide(standing(settled=[DECODE], night=22), issue).kind is Kind.NOTHING
        assert decide(standing(problem(LONG), night=22), issue).kind is Kind.NOTHING

    @pytest.mark.parametrize(
        ("said", "now", "kind"),
        [
            (0.0105, 0.0150, Kind.UPDATE),  # less than half a point
            (0.0105, 0.0160, Kind.MOVE),
            (0.0105, 0.0050, Kind.MOVE),
            (0.1000, 0.1240, Kind.UPDATE),  # less than a quarter of it
            (0.1000, 0.1260, Kind.MOVE),
        ],
    )
    def test_a_size_moves_by_more_than_the_margin(self, said: float, now: float, kind: Kind) -> None:
        assert decide(standing(problem(change=now), night=23), opened(problem(change=said))).kind is kind

    def test_a_slow_creep_is_told_once_it_adds_up(self) -> None:
        """Sizes are held against what was last said, not against last night's."""
        issue, kinds = opened(problem(change=0.010)), []
        for night, change in enumerate((0.014, 0.018, 0.022), start=23):
            action = decide(standing(problem(change=change), night=night), issue)
            kinds.append(action.kind)
            issue = after(action)

        assert kinds == [Kind.UPDATE, Kind.MOVE, Kind.UPDATE]

    def test_what_was_not_said_is_not_taken_for_said(self) -> None:
        """Another case's movement, told meanwhile, does not hide a creep."""
        issue = opened(problem(), problem(LONG))
        first = decide(standing(problem(change=0.014), problem(LONG, change=0.05), night=23), issue)
        second = decide(standing(problem(change=0.018), problem(LONG, change=0.05), night=24), after(first))

        assert (first.kind, second.kind) == (Kind.MOVE, Kind.MOVE)
        assert second.message.splitlines()[1:-1] == [f"{DECODE}: +1.05 % → +1.80 %"]

    @pytest.mark.parametrize(
        ("now", "said"),
        [
            ([problem(), problem(LONG)], f"{LONG}: fails too, +1.05 %"),
            ([problem(status=Status.IMPOSSIBLE, change=None)], f"{DECODE}: regressed → impossible"),
            ([problem(counts=["launches 9 → 10"])], f"{DECODE}: +1.05 % → +1.05 %, launches 9 → 10"),
        ],
    )
    def test_what_moved_is_commented_on(self, now: list, said: str) -> None:
        action = decide(standing(*now, night=23), opened(problem()))

        assert action.kind is Kind.MOVE
        assert f"- {wording.safe(said)}" in action.comment.splitlines()
        assert said in action.message.splitlines()
        assert read(Regression, action.body).cases[DECODE].status == now[0].status.value

    def test_one_of_two_recovers(self) -> None:
        issue = opened(problem(), problem(LONG))
        action = decide(standing(problem(), settled=[LONG], night=23), issue)

        assert action.kind is Kind.MOVE
        assert f"{LONG}: recovered" in action.message
        assert set(read(Regression, action.body).cases) == {DECODE}


class TestRecovering:
    def test_all_that_failed_were_judged_and_pass(self) -> None:
        action = decide(standing(settled=[DECODE], night=23), opened(problem()))

        assert action.kind is Kind.CLOSE
        assert action.comment.startswith("**Recovered")
        assert action.message.startswith("Recovered: mistral-7b-v0.2 on h100-sxm: 1 case recovered")

    def test_cases_of_no_concern_may_be_unknown(self) -> None:
        now = standing(settled=[DECODE], unknown={LONG: "invalid: hot"}, night=23)

        assert decide(now, opened(problem())).kind is Kind.CLOSE

    @pytest.mark.parametrize("unknown", [{DECODE: "invalid: hot"}, {}], ids=["not judged", "not in the run"])
    def test_a_case_that_was_not_judged_stays(self, unknown: dict[str, str]) -> None:
        """It neither recovers nor gets worse, night after night, and the nights are not counted."""
        issue = opened(problem())
        action = decide(standing(settled=[LONG], unknown=unknown, night=23), issue)

        assert action.kind is Kind.UPDATE
        assert f"Not judged by the last run, so neither recovered nor worse: `{DECODE}`" in action.body
        assert action.title == issue.title
        state = read(Regression, action.body)
        assert (state.nights, state.cases[DECODE]) == (1, Said(status="regressed", change=0.0105, counts=()))
        assert decide(standing(settled=[DECODE], night=24), after(action)).kind is Kind.CLOSE

    def test_it_fails_as_before_after_a_night_without_a_word(self) -> None:
        between = after(decide(standing(settled=[LONG], night=23), opened(problem())))

        assert decide(standing(problem(), night=24), between).kind is Kind.UPDATE


class TestLostState:
    EDITED = (
        lambda body: re.sub("<!-- roofgate:state .* -->", "", body),
        lambda body: body.replace('"schema": 1', '"schema": 2'),
        lambda body: body.replace('"nights": 1', '"nights": "many"'),
        lambda body: body.replace('"nights": 1', '"nights": 1' + "0" * 5000),
        lambda body: body.replace("2026-11-22T03:00:00+00:00", "yesterday"),
        lambda body: body.replace("roofgate:state {", "roofgate:state {{"),
        lambda body: re.sub("roofgate:state .* -->", "roofgate:state {" + '"a":[' * 5000 + "} -->", body),
    )

    @pytest.mark.parametrize("edit", EDITED)
    def test_it_is_written_anew(self, edit) -> None:  # noqa: ANN001 - a lambda of the list above
        issue = opened(problem())
        hurt = replace(issue, body=edit(issue.body))
        action = decide(standing(problem(), night=23), hurt)

        assert read(Regression, hurt.body) is None
        assert action.kind is Kind.UPDATE
        assert read(Regression, action.body).first == "2026-11-23T03:00:00+00:00"

    def test_it_is_closed_only_where_every_case_says_so(self) -> None:
        hurt = replace(opened(problem()), body="")

        assert decide(standing(settled=[LONG], unknown={DECODE: "hot"}, night=23), hurt).kind is Kind.NOTHING
        assert decide(standing(settled=[LONG, DECODE], night=23), hurt).kind is Kind.CLOSE

    def test_a_state_too_large_is_left_out(self) -> None:
        cases = {f"case-{i}": Said(status="regressed", change=0.1, counts=()) for i in range(1000)}
        state = Regression(first="2026-11-22", last="2026-11-22", nights=1, cases=cases)
        key = regression.key_of(standing())

        assert len(hidden(key, state)) < 1000
        assert key.of(hidden(key, state))
        assert read(Regression, hidden(key, state)) is None


class TestWords:
    def test_text_from_a_record_stays_text(self) -> None:
        """No mention, no reference, no markup, and no comment that could pass for Roofgate's."""
        action = decide(standing(problem(reasons=[EVIL], operators=[EVIL]), unknown={LONG: EVIL}), None)
        moved = decide(standing(problem(LONG, counts=[EVIL]), night=23), opened(problem()))

        for text in (action.body, moved.comment):
            assert not re.search(r"@\w|#\d", text)
            shown = MarkdownIt("commonmark").enable("table").render(text)
            assert not re.search(r"<(b|em|a|code)\b[^>]*>(x|bold|a)<", shown)
            assert "@<!-- -->team see #<!-- -->12" in shown
            assert html.unescape(re.sub("<!-- -->", "", shown)).count(EVIL) >= 1
        assert action.body.count("\n</details>") == 2
        assert [line for line in action.body.splitlines() if line.startswith("<!--")] == (
            action.body.splitlines()[:2]
        )

    def test_a_name_cannot_end_the_comment(self) -> None:
        now = replace(standing(problem()), model="a --> <b>", gpu='x"]}')
        body = decide(now, None).body

        assert body.splitlines()[0].count("-->") == 1
        assert regression.key_of(now).of(body)
        assert read(Regression, body) is not None
        assert not regression.key_of(standing()).of(body)

    def test_what_is_too_long_is_cut_and_says_where_the_rest_is(self) -> None:
        many = [problem(f"decode-b1-c{n}-fp16-eager", reasons=["x" * 2000]) for n in range(1, 60)]
        long = decide(replace(standing(*many), model="m" * 300), None)

        assert len(long.title) == 256
        assert len(long.body) <= 65_536
        assert long.body.endswith(f"Cut here: the rest is in the run's `report.html`, {PAGE.url}.")
        assert read(Regression, long.body).nights == 1

    def test_many_cases_are_counted(self) -> None:
        many = [problem(f"decode-b1-c{n}-fp16-eager") for n in range(1, 200)]
        action = decide(standing(*many), None)

        assert "and 99 more" in action.body
        assert "and 179 more" in action.message

    def test_a_chat_is_called_by_nobody(self) -> None:
        assert wording.chat("<!channel> @here & <b>") == "&lt;!channel&gt; @\u200bhere &amp; &lt;b&gt;"
        assert len(wording.chat("x" * 9999)) == 3000


class TestSilence:
    HOT = Silent(
        name="nightly",
        what=UNMEASURED,
        reasons=(EVIL,),
        at="2026-11-22T03:00:00+00:00",
        after="2026-11-22T03:00:00+00:00",
    )
    LATE = Silent(
        name="nightly",
        what=MISSING,
        reasons=("no artifact",),
        at="2026-11-23T08:00:00+00:00",
        after="2026-11-22T05:00:00+00:00",
    )

    def test_it_is_opened_with_the_reasons(self) -> None:
        action = silence.decide(self.HOT, None, PAGE)

        assert (action.kind, action.title) == (Kind.OPEN, "No nightly result: nothing was measured or judged")
        assert wording.safe(EVIL) in action.body

    def test_the_next_night_updates_it_silently(self) -> None:
        issue = after(silence.decide(self.HOT, None, PAGE))
        at = "2026-11-23T03:00:00+00:00"
        action = silence.decide(replace(self.HOT, at=at, after=at), issue, PAGE)

        assert (action.kind, action.message) == (Kind.UPDATE, "")
        assert "2 nights, first on 2026-11-22" in action.body
        assert silence.decide(self.HOT, issue, PAGE).kind is Kind.NOTHING

    def test_something_else_that_lacks_is_told(self) -> None:
        action = silence.decide(self.LATE, after(silence.decide(self.HOT, None, PAGE)), PAGE)

        assert (action.kind, action.title) == (Kind.MOVE, "No nightly result: none arrived in time")

    def test_a_run_that_was_missed_and_is_late_ends_it(self) -> None:
        """It began before anybody missed it, and after the newest result."""
        issue = after(silence.decide(self.LATE, None, PAGE))

        def heard(started: str) -> Kind:
            return silence.decide_heard("nightly", issue, PAGE, run="r", started=started).kind

        assert heard("2026-11-23T03:00:00+00:00") is Kind.CLOSE
        assert heard("2026-11-22T03:00:00+00:00") is Kind.NOTHING

    def test_a_result_where_nothing_is_missed_needs_no_word(self) -> None:
        action = silence.decide_heard("nightly", None, PAGE, run="r", started="2026-11-22")

        assert action.kind is Kind.NOTHING

    def test_reasons_are_said_once(self) -> None:
        assert silence.grouped(["hot", "busy", "hot"]) == ("hot (2 cases)", "busy (1 case)")
        assert silence.grouped([str(n) for n in range(25)])[-1] == "and 5 more"


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, None),
        (
            {"GITHUB_REPOSITORY": "owner/gate", "GITHUB_RUN_ID": "7"},
            "https://github.com/owner/gate/actions/runs/7",
        ),
        (
            {"GITHUB_SERVER_URL": "https://git.example", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "7"},
            "https://git.example/a/b/actions/runs/7",
        ),
        ({"GITHUB_REPOSITORY": "owner/gate", "GITHUB_RUN_ID": "7) [x](y"}, None),
    ],
)
def test_the_page_of_the_run(environment: dict[str, str], url: str | None) -> None:
    assert page_of(environment).url == url
