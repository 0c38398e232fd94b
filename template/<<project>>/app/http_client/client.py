"""The client as a resource of the service: opened at the start, closed when the work is done."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Self

from app.http_client.call import Hook
from app.http_client.settings import HttpClientSettings
from app.http_client.transport import Transport
from app.http_client.upstream import Upstream


class HttpClient(AbstractAsyncContextManager["HttpClient"]):
    """Everybody whom the service may ask, over one pool. Found by `service.get`.

    `hooks` are entered around every attempt; add to them before the first one.
    """

    def __init__(self, settings: HttpClientSettings) -> None:
        self.hooks: list[Hook] = []
        self._transport = Transport(settings)
        self._upstreams = {
            name: Upstream(name, url, settings, self._transport, self.hooks)
            for name, url in settings.upstreams.items()
        }

    async def __aenter__(self) -> Self:
        """Open the pool."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the pool."""
        await self._transport.__aexit__()

    def upstream(self, name: str) -> Upstream | None:
        """The upstream of this name; None when the settings have none, and what needs it is off."""
        return self._upstreams.get(name)
