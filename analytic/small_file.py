"""Reading a file that a user named, with an error that says what is wrong with it.

`shown` quotes a value that stood in one, `refuse_unknown` names a field that may not.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from analytic.errors import SpecError, unknown

# Every file that the model reads is a few kilobytes; one of this size is another file.
MOST_BYTES = 10**6


def read_small(path: Path, *, what: str) -> str:
    """The text of the file at `path`, UTF-8.

    Raises SpecError where it is missing, no plain file, over 1 MB, not readable
    or not UTF-8; `what` names what was looked for.
    """
    try:
        if not path.exists():
            raise SpecError(f"{path}: no such file; {what} is needed")
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "no plain file"
            raise SpecError(f"{path} is {kind}; {what} is needed")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror or error}; {what} is needed") from error
    if len(data) > MOST_BYTES:
        raise SpecError(f"{path} is larger than 1 MB; {what} is needed, which takes a few kilobytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is not UTF-8 text: {error.reason}; {what} is needed") from error


def shown(value: object) -> str:
    """`value` as an error quotes it: short, whatever it is."""
    try:
        return repr(value)[:60]
    except (ValueError, RecursionError):  # an integer of thousands of digits, written in hex
        return "too large to show"


def refuse_unknown(names: Iterable[str], known: Sequence[str], where: str) -> None:
    """Raises SpecError for the first of a file's field `names` that is not `known`."""
    for name in names:
        if name not in known:
            raise SpecError(f"{where}: {unknown('field', name, known)}")
