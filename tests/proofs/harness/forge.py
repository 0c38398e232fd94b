"""A forge with one repository: as much of Gitea's API as Renovate needs to open a pull request."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

NAME = "acme/shop"
BOT = {"id": 1, "login": "renovate", "full_name": "Renovate", "email": "renovate@localhost.example"}


class Forge:
    """What the forge knows: a bare repository, the pull requests that were opened, and what was said of them."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.pulls: list[dict[str, Any]] = []
        self.comments: list[str] = []
        self.endpoint = ""

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, Any]:
        """Status and body for a request below /api/v1."""
        if method == "POST" and path == f"/repos/{NAME}/pulls":
            self.pulls.append(self._pull(sent))
            return 201, self.pulls[-1]
        if method == "PATCH" and path.startswith(f"/repos/{NAME}/pulls/"):
            self.pulls[-1] |= {key: sent[key] for key in ("title", "body") if key in sent}
            return 201, self.pulls[-1]
        if method == "POST" and path.endswith("/comments"):
            self.comments.append(sent["body"])
            return 201, {"id": len(self.comments), "body": sent["body"]}
        known = {
            "/version": {"version": "1.24.0"},
            "/user": BOT,
            f"/repos/{NAME}": self._about(),
            f"/repos/{NAME}/pulls": self.pulls,
        }
        if method == "GET" and path in known:
            return 200, known[path]
        return (200, []) if path.endswith(("/labels", "/statuses", "/comments")) else (404, {})

    def _about(self) -> dict[str, Any]:
        return {
            "id": 1,
            "full_name": NAME,
            "owner": BOT,
            "default_branch": "main",
            "ssh_url": str(self.repository),
            "allow_merge_commits": True,
            "permissions": {"admin": True, "pull": True, "push": True},
        }

    def _pull(self, sent: dict[str, Any]) -> dict[str, Any]:
        command = ["git", "rev-parse", sent["head"]]
        commit = subprocess.check_output(command, cwd=self.repository, text=True).strip()
        return {
            "number": len(self.pulls) + 1,
            "state": "open",
            "title": sent["title"],
            "body": sent["body"],
            "mergeable": True,
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "base": {"ref": sent["base"]},
            "head": {"label": sent["head"], "sha": commit, "repo": {"full_name": NAME}},
            "user": BOT,
        }


@contextmanager
def forge(repository: Path) -> Iterator[Forge]:
    """A forge that serves the bare repository for the block."""
    one = Forge(repository)

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = json.loads(self.rfile.read(length) or "{}")
            path = self.path.partition("?")[0].removeprefix("/api/v1")
            status, body = one.answer(self.command, path, sent)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _respond  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing of each request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        one.endpoint = f"http://127.0.0.1:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield one
        finally:
            server.shutdown()
            thread.join()
