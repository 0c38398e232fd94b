"""Prometheus metrics: every request's duration, open connections; /metrics on the internal port."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client import generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.metrics.http import MeasuredRequests
from app.pattern import Pattern


async def _exposition(_: Request) -> Response:
    return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})


pattern = Pattern(
    name="metrics",
    internal=lambda service: [Route("/metrics", _exposition)],
    middleware=lambda app, service: MeasuredRequests(app),
)
