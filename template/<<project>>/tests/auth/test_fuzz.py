"""Whatever is sent, nobody gets in without a key, and nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from app.auth import Authentication
from app.auth.keyset import KeySet
from app.auth.tokens import Tokens
from tests.auth.issuer import Jwks
from tests.auth.issuer import token
from tests.http.asgi import call

pytestmark = pytest.mark.anyio

NAMES = [b"authorization", b"x-api-key", b"Authorization", b"cookie", b"host"]
segments = st.text("ABCabc019-_=.", max_size=60).map(str.encode)
tokens = st.builds(b".".join, st.lists(segments, max_size=5))
GOOD = token()
mutations = st.builds(
    lambda at, put: GOOD[:at] + put + GOOD[at + 1 :],
    st.integers(0, len(GOOD) - 1),
    st.binary(max_size=2) | segments,
).filter(lambda text: text != GOOD)
credentials = st.one_of(
    st.binary(max_size=80), tokens, segments.map(lambda text: b"pk_" + text), mutations
)
values = st.builds(
    lambda scheme, credential: scheme + credential,
    st.sampled_from([b"Bearer ", b"bearer ", b"BEARER  ", b"Bearer", b"Basic ", b""]),
    credentials,
)
requests = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=3)


async def unreachable(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("somebody was let in")


@pytest.fixture(scope="module")
def shared() -> Iterator[Jwks]:
    """One JWKS server for all examples."""
    with Jwks().serving() as running:
        yield running


@settings(max_examples=500, deadline=None)
@given(method=st.sampled_from(["GET", "HEAD", "POST", "DELETE", "x"]), headers=requests)
async def test_nothing_but_a_credential_is_let_in(
    shared: Jwks, method: str, headers: list[tuple[bytes, bytes]]
) -> None:
    async with KeySet(shared.url) as keys:
        app = Authentication(unreachable, {}, Tokens(shared.issuer, keys))
        answer = await call(app, method, "/items", headers)
    assert answer.status == 401
    assert len(answer.values("www-authenticate")) == 1


async def test_the_token_that_is_mutated_is_a_good_one(shared: Jwks) -> None:
    async with KeySet(shared.url) as keys:
        assert (await Tokens(shared.issuer, keys).verify(GOOD)).id == "jwt:alice"
