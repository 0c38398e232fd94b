"""Files have places and a time of their own: they need none that backpressure gives to requests."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Scope

from app.backpressure import long_running
from app.pattern import Pattern
from app.pattern import Resource
from app.service import Service
from app.streaming.streams import Streams


def _set_free(scope: Scope) -> None:
    long_running(Request(scope))


def _resources(service: Service) -> list[Resource]:
    service.get(Streams).at_begin.append(_set_free)
    return []


pattern = Pattern(name="streaming_with_backpressure", resources=_resources)
