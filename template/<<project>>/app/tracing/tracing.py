"""Tracing as a resource of the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from threading import Thread
from typing import TYPE_CHECKING
from typing import Self

from app.http.logs import additions
from app.http.logs import log
from app.service import Service
from app.shutdown import ShutdownSettings
from app.tracing.settings import TracingSettings
from app.tracing.spans import Telemetry
from app.tracing.spans import add_ids
from app.tracing.spans import telemetry

if TYPE_CHECKING:
    from app.tracing.backends import Backends


class Tracing(AbstractAsyncContextManager["Tracing"]):
    """Opens the backends that the settings name. Without any, nothing is imported or done."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._settings = service.settings(TracingSettings)
        self._backends: Backends | None = None

    @property
    def on(self) -> bool:
        """Whether there is a backend."""
        return self._settings.on

    async def __aenter__(self) -> Self:
        if self.on:
            from app.tracing.backends import Backends

            self._backends = Backends(self._settings, self._service.core.environment)
            telemetry.tracer = self._backends.tracer
            telemetry.report = self._backends.report or telemetry.report
            telemetry.error_messages = self._settings.tracing_error_messages
            additions.append(add_ids)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Send what waits, for at most SHUTDOWN_DRAIN_S and half of what is left of the end."""
        if self._backends is None:
            return
        additions.remove(add_ids)
        nothing = Telemetry()
        telemetry.tracer, telemetry.report = nothing.tracer, nothing.report
        backends, drain_s = self._backends, self._service.settings(ShutdownSettings).drain_s
        seconds = max(0.0, min(drain_s, self._service.seconds_left() / 2))
        if not await _within(seconds, lambda: backends.close(seconds)):
            log.warning("tracing_not_flushed", seconds=round(seconds, 3))


async def _within(seconds: float, do: Callable[[], None]) -> bool:
    """Whether it was done in that time. If not it goes on, in a thread that ends with the process:
    those of `asyncio.to_thread` would hold up its end."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        try:
            do()
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

    Thread(target=run, name="tracing-close", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            await done.wait()
    except TimeoutError:
        return False
    return True
