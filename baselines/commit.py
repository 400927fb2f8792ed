"""Of which commit a tree is."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The measured tree: a short hash, "unknown" outside git."""

    hash: str
    dirty: bool


def commit(root: Path) -> Commit:
    """The commit at `root`, and whether tracked files differ from it.

    Where the tree is no checkout (a container with a copy of it), the commit
    that CI names in GITHUB_SHA.
    """

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(root), *arguments],  # noqa: S607 - git by PATH, as everywhere
                capture_output=True,
                text=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    found = git("rev-parse", "--short=10", "HEAD")
    if found is None:
        return Commit(hash=os.environ.get("GITHUB_SHA", "unknown")[:10], dirty=False)
    return Commit(hash=found, dirty=bool(git("status", "--porcelain", "--untracked-files=no")))
