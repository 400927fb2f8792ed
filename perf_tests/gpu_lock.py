"""One run per GPU: a lock by UUID that the kernel frees however its holder dies.

A run's own children go on under its lock: it exports HELD, "<uuid>:<pid>".
"""

import contextlib
import fcntl
import os
from pathlib import Path

from analytic import SpecError
from baselines.locking import Holder, holder, runs, sign

# A place that all users of the machine share; another one by this variable.
FOLDER = "ROOFGATE_LOCK_DIR"
DEFAULT_FOLDER = Path("/tmp")  # noqa: S108 - shared on purpose; see _open
HELD = "ROOFGATE_GPU_LOCK"


class GpuBusyError(SpecError):
    """Another run measures on this GPU; the message says which, and what to do."""


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
            found = holder(self._fd)
            self._close()
            self.run_pid = _parent_run(uuid, found)
            if self.run_pid is None:
                raise GpuBusyError(_busy(name, uuid, path, found)) from None
            return
        self.run_pid = os.getpid()
        sign(self._fd)
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


def _parent_run(uuid: str, found: Holder | None) -> int | None:
    """The process under whose lock this one was started, if it is the holder. A
    variable that outlived its run names no holder."""
    of, _, pid = os.environ.get(HELD, "").rpartition(":")
    if of != uuid or not pid.isdecimal():
        return None
    # A holder that could not write its name still counts while it runs.
    same = runs(int(pid)) if found is None else found.pid == int(pid)
    return int(pid) if same else None


def _busy(name: str, uuid: str, path: Path, found: Holder | None) -> str:
    who = found or f"a run that {path} does not name"
    return (
        f"{name} ({uuid}) is being measured by {who}; two runs on one GPU spoil each other: "
        "wait until it has ended, or choose another GPU by CUDA_VISIBLE_DEVICES"
    )
