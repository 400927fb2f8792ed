"""A folder's lock: one writer at a time, freed by the kernel however its holder dies.

Who holds a lock stands in its file while it is held, to be named to those who wait.
"""

import contextlib
import datetime as dt
import errno
import fcntl
import os
import shlex
import stat
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from analytic import SpecError

NAME = ".lock"

# A writer holds a store for as long as a few small files take. Who holds it longer
# hangs, or was stopped.
WAIT_S = 30.0
_POLL_S = 0.02

# What is kept of a command, to be named in a message.
COMMAND_CHARS = 200

# What flock answers where a filesystem has no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class FolderBusyError(SpecError):
    """Another process writes there; the message says which, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lock, as the lock's file says."""

    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}) since {self.since}"


@contextlib.contextmanager
def locked(folder: Path, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Holds the folder's lock, which is made with its folder where it is not there.

    Raises FolderBusyError where another holds it for `wait_s` seconds, OSError where
    its file cannot be opened. Where the filesystem has no locks none is held: that is
    a RuntimeWarning, for a lone writer is as safe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fd = _open(folder / NAME)
    try:
        if held := _take(fd, folder, wait_s=wait_s):
            sign(fd)
        try:
            yield
        finally:
            # Left empty, so that a free lock names nobody.
            with contextlib.suppress(OSError):
                if held:
                    os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    """The lock's file. It is never removed: another process may be about to lock it.
    A link is refused, and what is no plain file: neither was made here."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:  # another user's: it can be locked, though not signed
        fd = os.open(path, os.O_RDONLY | flags)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "no plain file; remove it, a lock is needed there", str(path))
    return fd


def _take(fd: int, folder: Path, *, wait_s: float) -> bool:
    """Whether the lock is held now; False where the filesystem has none."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise FolderBusyError(_busy(fd, folder, wait_s=wait_s)) from None
            time.sleep(_POLL_S)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            warnings.warn(
                f"{folder} cannot be locked ({error.strerror}): let no two processes write there at once",
                RuntimeWarning,
                stacklevel=4,
            )
            return False
        else:
            return True


def _busy(fd: int, folder: Path, *, wait_s: float) -> str:
    who = holder(fd) or "a process that is not named"
    return (
        f"{folder} is being written by {who}, and was not free within {wait_s:g} s, so nothing was stored: "
        "wait until it has ended, or end it, and try again"
    )


def sign(fd: int) -> None:
    """Writes into a lock's file who holds it now: this process."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    command = shlex.join(sys.orig_argv)[:COMMAND_CHARS]
    # Another user's file, opened to read, or a full disk: held all the same.
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n{now}\n{command}\n".encode(), 0)


def holder(fd: int) -> Holder | None:
    """The holder by the file; None where it names no process that runs here: one
    that could not write, or has not yet, or runs in another container."""
    lines = os.pread(fd, 4096, 0).decode(errors="replace").splitlines()
    try:
        pid, since, command = int(lines[0]), lines[1], lines[2]
    except (IndexError, ValueError):
        return None
    if not runs(pid):
        return None
    # Anyone may have written it: nothing that a terminal would obey.
    since, command = ("".join(c for c in text if c.isprintable()) for text in (since, command))
    return Holder(pid=pid, command=command[:COMMAND_CHARS], since=since[:40])


def runs(pid: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    except PermissionError:
        return True  # another user's
    return True
