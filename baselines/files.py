"""Files that are read and written whole.

A writer that is killed leaves the old file or the new one, and perhaps one in the
making beside it, whose name no reader takes for a stored file.
"""

import errno
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

# The largest file of a run so far is a record of 34 kB, with 50 kernels; the largest
# baseline has 5 kB, and would be as large with kernels. Of this size it is another file.
MOST_BYTES = 8 * 10**6


def read_bytes(path: Path) -> bytes:
    """What a plain file holds. Raises OSError for a link, a folder, a pipe, a device,
    and for a file above MOST_BYTES; ValueError for a path that no file can have.

    What is looked at is what is read: nothing can take its place meanwhile. A pipe
    that nobody writes to keeps nobody waiting.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError("it is a symbolic link; a plain file is needed") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "no plain file"
            raise OSError(f"it is {kind}; a plain file is needed")
        with os.fdopen(fd, "rb", closefd=False) as file:
            # One that grows meanwhile, or that does not know its size, is not read on either.
            data = b"" if found.st_size > MOST_BYTES else file.read(MOST_BYTES + 1)
        size = max(found.st_size, len(data))
        if size > MOST_BYTES:
            raise OSError(f"it has {size:,} bytes; {MOST_BYTES:,} are the most of any stored file")
        return data
    finally:
        os.close(fd)


def write_text(text: str, path: Path) -> None:
    """Stores `text` at `path`, whole or not at all: beside it, then renamed."""
    write_texts({path: text})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Stores several files, each whole or not at all.

    All are on the disk under other names before the first gets its own, so that a disk
    that fills up changes none. What ends the process between two renames leaves files
    of before and files of after, and names of the making (`is_leftover`).
    """
    made: dict[Path, Path] = {}
    try:
        for path, text in texts.items():
            _make_folder(path.parent)
            made[path] = _written_beside(path, text)
        for path, beside in made.items():
            beside.replace(path)
    except BaseException:
        for beside in made.values():
            beside.unlink(missing_ok=True)
        raise
    for folder in dict.fromkeys(path.parent for path in texts):
        _sync_folder(folder)


def is_leftover(path: Path) -> bool:
    """Whether a file is JSON in the making, by its name."""
    return re.fullmatch(r"\..+\.json\.[a-z0-9_]{8}", path.name) is not None


def _written_beside(path: Path, text: str) -> Path:
    """The name under which `text` is on the disk, in the folder of `path`."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return beside


def _make_folder(folder: Path) -> None:
    """Makes it with those above it, each of them on the disk."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk once its folder is, where the filesystem can say so."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(fd)
