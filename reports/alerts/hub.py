"""The issues and artifacts of one repository on GitHub."""

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import requests
from github import Auth, Github, GithubException
from github.Issue import Issue as Stored
from github.Repository import Repository

from reports.alerts.action import Action, Issue, Kind
from reports.alerts.failure import ChannelError, github_failure
from reports.alerts.limits import Limits
from reports.alerts.patience import github_retry
from reports.alerts.state import Key

#: Of every issue that Roofgate opens: among these it looks for its own.
LABEL = "roofgate"

_ISSUES, _ACTIONS = "issues: write", "actions: read"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Hub:
    """`repository` is owner/name; `api` the address of GitHub's API. All methods raise
    ChannelError."""

    repository: str
    api: str
    token: str = field(repr=False)
    limits: Limits

    def find(self, key: Key) -> Issue | None:
        """The open issue of `key`, the oldest where there are several."""
        with self._asking(_ISSUES):
            return next((_issue(stored) for stored in self._open(key)), None)

    def apply(self, action: Action) -> Issue | None:
        """The issue that was opened or changed; None where another run was first to open it,
        and there was nothing to do."""
        with self._asking(_ISSUES):
            if action.kind is Kind.OPEN:
                return self._opened(action)
            if action.issue is None or action.kind is Kind.NOTHING:
                return None
            self._settle(action.key)
            stored = self._repository.get_issue(action.issue.number)
            self._change(stored, action)
            return action.issue

    def newest_artifact(self, name: str) -> dt.datetime | None:
        """When the newest artifact of that name was made, of those that still are kept. Only
        by the default branch: a pull request, from a fork too, may name its own alike."""
        with self._asking(_ACTIONS):
            own = self._repository.default_branch
            kept = [
                a.created_at
                for a in self._repository.get_artifacts(name)
                if not a.expired and a.name == name and _is_of(a.raw_data.get("workflow_run"), own)
            ]
        return max(kept, default=None)

    def closed_at(self, key: Key) -> dt.datetime | None:
        """When the newest issue of `key` that is closed was; None where none is."""
        with self._asking(_ISSUES):
            found = self._repository.get_issues(
                state="closed", labels=[LABEL], sort="updated", direction="desc"
            )
            return next((i.closed_at for i in found if i.closed_at and key.of(i.body or "")), None)

    @cached_property
    def _repository(self) -> Repository:
        hub = Github(
            auth=Auth.Token(self.token),
            base_url=self.api,
            timeout=self.limits.timeout_s,
            retry=github_retry(self.limits),
            per_page=100,
            seconds_between_requests=None,
            seconds_between_writes=self.limits.pace_s,
        )
        # Asked for, and not assumed: a repository that was renamed says its name of today,
        # and only under that name can something be created in it.
        return hub.get_repo(self.repository)

    def _open(self, key: Key) -> Iterator[Stored]:
        """By the list, which knows at once of an issue; the search learns of it later."""
        found = self._repository.get_issues(state="open", labels=[LABEL], sort="created", direction="asc")
        # What an issue has not, as most have no pull request, PyGithub asks for once more.
        ours = [i for i in found if i.state == "open" and key.of(i.body or "") and i.pull_request is None]
        yield from sorted(ours, key=lambda one: one.number)

    def _opened(self, action: Action) -> Issue | None:
        """GitHub lets two runs open the same issue. Both look afterwards: the lower number
        stays, and whose is the higher closes it."""

        def create() -> Stored:
            return self._repository.create_issue(action.title, body=action.body, labels=[LABEL])

        stored = self._once(create, lambda: next(self._open(action.key), None))
        if LABEL not in {label.name for label in stored.labels}:
            stored.edit(state="closed", state_reason="not_planned")  # else each night leaves another
            raise ChannelError(
                f"GitHub: issue #{stored.number} could not be given its label, so that no run would find it, and was closed: "
                f"the token needs the permission `{_ISSUES}`"
            )
        first = next(self._open(action.key), stored)
        if first.number >= stored.number:
            return _issue(stored)
        self._close_duplicate(stored, of=first)
        return None

    def _settle(self, key: Key) -> None:
        """Duplicates stay where their run died before it looked."""
        found = list(self._open(key))
        for other in found[1:]:
            self._close_duplicate(other, of=found[0])

    def _close_duplicate(self, stored: Stored, *, of: Stored) -> None:
        self._comment(stored, f"Duplicate of #{of.number}: two runs opened it at once.")
        stored.edit(state="closed", state_reason="not_planned")

    def _change(self, stored: Stored, action: Action) -> None:
        """The comment first: a run that dies in between says it no second time."""
        if action.comment:
            self._comment(stored, action.comment)
        if action.kind is Kind.CLOSE:
            stored.edit(state="closed", state_reason="completed")
        else:
            stored.edit(title=action.title or stored.title, body=action.body or stored.body or "")

    def _comment(self, stored: Stored, body: str) -> None:
        def there() -> bool | None:
            return True if any(_same(c.body, body) for c in stored.get_comments()) else None

        def create() -> bool:
            stored.create_comment(body)
            return True

        if not there():
            self._once(create, there)

    def _once(self, create: Callable[[], T], look: Callable[[], T | None]) -> T:
        """Creates, and where nobody knows whether that was done, looks before it tries again."""
        for wait_s in self.limits.waits_s:
            try:
                return create()
            except (GithubException, requests.RequestException) as error:
                if isinstance(error, GithubException) and error.status < 500:
                    raise
            time.sleep(wait_s)
            if (found := look()) is not None:
                return found
        return create()

    @contextlib.contextmanager
    def _asking(self, permission: str) -> Iterator[None]:
        try:
            yield
        except ChannelError:
            raise
        # PyGithub asserts, and fails on types, where an answer is none of GitHub's; whatever
        # it is, the other channel has to be tried.
        except Exception as error:  # noqa: BLE001
            raise github_failure(
                error, repository=self.repository, permission=permission, limits=self.limits
            ) from None


def _is_of(run: Mapping[str, object] | None, branch: str) -> bool:
    """Whether an artifact's run was of this repository's own branch."""
    run = run or {}
    return run.get("head_branch") == branch and run.get("head_repository_id") == run.get("repository_id")


def _issue(stored: Stored) -> Issue:
    return Issue(number=stored.number, url=stored.html_url, title=stored.title, body=stored.body or "")


def _same(one: str | None, other: str) -> bool:
    """GitHub ends lines as browsers do once somebody edited a text."""
    return (one or "").replace("\r\n", "\n").strip() == other.strip()
