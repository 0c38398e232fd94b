"""A flaky upstream, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from contextlib import AsyncExitStack
from secrets import token_hex
from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.http_client import Hook
from app.http_client import HttpClient
from app.http_client import HttpClientSettings
from app.http_client import Upstream
from tests.http_client.flaky import Flaky
from tests.http_client.flaky import flaky

type Connect = Callable[..., Awaitable[Upstream]]


def measured(upstream: Upstream, name: str, **labels: str) -> float:
    """The value of the metric `http_client_{name}` for this upstream."""
    found = REGISTRY.get_sample_value(f"http_client_{name}", {"upstream": upstream.name, **labels})
    return found or 0


def outcomes(upstream: Upstream, outcome: str) -> float:
    """How many calls ended so."""
    return measured(upstream, "calls_total", outcome=outcome)


@pytest.fixture
async def remote(anyio_backend: str) -> AsyncIterator[Flaky]:
    """The upstream that misbehaves."""
    async with flaky() as one:
        yield one


@pytest.fixture
async def connect(remote: Flaky) -> AsyncIterator[Connect]:
    """Makes a client of it with these settings; its name, and so its metrics, are its own."""
    async with AsyncExitStack() as stack:

        async def connected(url: str = "", hook: Hook | None = None, **settings: Any) -> Upstream:
            name = f"u{token_hex(4)}"
            chosen = HttpClientSettings(upstreams={name: url or remote.url}, **settings)
            client = await stack.enter_async_context(HttpClient(chosen))
            client.watch(hook)
            upstream = client.upstream(name)
            assert upstream
            return upstream

        yield connected
