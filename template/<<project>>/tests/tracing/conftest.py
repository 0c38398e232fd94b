"""A service whose every request is traced, to an ingest that keeps what it gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from starlette.types import ASGIApp

from app.main import create_api
from app.main import create_app
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.service import Service
from tests.conftest import KEY
from tests.http.asgi import Headers
from tests.tracing.ingest import Ingest

ME: Headers = [(b"x-api-key", KEY.encode())]


class Traced:
    """A running service, and what it serves."""

    def __init__(self, service: Service, api: FastAPI, app: ASGIApp) -> None:
        self.service = service
        self.api = api
        self.app = app


type Open = Callable[..., AbstractAsyncContextManager[Traced]]


@pytest.fixture
def ingest() -> Iterator[Ingest]:
    """A collector and a Sentry."""
    with Ingest() as ingest:
        yield ingest


@pytest.fixture
def environment(ingest: Ingest) -> dict[str, str]:
    """Both backends, everything sampled and sent soon."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": ingest.url,
        "SENTRY_DSN": ingest.dsn,
        "OTEL_TRACES_SAMPLER_ARG": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "SHUTDOWN_DRAIN_S": "5",
    }


@pytest.fixture
def open_service(
    servers: dict[str, str], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Open:
    """Opens a service with these settings; when the block ends everything has been sent."""

    @asynccontextmanager
    async def opened(**more: str) -> AsyncIterator[Traced]:
        for name, value in {**environment, **more}.items():
            monkeypatch.setenv(name, value)
        service = Service(PATTERNS)
        api = create_api(service)
        async with service.running():
            service.started = True
            yield Traced(service, api, create_app(service, api, MIDDLEWARE))

    return opened


def metric(name: str, **labels: str) -> float:
    """A metric of this process."""
    return REGISTRY.get_sample_value(name, labels) or 0


async def until(true: Callable[[], Any], what: str, within_s: float = 10) -> None:
    """Wait until `true()` holds."""
    deadline = monotonic() + within_s
    while not true():
        assert monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.01)
