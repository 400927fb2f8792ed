"""Names that become files and folders: of a case, a model, a GPU.

A case id has a form of its own; a model's and a GPU's name are free text in a record,
and a record may come from anywhere. None may lead out of the folder it is to lie in.
"""

from analytic import Case
from baselines.codec import FormatError

# A filesystem's 255 bytes less what a file in the making is called besides.
MOST_NAME_BYTES = 200


def require_name(what: str, name: str) -> None:
    """Raises FormatError for a name that cannot be one file's or folder's own; `what`
    says whose it is."""
    if not name:
        raise _bad(what, name, "it is empty")
    if name.startswith("."):
        raise _bad(what, name, "it begins with a dot")
    if "/" in name or not name.isprintable():
        raise _bad(what, name, "it holds a slash or what cannot be printed")
    if (size := len(name.encode())) > MOST_NAME_BYTES:
        raise _bad(what, name, f"it has {size} bytes, and {MOST_NAME_BYTES} are the most")


def require_case(case: Case, *, gpu: str) -> None:
    """Raises FormatError for a case that cannot be stored under its names."""
    require_name("GPU", gpu)
    require_model(case)


def require_model(case: Case) -> None:
    """As require_case, where the GPU is not known yet."""
    require_name("model", case.model)
    require_name("case", case.id)


def _bad(what: str, name: str, why: str) -> FormatError:
    return FormatError(
        f"{what} {name[:40]!r} names no file or folder: {why}; a plain name such as mistral-7b-v0.2 is needed"
    )
