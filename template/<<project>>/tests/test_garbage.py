"""What a request leaves to the garbage collector."""

import pytest

from app.main import create_api
from app.main import create_app
from app.patterns import MIDDLEWARE
from app.service import Service
from tests.conftest import KEY
from tests.garbage import left_by
from tests.http.asgi import call

pytestmark = pytest.mark.anyio

REQUESTS = 200


async def test_a_request_is_gone_when_it_is_answered(service: Service) -> None:
    """A function that knows itself, as a `send` that calls itself, keeps all that a request has
    until the collector comes: that is a tenth of the CPU of a small request, and pauses."""
    app = create_app(service, create_api(service), MIDDLEWARE)
    headers = [(b"authorization", b"Bearer " + KEY.encode())]

    async def ask() -> None:
        for _ in range(REQUESTS):
            assert (await call(app, path="/health", headers=headers)).status == 200

    assert await left_by(ask) < REQUESTS
