"""The generated service as granian wants it: an ASGI callable that opens the resources in its lifespan.

Only for the bench: the drain, the internal port and the shutdown in `app/server.py` are not to be had this way.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any

from app.http import logs  # type: ignore[import-not-found]
from app.main import create_api  # type: ignore[import-not-found]
from app.main import create_app
from app.patterns import MIDDLEWARE  # type: ignore[import-not-found]
from app.patterns import PATTERNS
from app.service import Service  # type: ignore[import-not-found]

service = Service(PATTERNS)
logs.configure(service.core.log_level)
_serve = create_app(service, create_api(service), MIDDLEWARE)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve one request, or the life of the process."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await _serve(scope, receive, send)


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    running: AbstractAsyncContextManager[None] = service.running()
    async with running:
        service.started = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
