"""A second channel: any address that takes {"text": …} as JSON, as Slack's webhooks do."""

import time
from dataclasses import dataclass, field

import requests
from requests.adapters import HTTPAdapter

from reports.alerts.failure import ChannelError, limited, unanswered
from reports.alerts.limits import Limits
from reports.alerts.patience import webhook_retry
from reports.alerts.wording import chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Its address is a secret: who knows it can speak there."""

    url: str = field(repr=False)
    limits: Limits

    def post(self, message: str) -> None:
        """Sends it at least once: an answer that is lost makes it come twice. Raises ChannelError."""
        adapter = HTTPAdapter(max_retries=webhook_retry(self.limits))
        for wait_s in self.limits.waits_s:
            try:
                return self._post(message, adapter)
            except (requests.Timeout, requests.ConnectionError):
                time.sleep(wait_s)
        try:
            return self._post(message, adapter)
        except (requests.Timeout, requests.ConnectionError) as error:
            raise ChannelError(f"the webhook: {unanswered(error, self.limits)}") from None

    def _post(self, message: str, adapter: HTTPAdapter) -> None:
        with requests.Session() as session:
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            try:
                # Followed, a redirection would carry the message elsewhere.
                answer = session.post(
                    self.url,
                    json={"text": chat(message)},
                    timeout=self.limits.timeout_s,
                    allow_redirects=False,
                )
            except (requests.Timeout, requests.ConnectionError):
                raise
            except requests.RequestException as error:
                raise ChannelError(f"the webhook: {unanswered(error, self.limits)}") from None
        if answer.status_code == 429:
            raise ChannelError(f"the webhook: {limited(answer.headers, self.limits)} (429)")
        if not answer.ok or answer.is_redirect:
            raise ChannelError(f"the webhook: it answered {answer.status_code}; is ROOFGATE_WEBHOOK right?")
