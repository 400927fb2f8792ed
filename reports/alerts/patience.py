"""Retries that honour rate limits, and give up where these last too long."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

from github import GithubRetry
from urllib3 import BaseHTTPResponse, Retry
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, ResponseError

from reports.alerts.limits import Limits

# GitHub: "wait for at least one minute" where no header says for how long.
_NO_WORD_S = 60.0

# When in that second a limit ends is not said.
_RESET_S = 1.0


def wait_asked(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks to wait for; None where it does not."""
    lower = {name.lower(): value for name, value in headers.items()}
    if after := lower.get("retry-after"):
        return _after(after)
    if (
        lower.get("x-ratelimit-remaining") == "0"
        and (reset := lower.get("x-ratelimit-reset", "")).isdecimal()
    ):
        return max(0.0, float(reset) - time.time()) + _RESET_S
    return None


def _after(text: str) -> float | None:
    """Of the header's two forms, seconds and a date; None of what is neither."""
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time()) + _RESET_S
    except ValueError:
        return None


class Patience(Retry):
    """Asks again what can be asked twice. An answer that asks to wait beyond `until`
    (of the monotonic clock) is handed back as it is, for nobody waits that long."""

    limited: tuple[int, ...] = (429,)

    def __init__(self, *, until: float, **options: Any) -> None:
        self.until, self.asked_s = until, 0.0
        # Waited for below: urllib3 waits however long it is asked to.
        super().__init__(**{**options, "respect_retry_after_header": False})

    def new(self, **changed: Any) -> Self:
        return super().new(**{"until": self.until, **changed})

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: FBT001, FBT002 - urllib3's signature
        """A request that was over a limit was not carried out, so that any may be repeated."""
        return status_code in self.limited or super().is_retry(method, status_code, has_retry_after)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Raises MaxRetryError where there is nothing to be waited for any more."""
        asked_s = None if response is None else self.wait_s(response)
        if asked_s is not None and time.monotonic() + asked_s > self.until:
            raise MaxRetryError(_pool, url, ResponseError("rate limit"))  # type: ignore[arg-type]
        following: Self = super().increment(method, url, response, error, _pool, _stacktrace)
        following.asked_s = asked_s or 0.0
        return following

    def wait_s(self, response: BaseHTTPResponse) -> float | None:
        asked_s = wait_asked(response.headers)
        return _NO_WORD_S if asked_s is None and response.status == 429 else asked_s

    def get_backoff_time(self) -> float:
        return max(self.asked_s, super().get_backoff_time())


class GitHubPatience(Patience, GithubRetry):
    """GitHub's limits come as 403 too; where no header says so, GithubRetry reads the message.
    What creates something is not repeated after a failure: it may have been created."""

    limited = (403, 429)

    def increment(self, *arguments: Any, **named: Any) -> Self:
        self.max_rate_limit_wait = max(0.0, self.until - time.monotonic())
        return super().increment(*arguments, **named)


def github_retry(limits: Limits) -> GitHubPatience:
    return GitHubPatience(
        until=time.monotonic() + limits.patience_s,
        secondary_rate_wait=_NO_WORD_S,
        total=limits.tries - 1,
        backoff_factor=limits.backoff_s,
        allowed_methods={"GET", "PATCH"},
        status_forcelist=[500, 502, 503, 504],
        raise_on_status=False,
        redirect=0,
    )


def webhook_retry(limits: Limits) -> Patience:
    """Not of lost connections: of each urllib3 logs a warning, and whoever keeps its log
    would find the address there."""
    return Patience(
        until=time.monotonic() + limits.patience_s,
        total=limits.tries - 1,
        connect=0,
        read=0,
        other=0,
        redirect=0,
        backoff_factor=limits.backoff_s,
        allowed_methods=None,
        status_forcelist=[500, 502, 503, 504],
        raise_on_status=False,
    )
