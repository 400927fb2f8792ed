"""Where an alert comes from: the run of the CI that sends it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_DEFAULT = "https://github.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class CiPage:
    """The page of the CI's run, where one sends the alert; else None."""

    url: str | None

    @property
    def words(self) -> str:
        return self.url or "not sent by a CI"

    @property
    def pointer(self) -> str:
        return f"Cut here: the rest is in the run's `report.html`{f', {self.url}' if self.url else ''}."


def page_of(environment: Mapping[str, str]) -> CiPage:
    """As GitHub's runners name it; what does not look like a run's page is none."""
    server = environment.get("GITHUB_SERVER_URL") or _DEFAULT
    repository, run = environment.get("GITHUB_REPOSITORY", ""), environment.get("GITHUB_RUN_ID", "")
    url = f"{server}/{repository}/actions/runs/{run}"
    whole = re.fullmatch(r"https?://[\w.:-]+/[\w.-]+/[\w.-]+/actions/runs/\d+", url)
    return CiPage(url=url if whole else None)
