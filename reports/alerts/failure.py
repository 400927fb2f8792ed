"""Why a channel failed, in one line that names no secret."""

import datetime as dt
from collections.abc import Mapping

import requests
from github import BadAttributeException, GithubException, IncompletableObject

from baselines.codec import one_line
from reports.alerts.limits import Limits
from reports.alerts.patience import wait_asked

# What PyGithub makes of an answer that is no issue.
_STRANGE = (BadAttributeException, IncompletableObject)

# Of what a server says so much is shown.
_MOST_CHARS = 200


class ChannelError(RuntimeError):
    """GitHub or a webhook did not take what it was sent; the message is one line."""


def github_failure(error: Exception, *, repository: str, permission: str, limits: Limits) -> ChannelError:
    """`permission` is what the token needs for what was tried."""
    if isinstance(error, GithubException) and not isinstance(error, _STRANGE):
        return ChannelError(f"GitHub: {_answer(error, repository, permission, limits)}")
    return ChannelError(f"GitHub: {unanswered(error, limits)}")


def unanswered(error: Exception, limits: Limits) -> str:
    """No word of the error's own: it may name the address, and that may be a secret."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"no answer within {limits.timeout_s} s"
    if isinstance(error, requests.RequestException):
        return f"cannot be reached ({type(error).__name__})"
    return f"the answer is not of the form that is needed ({type(error).__name__}): is the address right?"


def limited(headers: Mapping[str, str], limits: Limits) -> str:
    """How long a rate limit lasts, as far as the headers say."""
    wait_s = wait_asked(headers)
    if wait_s is None:
        return f"rate limit; --patience {limits.patience_s:g} s did not outlast it"
    until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=wait_s)
    return f"rate limit until {until.isoformat(timespec='seconds')}, longer than --patience {limits.patience_s:g} s"


def _answer(error: GithubException, repository: str, permission: str, limits: Limits) -> str:
    said, headers, status = _said(error), error.headers or {}, error.status
    rated = "rate limit" in said.lower() or wait_asked(headers) is not None
    if status == 429 or (status == 403 and rated):
        return f"{limited(headers, limits)} ({status})"
    if status >= 500:
        return f"it failed ({status}), and did so again when asked again"
    known = {
        401: f"the token was refused (401): {said}",
        403: f"refused (403): {said}; the token needs the permission `{permission}`",
        404: f"{repository} is not there, or the token cannot see it (404)",
        410: f"{repository} has its issues switched off (410)",
        422: f"not taken (422): {said}",
    }
    return known.get(status, f"unexpected answer {status}: {said}")


def _said(error: GithubException) -> str:
    data = error.data if isinstance(error.data, dict) else {}
    details = [d.get("message") or d.get("code") for d in data.get("errors") or [] if isinstance(d, dict)]
    text = "; ".join(str(part) for part in (data.get("message"), *details) if part)
    return one_line(text)[:_MOST_CHARS] or "without a reason"
