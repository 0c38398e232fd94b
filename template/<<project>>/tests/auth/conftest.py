"""Fixtures of the tests of authentication."""

from collections.abc import Iterator

import pytest

from tests.auth.issuer import Jwks


@pytest.fixture(scope="session", autouse=True)
def _no_proxy() -> Iterator[None]:
    """The server is local, whatever proxy this machine uses."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("no_proxy", "127.0.0.1")
        yield


@pytest.fixture
def jwks() -> Iterator[Jwks]:
    """A running JWKS server with one RS256 key, `one`."""
    with Jwks().serving() as running:
        yield running
