"""What is measured of every request."""

from time import perf_counter

from prometheus_client import Gauge
from starlette.types import ASGIApp
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send
from uvicorn.server import ServerState

from app.http.methods import METHODS
from app.metrics.loop import LoopHistogram
from app.metrics.loop import Observations

DURATION = LoopHistogram(
    "http_request_duration_seconds",
    "Duration of HTTP requests in seconds",
    ["method", "route", "status_code"],
)
IN_PROGRESS = Gauge("http_requests_in_progress", "HTTP requests being answered now")
CONNECTIONS = Gauge("active_connections", "Open connections of clients")


def watch(state: ServerState) -> None:
    """Report the server's connections and requests whenever the metrics are read."""
    CONNECTIONS.set_function(lambda: len(state.connections))
    IN_PROGRESS.set_function(lambda: len(state.tasks))


class MeasuredRequests:
    """ASGI middleware. Label values are bounded: the route's template, known methods, statuses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # looking a series up by its labels costs more than observing
        self._series: dict[tuple[str, str, int], Observations] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and observe it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = perf_counter()
        try:
            await self._app(scope, receive, send)
        finally:
            self._of(scope, scope.get("status", 500)).observe(perf_counter() - started)

    def _of(self, scope: Scope, status: int) -> Observations:
        route = getattr(scope.get("route"), "path", "unmatched")
        key = (scope["method"], route, status)
        series = self._series.get(key)
        if series is None:
            method = key[0] if key[0] in METHODS else "other"
            series = DURATION.labels(method, route, str(status))
            if method != "other":
                self._series[key] = series
        return series
