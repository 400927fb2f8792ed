"""A GitHub of one repository, and a chat's webhook, over real HTTP on this machine.

Issues, comments, labels and artifacts are kept and shown in the shapes that GitHub
documents (docs.github.com/en/rest), as far as Roofgate reads them; it can be told to fail.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "owner/gate"
TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"  # noqa: S105 - nobody's
HOOK = "/services/T0000/B0000/hooksecrethooksecret"

_ROOT = f"/repos/{REPOSITORY}"
_DOCS = "https://docs.github.com/rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is answered in place of, or with `done` after, the next `times` requests of a
    method to a path that `path` matches. `hang_s` seconds pass first; `drop` closes the
    connection without an answer."""

    method: str
    path: str
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "Server Error"
    errors: tuple[Mapping[str, str], ...] = ()
    times: int = 10**9
    done: bool = False
    hang_s: float = 0.0
    drop: bool = False
    text: str | None = None


def rate_limit(*, reset: int, method: str = "GET", path: str = "/issues", times: int = 10**9) -> Failure:
    """The primary limit, as GitHub answers it."""
    return Failure(
        method=method,
        path=path,
        status=403,
        headers={
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(reset),
        },
        message="API rate limit exceeded for installation ID 1234567.",
        times=times,
    )


class GitHub:
    """The repository's state; `received` are all requests, without their Authorization."""

    def __init__(self) -> None:
        self.issues: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.artifacts: list[dict[str, Any]] = []
        self.messages: list[str] = []
        self.received: list[str] = []
        self.writes: list[str] = []
        self.keeps_labels = True
        self.now = "2026-01-01T00:00:00Z"  # before every night, unless a test says when
        self.creating: Callable[[], object] = lambda: None
        self.address = ""
        self._failures: list[tuple[Failure, list[int]]] = []
        self._lock = threading.Lock()

    def fail(self, failure: Failure) -> None:
        self._failures.append((failure, [failure.times]))

    def heal(self) -> None:
        self._failures.clear()

    def open_issues(self) -> list[dict[str, Any]]:
        return [one for one in self.issues.values() if one["state"] == "open"]

    def said(self, number: int) -> list[str]:
        return [comment["body"] for comment in self.comments.get(number, [])]

    def add_issue(self, title: str, body: str, *, labels: tuple[str, ...] = ("roofgate",)) -> dict[str, Any]:
        """As somebody who may set labels opens one."""
        with self._lock:
            number = len(self.issues) + 1
            url = f"{self.address}{_ROOT}/issues/{number}"
            self.issues[number] = {
                "id": 1000 + number,
                "node_id": f"I_{number}",
                "number": number,
                "url": url,
                "comments_url": f"{url}/comments",
                "html_url": f"{self.address}/{REPOSITORY}/issues/{number}",
                "state": "open",
                "state_reason": None,
                "title": title,
                "body": body,
                "user": {"login": "github-actions[bot]", "id": 41898282, "type": "Bot"},
                "labels": [{"id": 1, "name": name, "color": "ededed", "default": False} for name in labels],
                "comments": 0,
                "created_at": "2026-11-22T12:00:00Z",
                "updated_at": "2026-11-22T12:00:00Z",
                "closed_at": None,
            }
            return self.issues[number]

    def add_artifact(
        self, name: str, created: str, *, expired: bool = False, branch: str = "main", fork: bool = False
    ) -> None:
        number = len(self.artifacts) + 1
        self.artifacts.append(
            {
                "id": number,
                "node_id": f"A_{number}",
                "name": name,
                "size_in_bytes": 1000,
                "url": f"{self.address}{_ROOT}/actions/artifacts/{number}",
                "archive_download_url": f"{self.address}{_ROOT}/actions/artifacts/{number}/zip",
                "expired": expired,
                "created_at": created,
                "updated_at": created,
                "expires_at": created,
                "workflow_run": {
                    "id": number,
                    "repository_id": 1,
                    "head_repository_id": 2 if fork else 1,
                    "head_branch": branch,
                    "head_sha": "0" * 40,
                },
            }
        )

    def failing(self, method: str, path: str) -> Failure | None:
        with self._lock:
            for failure, left in self._failures:
                if failure.method == method and re.search(failure.path, path) and left[0] > 0:
                    left[0] -= 1
                    return failure
        return None

    def answer(
        self, method: str, path: str, query: dict[str, list[str]], data: Any
    ) -> tuple[int, Any, dict[str, str]]:
        if path == _ROOT:
            return 200, self._repository(), {}
        if path == f"{_ROOT}/issues":
            return self._create(data) if method == "POST" else self._list(query)
        if path == f"{_ROOT}/actions/artifacts":
            named = [a for a in self.artifacts if a["name"] in query.get("name", [a["name"]])]
            return 200, {"total_count": len(named), "artifacts": named}, {}
        found = re.fullmatch(rf"{_ROOT}/issues/(\d+)(/comments)?", path)
        if found is None or int(found[1]) not in self.issues:
            return 404, {"message": "Not Found", "documentation_url": _DOCS, "status": "404"}, {}
        return self._one(method, int(found[1]), data, comments=bool(found[2]))

    def _one(self, method: str, number: int, data: Any, *, comments: bool) -> tuple[int, Any, dict[str, str]]:
        if comments:
            return (
                self._comment(number, data) if method == "POST" else (200, self.comments.get(number, []), {})
            )
        if method == "PATCH":
            self.issues[number] |= data
            if data.get("state") == "closed":
                self.issues[number]["closed_at"] = self.now
        return 200, self.issues[number], {}

    def _repository(self) -> dict[str, Any]:
        owner, name = REPOSITORY.split("/")
        return {
            "id": 1,
            "node_id": "R_1",
            "name": name,
            "full_name": REPOSITORY,
            "private": True,
            "owner": {"login": owner, "id": 1, "type": "Organization"},
            "url": f"{self.address}{_ROOT}",
            "html_url": f"{self.address}/{REPOSITORY}",
            "has_issues": True,
            "default_branch": "main",
            "archived": False,
        }

    def _list(self, query: dict[str, list[str]]) -> tuple[int, Any, dict[str, str]]:
        """Open ones the oldest first, closed ones the latest, as they are asked for; in
        pages, as GitHub has it."""
        state, wanted = query["state"][0], set(query["labels"][0].split(","))
        order = (query["sort"][0], query["direction"][0])
        assert order == (("created", "asc") if state == "open" else ("updated", "desc"))
        found = [
            one
            for one in self.issues.values()
            if one["state"] == state and wanted <= {label["name"] for label in one["labels"]}
        ]
        if state == "closed":
            found.sort(key=lambda one: str(one["closed_at"]), reverse=True)
        page, size = int(query.get("page", ["1"])[0]), int(query.get("per_page", ["30"])[0])
        more = len(found) > page * size
        following = f"{self.address}{_ROOT}/issues?state={state}&labels={query['labels'][0]}&sort={order[0]}"
        link = f'<{following}&direction={order[1]}&per_page={size}&page={page + 1}>; rel="next"'
        return 200, found[(page - 1) * size : page * size], {"Link": link} if more else {}

    def _create(self, data: Any) -> tuple[int, Any, dict[str, str]]:
        too_long = (("title", 256), ("body", 65536))
        errors = [
            {"resource": "Issue", "code": "custom", "field": name, "message": f"{name} is too long"}
            for name, most in too_long
            if len(data[name]) > most
        ]
        if errors:
            return 422, {"message": "Validation Failed", "errors": errors, "status": "422"}, {}
        labels = tuple(data.get("labels", ())) if self.keeps_labels else ()
        self.creating()
        return 201, self.add_issue(data["title"], data["body"], labels=labels), {}

    def _comment(self, number: int, data: Any) -> tuple[int, Any, dict[str, str]]:
        with self._lock:
            comments = self.comments.setdefault(number, [])
            key = 100 * number + len(comments)
            url = f"{self.address}{_ROOT}/issues/comments/{key}"
            comments.append({"id": key, "node_id": f"C_{key}", "url": url, "body": data["body"]})
            return 201, comments[-1], {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: GitHub

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length).decode()
        headers = {k: v for k, v in self.headers.items() if k != "Authorization"}
        way = urlsplit(self.path)
        shown = self.path.replace(HOOK, "/hook")  # the address that it was sent to
        self.hub.received.append(f"{self.command} {shown}\n{headers}\n{text}")
        if self.command != "GET":
            self.hub.writes.append(f"{self.command} {shown}")
        failure = self.hub.failing(self.command, self.path)
        if failure is not None:
            if failure.done:
                self._answer(way.path, way.query, text)
            return self._fail(failure)
        return self._send(*self._answer(way.path, way.query, text))

    do_GET = do_POST = do_PATCH = _handle  # noqa: N815 - as http.server calls them

    def _answer(self, path: str, query: str, text: str) -> tuple[int, Any, dict[str, str]]:
        data = json.loads(text) if text else None
        if path == HOOK:
            self.hub.messages.append(data["text"])
            return 200, "ok", {}
        if self.headers.get("Authorization") != f"token {TOKEN}":
            return 401, {"message": "Bad credentials", "documentation_url": _DOCS, "status": "401"}, {}
        return self.hub.answer(self.command, path, parse_qs(query), data)

    def _fail(self, failure: Failure) -> None:
        time.sleep(failure.hang_s)
        if failure.drop:
            self.close_connection = True
            return
        body = {"message": failure.message, "documentation_url": _DOCS, "status": str(failure.status)}
        if failure.errors:
            body["errors"] = [dict(error) for error in failure.errors]
        self._send(failure.status, body if failure.text is None else failure.text, dict(failure.headers))

    def _send(self, status: int, data: Any, headers: dict[str, str]) -> None:
        plain = isinstance(data, str)
        text = (data if plain else json.dumps(data)).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if plain else "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)
        except OSError:
            self.close_connection = True  # whoever asked waits no longer


@contextmanager
def serving() -> Iterator[GitHub]:
    """A GitHub at its `address`, until the end of the block."""
    hub = GitHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
