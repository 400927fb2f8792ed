"""make take and make propose: what a machine with a GPU measured becomes a pull request, and nothing
else does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perf_tests.selftests.tiny import ROOT, Done, environment

CASE = Path("baselines/data/h100-sxm/mistral-7b-v0.2/decode-b1-c128-fp16-eager.json")
LINE = "- Baselines of mistral-7b-v0.2, anew.\n"
TABLE = "| case | change |\n| --- | --- |\n| `decode` | +0.1 % |\n"
BASH = shutil.which("bash")

pytestmark = pytest.mark.skipif(
    BASH is None or shutil.which("git") is None or not sys.platform.startswith("linux"),
    reason="bash, git and GNU find are needed",
)


def _run(place: Path, *command: str | Path, path: Path | None = None) -> Done:
    names = environment() | {"PYTHON": sys.executable}
    names |= {
        f"GIT_{who}_{what}": "tester@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    if path is not None:
        names["PATH"] = f"{path}{os.pathsep}{names['PATH']}"
    done = subprocess.run(
        list(map(str, command)),
        cwd=place,
        env=names,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Done(rc=done.returncode, out=done.stdout)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of the commands, with a stored baseline and a remote that takes branches."""
    place = tmp_path / "checkout"
    place.mkdir()
    for room in ("analytic", "baselines"):
        shutil.copytree(ROOT / room, place / room, ignore=shutil.ignore_patterns("__pycache__", "data"))
    shutil.copytree(ROOT / ".ci", place / ".ci")
    shutil.copy(ROOT / ".gitignore", place)
    (place / CASE).parent.mkdir(parents=True)
    shutil.copy(ROOT / CASE, place / CASE)
    (place / "CHANGELOG.md").write_text("## [Unreleased]\n\n### Changed\n\n- One.\n", encoding="utf-8")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        ("commit", "--quiet", "--message=before"),
        ("init", "--quiet", "--bare", "../remote"),
        ("remote", "add", "origin", "../remote"),
    ):
        assert _run(place, "git", *command).rc == 0
    return place


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """The folder of a refresh, as its artifact is unpacked: the baseline with another command."""
    folder = tmp_path / "refresh"
    (folder / CASE).parent.mkdir(parents=True)
    baseline = json.loads((ROOT / CASE).read_text(encoding="utf-8"))
    (folder / CASE).write_text(json.dumps(baseline | {"command": "anew"}), encoding="utf-8")
    (folder / "CHANGELOG.md").write_text(
        f"## [Unreleased]\n\n### Changed\n\n- One.\n{LINE}", encoding="utf-8"
    )
    (folder / "runs").mkdir()
    (folder / "runs" / "refresh.md").write_text(TABLE, encoding="utf-8")
    return folder


def _take(checkout: Path, folder: Path) -> Done:
    return _run(checkout, "bash", ".ci/take", folder)


def _changed(checkout: Path) -> str:
    return _run(checkout, "git", "status", "--short").out


class TestTake:
    def test_a_refresh_is_taken_whole(self, checkout: Path, measured: Path) -> None:
        done = _take(checkout, measured)

        assert (done.rc, _changed(checkout)) == (0, f" M CHANGELOG.md\n M {CASE}\n"), done.out
        assert json.loads((checkout / CASE).read_text())["command"] == "anew"
        assert LINE in (checkout / "CHANGELOG.md").read_text()
        assert (checkout / "runs" / "refresh.md").read_text() == TABLE

    @pytest.mark.parametrize(
        "name",
        [
            "setup.py",
            ".github/workflows/nightly.yml",
            "baselines/judge.py",
            "baselines/data/evil.json",
            "baselines/data/h100-sxm/mistral-7b-v0.2/deep/er.json",
            "baselines/data/h100-sxm/mistral-7b-v0.2/conftest.py",
            "baselines/data/h100-sxm/.git/config.json",
            "runs/refresh.sh",
            "runs/refresh-1/session-1/run.json",
            "CHANGELOG.md\n.json",
            "baselines/data/h100-sxm/$(other)/case.json",
        ],
    )
    def test_any_other_file_is_refused(self, name: str, checkout: Path, measured: Path) -> None:
        (measured / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(measured / CASE, measured / name)

        done = _take(checkout, measured)

        assert (done.rc, _changed(checkout)) == (1, "")
        assert done.out.startswith("refused: ")

    @pytest.mark.parametrize("name", [CASE, "CHANGELOG.md", "runs/refresh.md", "baselines"])
    def test_a_link_is_refused(
        self, name: str | Path, checkout: Path, measured: Path, tmp_path: Path
    ) -> None:
        shutil.move(measured / name, tmp_path / "elsewhere")
        (measured / name).symlink_to(tmp_path / "elsewhere")

        done = _take(checkout, measured)

        assert (done.rc, _changed(checkout)) == (1, "")
        assert f"{name} is no plain file of a refresh" in done.out

    @pytest.mark.parametrize("content", ["{}", "not JSON", '{"schema": 99}'])
    def test_what_reads_as_no_baseline_is_refused(self, content: str, checkout: Path, measured: Path) -> None:
        (measured / CASE).write_text(content, encoding="utf-8")

        done = _take(checkout, measured)

        assert (done.rc, _changed(checkout)) == (1, "")
        assert "refused: a baseline is damaged" in done.out
        assert str(CASE) in done.out

    def test_a_changelog_that_lost_a_line_is_refused(self, checkout: Path, measured: Path) -> None:
        (measured / "CHANGELOG.md").write_text(f"## [Unreleased]\n\n### Changed\n\n{LINE}", encoding="utf-8")

        done = _take(checkout, measured)

        assert (done.rc, _changed(checkout)) == (1, "")
        assert "lacks lines of this checkout's" in done.out

    @pytest.mark.parametrize("name", [CASE.parents[2], "CHANGELOG.md", "runs/refresh.md"])
    def test_so_is_half_a_refresh(self, name: str | Path, checkout: Path, measured: Path) -> None:
        gone = measured / name
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()

        done = _take(checkout, measured)

        assert (done.rc, _changed(checkout)) == (1, "")
        assert f"refused: there is no {name}" in done.out

    def test_no_folder_is_bad_input(self, checkout: Path) -> None:
        assert _take(checkout, checkout / "gone").rc == 2
        assert _run(checkout, "bash", ".ci/take").rc == 2


# Says how it was called, and keeps the text.
GH = f"""#!{BASH}
[ "$1 $2" = "auth git-credential" ] && exit 0
printf '%s\\n' "$@" > "$GH_SAID"
while [ "$1" != --body-file ]; do shift; done
cat "$2" >> "$GH_SAID"
"""


class TestPropose:
    @pytest.fixture
    def gh(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder for PATH, with a gh that calls nobody; what it was told is in `said` beside it."""
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "gh").write_text(GH, encoding="utf-8")
        (folder / "gh").chmod(0o755)
        monkeypatch.setenv("GH_SAID", str(tmp_path / "said"))
        return folder

    def test_what_was_taken_becomes_a_branch_and_a_request(
        self, checkout: Path, measured: Path, gh: Path, tmp_path: Path
    ) -> None:
        assert _take(checkout, measured).rc == 0
        (checkout / "analytic" / "other.py").write_text("# not a part of it\n", encoding="utf-8")

        done = _run(checkout, "bash", ".ci/propose", "runs/refresh.md", path=gh)

        assert done.rc == 0, done.out
        (branch,) = _run(tmp_path / "remote", "git", "branch", "--format=%(refname:short)").out.split()
        assert branch.startswith("refresh/20")
        shown = _run(tmp_path / "remote", "git", "show", "--format=%s", "--name-only", branch).out.split(
            "\n\n"
        )
        title = "Baselines of h100-sxm/mistral-7b-v0.2, measured anew"
        assert shown == [title, f"CHANGELOG.md\n{CASE}\n"]
        said = (tmp_path / "said").read_text(encoding="utf-8")
        options = ["--base", "main", "--head", branch, "--title", title, "--body-file", "runs/refresh.md"]
        assert said == "\n".join(["pr", "create", *options, TABLE])

    def test_without_a_change_there_is_nothing_to_propose(
        self, checkout: Path, gh: Path, tmp_path: Path
    ) -> None:
        (checkout / "runs").mkdir()
        (checkout / "runs" / "refresh.md").write_text(TABLE, encoding="utf-8")

        done = _run(checkout, "bash", ".ci/propose", "runs/refresh.md", path=gh)

        assert done.rc == 2
        assert "no file under baselines/data differs" in done.out
        assert not (tmp_path / "said").exists()

    def test_without_a_table_neither(self, checkout: Path, measured: Path, gh: Path, tmp_path: Path) -> None:
        assert _take(checkout, measured).rc == 0
        (checkout / "runs" / "refresh.md").unlink()

        assert _run(checkout, "bash", ".ci/propose", "runs/refresh.md", path=gh).rc == 2
        assert not (tmp_path / "said").exists()
