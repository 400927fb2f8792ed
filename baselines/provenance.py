"""Where a baseline comes from: who took it, why it was accepted, what it replaced, and what
was accepted first."""

import getpass
import os
import platform
from dataclasses import replace

from baselines.store import Baseline


def stamped(new: Baseline, *, old: Baseline | None, reason: str | None = None) -> Baseline:
    """`new` with its provenance. Of another hard key the anchor is none of its own: no
    time of the one can be held against the other's."""
    anchor = None
    if old is not None and old.hard == new.hard:
        anchor = old.anchor or old.accepted
    return replace(
        new, by=who(), reason=reason, previous=None if old is None else old.accepted, anchor=anchor
    )


def who() -> str:
    """user@host. A container may run under a number that no user has."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = f"uid-{os.getuid()}"
    return f"{user}@{platform.node() or 'unknown'}"
