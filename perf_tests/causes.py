"""What lies behind an error, and what it says in one line."""

from collections.abc import Iterator


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those before it, the first to happen last."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "without a word")
