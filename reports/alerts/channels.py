"""Who is told: GitHub, a webhook, or both, by the environment."""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from baselines.codec import FormatError
from baselines.passwords import without_password
from reports.alerts.action import Action, Issue, Kind
from reports.alerts.ci_page import CiPage, page_of
from reports.alerts.failure import ChannelError
from reports.alerts.hub import Hub
from reports.alerts.limits import Limits
from reports.alerts.state import Key, moment
from reports.alerts.webhook import Webhook

TOKEN, REPOSITORY, API, WEBHOOK = "GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_API_URL", "ROOFGATE_WEBHOOK"
_DEFAULT_API = "https://api.github.com"

# A shorter path is no secret, and may be a word.
_LEAST_SECRET = 12

NEEDED = f"set {TOKEN} and {REPOSITORY} (or --repo), or {WEBHOOK}"

#: From what is known of the open issue, if any, to what is to be done.
Decide = Callable[[Issue | None], Action]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """`secrets` never leave this process, but for the requests that need them."""

    hub: Hub | None
    webhook: Webhook | None
    page: CiPage
    dry: bool
    secrets: tuple[str, ...] = field(repr=False)

    def deliver(self, key: Key, decide: Decide) -> bool:
        """Whether every channel took it; what was done, or failed, is printed. Where GitHub
        cannot say what is open, the webhook is told as if nothing were."""
        done, told, action = True, True, None
        if self.hub is not None:
            try:
                action = self._clean(self._timely(self.hub, decide(self.hub.find(key))))
                told = self._apply(self.hub, action)
            except ChannelError as error:
                done = self.failed(error, (action or decide(None)).why)
        if action is None:
            action = self._clean(decide(None))
            if self.hub is None:
                self._say(f"would {action}" if self.dry and action.told else action.why)
        if self.dry:
            self._show(action)
        elif self.webhook is not None and action.told and told:
            done &= self._post(self.webhook, action)
        return done

    def _timely(self, hub: Hub, action: Action) -> Action:
        """Nothing where the issue that a run would open was closed after it began: a later
        run has told of it, or a person has seen it."""
        if action.kind is not Kind.OPEN or not action.began:
            return action
        closed = hub.closed_at(action.key)
        if closed is None or closed <= moment(action.began):
            return action
        why = f"{action.why}: the issue was closed after this run began"
        return replace(action, kind=Kind.NOTHING, why=why, message="")

    def failed(self, error: ChannelError, what: str) -> bool:
        """False, and said with what was not delivered."""
        print(f"error: {self._hide(f'{error}; not delivered: {what}')}", file=sys.stderr)
        return False

    def _apply(self, hub: Hub, action: Action) -> bool:
        """Whether people are to be told of it elsewhere too: not where another run did."""
        if action.kind is Kind.NOTHING:
            self._say(action.why)
            return False
        if self.dry:
            self._say(f"would {action}")
            return True
        issue = hub.apply(action)
        if issue is None:
            self._say(f"another run opened it meanwhile: {action.why}")
            return False
        self._say(f"{action} ({issue.url})")
        return True

    def _show(self, action: Action) -> None:
        for name, text in (("comment", action.comment), ("title", action.title), ("body", action.body)):
            if text and action.kind is not Kind.NOTHING:
                self._say(f"--- {name}\n{text}")
        if self.webhook is not None and action.told:
            self._say(f"--- webhook\n{action.message}")

    def _post(self, webhook: Webhook, action: Action) -> bool:
        try:
            webhook.post(action.message)
        except ChannelError as error:
            return self.failed(error, action.why)
        self._say("the webhook was told")
        return True

    def _clean(self, action: Action) -> Action:
        """A record may hold anything, even what is secret here."""
        return replace(
            action,
            why=self._hide(action.why),
            title=self._hide(action.title),
            body=self._hide(action.body),
            comment=self._hide(action.comment),
            message=self._hide(action.message),
        )

    def _hide(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return without_password(text)

    def _say(self, line: str) -> None:
        print(self._hide(line))


def channels_of(
    environment: Mapping[str, str], *, repository: str | None, limits: Limits, dry: bool
) -> Channels:
    """Raises FormatError where none is named, and for a name or an address of no such kind."""
    token, webhook = environment.get(TOKEN, "").strip(), environment.get(WEBHOOK, "").strip()
    named = repository or environment.get(REPOSITORY, "")
    if named and not re.fullmatch(r"[\w.-]+/[\w.-]+", named):
        raise FormatError(f"{named[:60]!r} is no repository; owner/name is needed")
    api = environment.get(API) or _DEFAULT_API
    for name, address in ((API, api), (WEBHOOK, webhook)):
        if address and not _is_address(address):
            raise FormatError(f"{name} is no address; one that begins with http:// or https:// is needed")
    if any(not c.isascii() or not c.isprintable() or c.isspace() for c in token):
        raise FormatError(f"{TOKEN} holds what no token does, such as a space")
    if token and not named:
        raise FormatError(f"{TOKEN} is set and no repository is named: {NEEDED}")
    if not (token or webhook or dry):
        raise FormatError(f"nobody to tell: {NEEDED}; --dry-run shows what would be done")
    return Channels(
        hub=Hub(repository=named, api=api.rstrip("/"), token=token, limits=limits) if token else None,
        webhook=Webhook(url=webhook, limits=limits) if webhook else None,
        page=page_of(environment),
        dry=dry,
        secrets=tuple(s for s in (token, webhook, _way(webhook)) if s),
    )


def _way(webhook: str) -> str:
    """The part of the address that is the secret, where it is long enough for one."""
    parts = urlsplit(webhook)
    way = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return way if len(way) >= _LEAST_SECRET else ""


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
