"""The line that a refresh leaves in the CHANGELOG."""

from pathlib import Path

import pytest

from analytic import SpecError
from baselines.refresh.changelog import add_line, with_line
from perf_tests.selftests.refreshes import five, refresh, session

LINE = "- Baselines of a model.\n  Second line."


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "CHANGELOG.md"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (  # the last of the list
            "# C\n\n## [Unreleased]\n\n### Changed\n\n- One.\n\n### Added\n\n- Two.\n",
            f"# C\n\n## [Unreleased]\n\n### Changed\n\n- One.\n{LINE}\n\n### Added\n\n- Two.\n",
        ),
        (  # not under an older version's
            "## [Unreleased]\n\n### Added\n\n- Two.\n\n## [1.0]\n\n### Changed\n\n- Old.\n",
            f"## [Unreleased]\n\n### Changed\n\n{LINE}\n\n### Added\n\n- Two.\n\n## [1.0]\n\n### Changed\n\n- Old.\n",
        ),
        ("## [Unreleased]\n", f"## [Unreleased]\n\n### Changed\n\n{LINE}\n"),
        ("## [Unreleased]\n\n### Changed\n", f"## [Unreleased]\n\n### Changed\n\n{LINE}\n"),
        ("## [Unreleased]\n\n### Changed\n\n- One.", f"## [Unreleased]\n\n### Changed\n\n- One.\n{LINE}"),
        (
            "## [Unreleased]\n\n### Changed\n\n- One.\n\n## [1.0]\n",
            f"## [Unreleased]\n\n### Changed\n\n- One.\n{LINE}\n\n## [1.0]\n",
        ),
    ],
)
def test_it_is_the_last_under_unreleased_changed(before: str, after: str, log: Path) -> None:
    log.write_text(before, encoding="utf-8")
    add_line(log, LINE)

    assert text_of(log) == after


def test_a_file_without_the_heading_is_refused_by_name(log: Path) -> None:
    log.write_text("# Changelog\n", encoding="utf-8")

    with pytest.raises(SpecError, match=r"CHANGELOG\.md: holds no line '## \[Unreleased\]'"):
        with_line(log, LINE)


def test_the_command_adds_it(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_text("## [Unreleased]\n\n### Changed\n\n- One.\n", encoding="utf-8")
    store = tmp_path / "store"

    assert refresh(store, five(tmp_path / "was"), "--changelog", str(log)) == 0
    slower = five(tmp_path / "new", first_s=0.0083)
    assert refresh(store, slower, "--changelog", str(log), "--accept-regression", "a safer kernel") == 0

    first, second = " ".join(text_of(log).split()).split("- Baselines of ")[1:]
    head = "mistral-7b-v0.1 on h100-sxm (NVIDIA H100 80GB HBM3): 2 cases, 5 sessions each, at abc1234; "
    assert first == f"{head}nothing that they could be compared with. "
    moved = "device time +3.74 % in the middle."
    assert second == f"{head}{moved} 2 cases are worse than before, accepted: a safer kernel."
    assert max(map(len, text_of(log).splitlines())) <= 116
    out = capsys.readouterr().out
    assert f"The line was added to {log}" in out
    assert "\n- Baselines of mistral-7b-v0.1 on h100-sxm" in out


@pytest.mark.parametrize("content", [None, b"# Changelog\n", b"\xff## [Unreleased]\n"])
def test_a_file_that_cannot_take_it_is_bad_input_before_anything_is_stored(
    content: bytes | None, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        log.write_bytes(content)

    assert refresh(tmp_path / "store", five(tmp_path), "--changelog", str(log)) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert str(log) in said
    assert not (tmp_path / "store").exists()


def test_what_was_refused_leaves_no_line(log: Path, tmp_path: Path) -> None:
    log.write_text("## [Unreleased]\n", encoding="utf-8")

    assert refresh(tmp_path / "s", [session(tmp_path / "a", exit_status=1)], "--changelog", str(log)) == 1
    assert text_of(log) == "## [Unreleased]\n"


class TestTable:
    """What `--table` writes: a pull request's text."""

    @pytest.fixture
    def text(self, tmp_path: Path) -> Path:
        return tmp_path / "runs" / "refresh.md"

    def test_it_is_what_is_printed(
        self, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert refresh(tmp_path / "store", five(tmp_path), "--table", str(text)) == 0

        kept = text_of(text)
        assert kept.startswith("| case ")
        assert "\n\n- Baselines of mistral-7b-v0.1 on h100-sxm" in kept
        assert capsys.readouterr().out.startswith(kept)

    def test_what_was_refused_says_so(self, text: Path, tmp_path: Path) -> None:
        store = tmp_path / "store"
        assert refresh(store, five(tmp_path / "was")) == 0

        assert refresh(store, five(tmp_path / "new", first_s=0.0083), "--table", str(text)) == 1

        assert text_of(text).startswith("Refused, nothing was stored.\n\n| case ")
        assert "+3.74 %" in text_of(text)

    def test_so_does_what_was_only_tried(self, text: Path, tmp_path: Path) -> None:
        assert refresh(tmp_path / "store", five(tmp_path), "--dry-run", "--table", str(text)) == 0

        assert text_of(text).startswith("Dry run: nothing was stored.\n\n| case ")

    def test_one_that_cannot_be_written_says_what_is_stored(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert refresh(tmp_path / "store", five(tmp_path), "--table", str(tmp_path)) == 2

        assert capsys.readouterr().err.startswith(
            "error: the baselines are stored, but not what is said of them: "
        )
        assert (tmp_path / "store").exists()
