"""One process: the internal port, the resources, its work, and the way down."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from contextlib import asynccontextmanager
from contextlib import contextmanager
from time import monotonic

import uvicorn
from starlette.types import ASGIApp

from app.http.logs import log
from app.http.protocol import BoundedHttpProtocol
from app.metrics.http import watch
from app.service import Service
from app.settings import SettingsError
from app.shutdown import ShutdownSettings


class Server(uvicorn.Server):
    """uvicorn that leaves signals to `Stop`: its own handler closes idle connections at once, and
    with them the requests that are already on their way in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class Stop:
    """Set by the first SIGTERM or SIGINT; the process then ends within SHUTDOWN_FORCE_S."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._settings = service.settings(ShutdownSettings)
        self._asked = asyncio.Event()
        self._signal = signal.SIGTERM
        self._main = asyncio.current_task()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._asked.is_set():
            self._force("second signal")
        log.info("shutdown_asked", signal=number.name)
        self._signal = number
        self._service.ends_at = monotonic() + self._settings.force_s
        self._asked.set()
        for tell in self._service.at_stop:
            tell()
        asyncio.get_running_loop().call_later(self._settings.force_s, self._force, "time is up")
        if not self._service.started and self._main:
            self._main.cancel()  # it waits for a server that is not there

    def _force(self, why: str) -> None:
        log.error("shutdown_forced", reason=why)
        os._exit(1)

    async def wait(self) -> None:
        """Return when a signal has come."""
        await self._asked.wait()
        self._service.draining = True

    async def wait_for_balancer(self) -> None:
        """Give the balancer time to notice that a signal has come."""
        if self._signal == signal.SIGTERM:  # somebody at a terminal does not wait for a balancer
            await asyncio.sleep(min(self._settings.drain_s, self._settings.force_s / 2))

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self._asked.is_set()


async def run(
    service: Service,
    internal: ASGIApp,
    work: AbstractAsyncContextManager[object],
    *,
    balanced: bool = False,
) -> None:
    """Do `work` until SIGTERM or SIGINT, then finish what was begun, and close in reverse order.

    Entering `work` begins it, leaving it finishes it; `balanced` says that a balancer sends it
    requests and needs SHUTDOWN_DRAIN_S to notice. The internal port answers first and last, so
    that probes see the whole life of the process. Takes at most SHUTDOWN_FORCE_S from the signal
    to the end.
    """
    core, stop = service.core, Stop(service)
    try:
        async with (
            listening(internal, core.internal_host, core.internal_port, core.keep_alive_s),
            service.running(),
            work,
        ):
            _set_start_aside()
            service.started = True
            log.info("started", internal_port=core.internal_port)
            await stop.wait()
            if balanced:
                await stop.wait_for_balancer()
    except asyncio.CancelledError:
        if not stop.asked:
            raise
    log.info("stopped")


def _set_start_aside() -> None:
    """Let the garbage collector pass over what the start has made, which stays until the end.

    Otherwise each full collection goes through all imported modules as well, and every request
    waits for it: 70 to 160 ms, more than once a second under load, and 4 to 10 so.
    """
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def public_port(service: Service, public: ASGIApp) -> AsyncIterator[None]:
    """The work of an API process: the public port, which accepts no more when the block ends."""
    core = service.core
    async with listening(public, core.host, core.port, core.keep_alive_s) as server:
        watch(server.server_state)
        log.info("serving", host=core.host, port=core.port)
        yield


@asynccontextmanager
async def listening(app: ASGIApp, host: str, port: int, keep_alive_s: int) -> AsyncIterator[Server]:
    """Serve `app` within the block; at its end accept no more, and finish what is in flight."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        loop="uvloop",
        http=BoundedHttpProtocol,
        timeout_keep_alive=keep_alive_s,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve([_bound(host, port)]))
    try:
        while not server.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.01)
        yield server
    finally:
        server.should_exit = True
        await serving


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens; SettingsError when the port is taken or the host is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
