"""Processes of a service with a login of its own, which believes everybody, on one Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter
from fastapi import Request
from fastapi import Response

from app.auth import Principal
from app.main import create_api
from app.main import create_app
from app.pattern import Pattern
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.service import Service
from app.sessions import Sessions
from app.sessions.cookie import Cookie
from tests.conftest import KEY
from tests.redis.private import PrivateRedis

HOST = "https://service"
COOKIE = "__Host-session"


def _routes(api: APIRouter, service: Service) -> None:
    sessions, cookie = service.get(Sessions), Cookie.of(service)

    @api.post("/enter/{user}", status_code=204)
    @api.post("/enter", status_code=204)
    async def enter(request: Request, user: str = "ann", scopes: str = "read,write") -> Response:
        principal = Principal(f"user:{user}", "premium", frozenset(scopes.split(",")))
        response = Response(status_code=204)
        cookie.set(response, await sessions.begin(principal, request.scope))
        return response

    @api.get("/who")
    @api.post("/who")
    async def who(request: Request) -> str:
        return str(request.scope["principal"].id)


ENTRANCE = Pattern(
    name="entrance", routes=_routes, open=(("POST", "/enter"), ("POST", "/enter/bob"))
)


class Browser:
    """A browser at one process, or more: it has one cookie, and a page that knows the token."""

    def __init__(self, *processes: httpx2.AsyncClient) -> None:
        self.processes = processes
        self.secret = ""
        self.token = ""

    async def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, process: int = 0
    ) -> httpx2.Response:
        """Send a request as a page of the service would."""
        sent = {"Cookie": f"{COOKIE}={self.secret}"} if self.secret else {}
        if method not in ("GET", "HEAD"):
            sent |= {"Origin": HOST, "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": self.token}
        sent |= headers or {}
        self.processes[process].cookies.clear()  # which others' answers have set
        return await self.processes[process].request(
            method, HOST + path, headers={name: text for name, text in sent.items() if text}
        )

    async def enter(self, path: str = "/enter") -> httpx2.Response:
        """Log in."""
        answer = await self.ask("POST", path)
        assert answer.status_code == 204, answer.text
        self.secret = secret_of(answer)
        self.token = (await self.ask("GET", "/session")).json()["csrfToken"]
        return answer

    async def who(self, process: int = 0) -> str | int:
        """Who one is to the service: the principal, or the status of the refusal."""
        answer = await self.ask("GET", "/who", process=process)
        return str(answer.json()) if answer.status_code == 200 else answer.status_code


def secret_of(answer: httpx2.Response) -> str:
    """What an answer gives the browser to keep."""
    [line] = answer.headers.get_list("set-cookie")
    name, _, rest = line.partition("=")
    assert name == COOKIE
    return rest.partition(";")[0]


type StartProcess = Callable[..., Awaitable[httpx2.AsyncClient]]


@pytest.fixture
async def start(
    monkeypatch: pytest.MonkeyPatch, servers: dict[str, str], anyio_backend: str
) -> AsyncIterator[StartProcess]:
    """Starts a process with these settings; gives its client."""
    async with AsyncExitStack() as stack:

        async def start_process(**settings: str) -> httpx2.AsyncClient:
            settings = {"REDIS_TIMEOUT_S": "5"} | settings  # a busy machine is no failure
            for name, value in settings.items():
                monkeypatch.setenv(name, value)
            service = Service([*PATTERNS, ENTRANCE])
            await stack.enter_async_context(service.running())
            app: Any = create_app(service, create_api(service), MIDDLEWARE)
            transport = httpx2.ASGITransport(app)
            client = httpx2.AsyncClient(transport=transport)
            return await stack.enter_async_context(client)

        yield start_process


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateRedis]:
    """A redis-server of this test's own, running."""
    server = PrivateRedis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def browser(start: StartProcess) -> Browser:
    """A browser before two processes."""
    return Browser(await start(), await start())


def api_key() -> dict[str, str]:
    """The header of somebody with an API key."""
    return {"X-API-Key": KEY}
