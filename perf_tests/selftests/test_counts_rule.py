"""Counts of a step, exact, against what every session counted; and what may grow because someone said so."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from baselines.allowed import TABLE, Allowed, read_allowed
from baselines.codec import FormatError
from baselines.counts import count_changes
from baselines.policy import Policy
from baselines.record import Counts, Record
from baselines.suite import Stored
from baselines.verdict import Status, Verdict
from perf_tests.selftests.records import soft_key
from perf_tests.selftests.verdicts import DECODE, decode, history, judged, verdict_of

COUNTS = Counts(launches=1301, aten_ops=5116, python_calls=5700, copies=0, syncs=0, allocated_bytes=9)
MORE = replace(COUNTS, syncs=32)


def counted(counts: Counts | None, **changed: object) -> Record:
    plain = decode(**changed)  # type: ignore[arg-type]
    return replace(plain, measurement=replace(plain.measurement, counts=counts))


def stored(*sessions: Counts | None) -> Stored:
    """Five sessions that counted COUNTS, but for those given."""
    plain = history(decode())
    then = (*sessions, *[COUNTS] * 5)[:5]
    kept = tuple(replace(s, counts=c) for s, c in zip(plain.baseline.sessions, then, strict=True))
    return replace(plain, baseline=replace(plain.baseline, sessions=kept))


def said(verdict: Verdict) -> list[str]:
    return [reason for reason in verdict.reasons if "the host does" in reason]


def changes(now: Counts | None, *then: Counts | None) -> list[str]:
    return [str(change) for change in count_changes([now], then)]


class TestCompared:
    def test_what_is_beyond_all_sessions_is_told_with_both_numbers(self) -> None:
        now = replace(COUNTS, syncs=32, python_calls=5699, allocated_bytes=2048)

        assert changes(now, COUNTS, COUNTS) == [
            "Python calls 5,700 -> 5,699",
            "syncs 0 -> 32",
            "bytes allocated 9 -> 2,048",
        ]

    def test_the_same_says_nothing(self) -> None:
        assert changes(COUNTS, COUNTS) == []

    @pytest.mark.parametrize("unknown", [None, Counts(launches=None, aten_ops=5116)])
    def test_what_was_not_counted_says_nothing(self, unknown: Counts | None) -> None:
        assert changes(unknown, COUNTS) == []
        assert changes(COUNTS) == []

    @pytest.mark.parametrize("unknown", [None, Counts(launches=None, aten_ops=5116)])
    def test_who_did_not_count_silences_nobody(self, unknown: Counts | None) -> None:
        more = replace(COUNTS, launches=1400)

        (found,) = count_changes([more, unknown], [COUNTS])
        assert (str(found), found.processes) == ("launches 1,301 -> 1,400", 1)

    def test_what_a_stored_session_found_to_differ_is_no_exact_count(self) -> None:
        more, differs = replace(COUNTS, launches=1400), replace(COUNTS, launches=None)

        assert changes(more, COUNTS, differs) == []
        assert changes(more, COUNTS, None) == ["launches 1,301 -> 1,400"]

    def test_what_sessions_disagree_on_is_compared_with_the_nearest(self) -> None:
        """One odd session must not silence what all others say."""
        odd = replace(COUNTS, python_calls=5702)

        assert changes(replace(COUNTS, python_calls=5701), COUNTS, odd) == []
        assert changes(replace(COUNTS, python_calls=12_071), COUNTS, odd) == ["Python calls 5,702 -> 12,071"]
        assert changes(replace(COUNTS, python_calls=5699), COUNTS, odd) == ["Python calls 5,700 -> 5,699"]

    @pytest.mark.parametrize(
        ("now", "told"), [((32, 32), ["syncs 0 -> 32"]), ((32, 40), ["syncs 0 -> 32"]), ((32, 0), [])]
    )
    def test_all_processes_of_a_run_must_agree(self, now: Sequence[int], told: list[str]) -> None:
        found = count_changes([replace(COUNTS, syncs=n) for n in now], [COUNTS])

        assert [str(change) for change in found] == told


class TestVerdict:
    def test_growth_under_the_same_keys_is_a_regression(self) -> None:
        verdict = verdict_of(counted(MORE), stored())

        assert verdict.status is Status.REGRESSED
        assert verdict.reasons[0].startswith(
            "the host does more for a step: syncs 0 -> 32, at least so many in each of 4 processes; baseline "
        )
        assert (
            f'-k {DECODE} --accept-regression "why", or declare it in baselines/allowed.toml'
            in verdict.reasons[0]
        )

    def test_one_fresh_process_is_asked_first(self) -> None:
        alone = judged([counted(MORE)], {DECODE: stored()}, fresh={})
        agreed = judged([counted(MORE)], {DECODE: stored()}, fresh={DECODE: [counted(MORE)]})
        odd = judged([counted(MORE)], {DECODE: stored()}, fresh={DECODE: [counted(COUNTS)]})

        assert (alone.suspects, agreed.suspects, odd.suspects) == ((DECODE,), (), ())
        assert alone.verdicts[0].status is Status.SUSPECT
        assert "syncs 0 -> 32, not confirmed: no fresh process" in alone.verdicts[0].reasons[0]
        assert agreed.verdicts[0].status is Status.REGRESSED
        assert odd.verdicts[0].status is Status.PASS

    def test_a_count_that_nobody_took_again_holds_up_no_other(self) -> None:
        more = replace(COUNTS, syncs=32, launches=1400)
        again = counted(replace(more, launches=None))
        found = judged([counted(more)], {DECODE: stored()}, fresh={DECODE: [again]})
        sure, unsure = (r for r in found.verdicts[0].reasons if "the host does more" in r)

        assert found.verdicts[0].status is Status.REGRESSED
        assert "syncs 0 -> 32, at least so many in each of 2 processes" in sure
        assert "launches 1,301 -> 1,400, not confirmed: 1 of 3 fresh processes" in unsure
        assert found.suspects == (DECODE,)

    def test_where_none_is_to_be_asked_it_fails_at_once(self) -> None:
        verdict = verdict_of(counted(MORE), stored(), fresh=[], policy=Policy(rounds=0))

        assert verdict.status is Status.REGRESSED
        assert "syncs 0 -> 32; baseline" in verdict.reasons[0]

    def test_what_is_counted_no_more_cannot_be_judged(self) -> None:
        """As where a change makes the launches differ from step to step."""
        verdict = verdict_of(counted(replace(COUNTS, launches=None)), stored())

        assert verdict.status is Status.AMBIGUOUS
        assert verdict.reasons[0].startswith(
            "launches: every stored session counted them, and this run did not"
        )

    @pytest.mark.parametrize("key", ["driver", "torch", "transformers", "bitsandbytes", "python"])
    def test_with_other_software_it_is_a_warning_that_names_it(self, key: str) -> None:
        soft = replace(soft_key(), **{key: "9.9"})
        verdict = verdict_of(counted(MORE, soft=soft), stored())

        assert verdict.status is Status.WARN
        assert said(verdict) == [
            f"the host does more for a step: syncs 0 -> 32; changed since: {key} {getattr(soft_key(), key)!r} -> '9.9'"
        ]

    @pytest.mark.parametrize("key", ["gpu_uuid", "host", "host_cpu"])
    def test_another_machine_is_no_excuse(self, key: str) -> None:
        soft = replace(soft_key(), **{key: "another"})

        assert verdict_of(counted(MORE, soft=soft), stored()).status is Status.REGRESSED

    def test_less_is_said_and_passes(self) -> None:
        verdict = verdict_of(counted(replace(COUNTS, launches=1300)), stored())

        assert verdict.status is Status.PASS
        (less,) = said(verdict)
        assert less.startswith("the host does less for a step: launches 1,301 -> 1,300; keep it: python -m")


ROW = Allowed(
    gpu="h100-sxm", model="mistral-7b-*", cases="decode-*", count="syncs", by=32, reason="a sync a layer, #1"
)


class TestAllowed:
    def test_a_declared_growth_passes_with_its_reason(self) -> None:
        verdict = verdict_of(counted(MORE), stored(), allowed=[ROW])

        assert verdict.status is Status.PASS
        assert said(verdict) == [
            "the host does more for a step: syncs 0 -> 32, allowed up to +32 (a sync a layer, #1)"
        ]
        assert judged([counted(MORE)], {DECODE: stored()}, fresh={}, allowed=[ROW]).suspects == ()

    @pytest.mark.parametrize(
        "other",
        [{"by": 31}, {"count": "copies"}, {"gpu": "t4"}, {"model": "qwen*"}, {"cases": "prefill-*"}],
    )
    def test_no_other_growth_does(self, other: dict[str, object]) -> None:
        row = replace(ROW, **other)  # type: ignore[arg-type]

        assert verdict_of(counted(MORE), stored(), allowed=[row]).status is Status.REGRESSED

    def test_the_shipped_table_can_be_read(self) -> None:
        assert read_allowed(TABLE) == ()

    TEXT = (
        '[[allow]]\ngpu = "h100-sxm"\nmodel = "mistral-7b-*"\ncases = "decode-*"\n'
        'count = "syncs"\nby = 32\nreason = "a sync a layer, #1"\n'
    )

    def test_a_table_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "allowed.toml"
        path.write_text(self.TEXT, encoding="utf-8")

        assert read_allowed(path) == (ROW,)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (("count", "cuont"), "allow 1: unknown key 'cuont'; known: by, cases, count, gpu, model, reason"),
            (('"syncs"', '"sinks"'), "allow 1: count 'sinks' is none of launches, aten_ops"),
            (("by = 32", "by = 0"), "allow 1: by is 0; a growth of at least 1 a step is needed"),
            (("by = 32", 'by = "32"'), "int is needed, not '32'"),
            (('"a sync a layer, #1"', '" "'), "allow 1: reason is empty; say why the count may grow"),
            (("[[allow]]", "[[allwo]]"), r"\[\[allow\]\] tables are needed, and nothing else"),
            (("gpu = ", "gpu "), "allowed.toml: "),
        ],
    )
    def test_what_is_wrong_in_it_is_named(
        self, change: tuple[str, str], message: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "allowed.toml"
        path.write_text(self.TEXT.replace(*change), encoding="utf-8")

        with pytest.raises(FormatError, match=message):
            read_allowed(path)
