"""The client as a resource of the service: opened at the start, closed when the work is done."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from contextlib import nullcontext
from typing import Self

from app.http_client.call import Hook
from app.http_client.settings import HttpClientSettings
from app.http_client.transport import Transport
from app.http_client.upstream import Upstream


class HttpClient(AbstractAsyncContextManager["HttpClient"]):
    """Everybody whom the service may ask, over one pool. Found by `service.get`.

    `watch` has a hook entered around every attempt.
    """

    def __init__(self, settings: HttpClientSettings) -> None:
        self._transport = Transport(settings)
        self._upstreams = {
            name: Upstream(name, url, settings, self._transport)
            for name, url in settings.upstreams.items()
        }

    async def __aenter__(self) -> Self:
        """Open the pool."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the pool."""
        await self._transport.__aexit__()

    def watch(self, hook: Hook | None) -> None:
        """Enter this around every attempt from now on, in the task that asks; None: nothing."""
        self._transport.hook = hook or nullcontext

    def upstream(self, name: str) -> Upstream | None:
        """The upstream of this name; None when the settings have none, and what needs it is off."""
        return self._upstreams.get(name)
