"""The internal port of a service that has this pattern and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from app import profiling
from app.main import create_internal_app
from app.service import Service


@pytest.fixture
async def alone(monkeypatch: pytest.MonkeyPatch, anyio_backend: str) -> AsyncIterator[Service]:
    """The service, running."""
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setenv("PROFILING_BLOCKED_S", "0.1")
    service = Service([profiling.pattern])
    async with service.running():
        yield service


async def never() -> bool:
    """A client that stays."""
    return False


@pytest.fixture
async def internal(alone: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """Asks it from the same machine."""
    transport = httpx2.ASGITransport(create_internal_app(alone), client=("127.0.0.1", 5000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
