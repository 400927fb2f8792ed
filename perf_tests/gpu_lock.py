"""One run per GPU: a lock by UUID that the kernel frees however its holder dies.

A run's own children go on under its lock: it exports HELD, "<uuid>:<pid>".
"""

import contextlib
import datetime as dt
import fcntl
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from analytic import SpecError

# A place that all users of the machine share; another one by this variable.
FOLDER = "ROOFGATE_LOCK_DIR"
DEFAULT_FOLDER = Path("/tmp")  # noqa: S108 - shared on purpose; see _open
HELD = "ROOFGATE_GPU_LOCK"

# What is kept of a command, to be named in a message.
COMMAND_CHARS = 200


class GpuBusyError(SpecError):
    """Another run measures on this GPU; the message says which, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lock, as the lock's file says."""

    pid: int
    command: str
    since: str


class GpuLock:
    """The lock of one GPU, held until this process ends or calls `release`.

    Under the lock of the run that started this process nothing is taken
    (`inherited`). Raises GpuBusyError where another run holds the GPU, SpecError
    where the lock's file cannot be opened.
    """

    def __init__(self, uuid: str, name: str) -> None:
        path = _folder() / f"roofgate-{uuid}.lock"
        self._fd: int | None = _open(path)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(self._fd)
            self._close()
            self.run_pid = _parent_run(uuid, holder)
            if self.run_pid is None:
                raise GpuBusyError(_busy(name, uuid, path, holder)) from None
            return
        self.run_pid = os.getpid()
        _write(self._fd)
        os.environ[HELD] = f"{uuid}:{self.run_pid}"
        # A forked child shares the lock and would keep it when this process is gone.
        os.register_at_fork(after_in_child=self._close)

    @property
    def inherited(self) -> bool:
        return self._fd is None

    def release(self) -> None:
        """Frees the lock, if it is this process's."""
        if self._fd is not None and os.environ.get(HELD, "").endswith(f":{os.getpid()}"):
            del os.environ[HELD]
        self._close()

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _folder() -> Path:
    folder = Path(os.environ.get(FOLDER) or DEFAULT_FOLDER)
    if not folder.is_dir():
        raise SpecError(f"{FOLDER} is {str(folder)!r}; an existing folder that all users share is needed")
    return folder


def _open(path: Path) -> int:
    """The lock's file, made where it is not there.

    It is writable by all, so that whoever holds the lock can say so. Where it is
    not, the lock can be taken all the same. It is never removed: another run may
    be about to lock it. A link is refused: anyone may put one into a shared folder.
    """
    try:
        # A kernel that guards shared folders refuses O_CREAT on another user's file.
        for flags in (os.O_RDWR, os.O_RDONLY):
            try:
                return os.open(path, flags | os.O_NOFOLLOW)
            except PermissionError:
                continue
            except FileNotFoundError:
                break
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise SpecError(
            f"{path}: {error.strerror}; a file that this user may open is needed there, to see that no "
            f"other run measures on the GPU: remove it, or name another folder by {FOLDER}"
        ) from error
    with contextlib.suppress(PermissionError):  # another user made it just now
        os.fchmod(fd, 0o666)  # whatever the umask
    return fd


def _write(fd: int) -> None:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    command = shlex.join(sys.orig_argv)[:COMMAND_CHARS]
    # Another user's file, opened to read, or a full disk: held all the same.
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n{now}\n{command}\n".encode(), 0)


def _read(fd: int) -> Holder | None:
    """The holder by the file; None where it names no process that runs here: one
    that could not write, or has not yet, or runs in another container."""
    lines = os.pread(fd, 4096, 0).decode(errors="replace").splitlines()
    try:
        pid, since, command = int(lines[0]), lines[1], lines[2]
    except (IndexError, ValueError):
        return None
    if not _runs(pid):
        return None
    # Anyone may have written it: nothing that a terminal would obey.
    since, command = ("".join(c for c in text if c.isprintable()) for text in (since, command))
    return Holder(pid=pid, command=command[:COMMAND_CHARS], since=since[:40])


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    except PermissionError:
        return True  # another user's
    return True


def _parent_run(uuid: str, holder: Holder | None) -> int | None:
    """The process under whose lock this one was started, if it is the holder. A
    variable that outlived its run names no holder."""
    of, _, pid = os.environ.get(HELD, "").rpartition(":")
    if of != uuid or not pid.isdecimal():
        return None
    # A holder that could not write its name still counts while it runs.
    same = _runs(int(pid)) if holder is None else holder.pid == int(pid)
    return int(pid) if same else None


def _busy(name: str, uuid: str, path: Path, holder: Holder | None) -> str:
    if holder is None:
        who = f"a run that {path} does not name"
    else:
        who = f"process {holder.pid} ({holder.command}) since {holder.since}"
    return (
        f"{name} ({uuid}) is being measured by {who}; two runs on one GPU spoil each other: "
        "wait until it has ended, or choose another GPU by CUDA_VISIBLE_DEVICES"
    )
