"""While the service drains, every answer asks its client to open a new connection elsewhere."""

from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.service import Service


class Drain:
    """ASGI middleware that adds `Connection: close` to the answers of a draining service."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            scope["on_start"].append(self._close)
        await self._app(scope, receive, send)

    def _close(self, start: Message) -> None:
        # asked now, and not before: the drain may have begun while the request was served
        if self._service.draining:
            start["headers"] = [*start["headers"], (b"connection", b"close")]
