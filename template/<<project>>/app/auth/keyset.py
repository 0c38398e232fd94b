"""The issuer's public keys, fetched from its JWKS address and kept."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any
from typing import Self
from urllib.request import HTTPRedirectHandler
from urllib.request import Request
from urllib.request import build_opener

import jwt
import msgspec
from prometheus_client import Counter

from app.http.errors import Unavailable
from app.http.logs import log

# Signatures by a private key that only the issuer has. Never HS*: there the public key would be
# the secret; never "none".
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip

FETCH_TIMEOUT_S = 5.0
LARGEST_SET = 262_144
MAX_AGE_S = 300.0  # older keys are fetched again behind the requests that use them
PAUSE_S = 30.0  # between fetches, whatever is asked for
RETRY_S = 2.0  # between fetches while there are no keys at all

FETCHES = Counter("auth_jwks_fetches_total", "Fetches of the issuer's keys", ["result"])
FETCHED, FAILED = FETCHES.labels("ok"), FETCHES.labels("failed")


class KeySet(AbstractAsyncContextManager["KeySet"]):
    """The keys by their id. A fetch that fails leaves the keys that there are."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] | None = None
        self._fetched = self._attempted = -inf
        self._fetching: asyncio.Task[None] | None = None
        self._document = b""
        self.version = 0  # goes up when the keys change

    async def __aenter__(self) -> Self:
        """Begin to fetch; the service starts without waiting for another server."""
        self._refresh()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give up a fetch under way."""
        if self._fetching:
            self._fetching.cancel()
            with suppress(asyncio.CancelledError):
                await self._fetching

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """The key of this id, or None. Unavailable as long as no fetch has ever succeeded.

        An id that is not known may be new, so it leads to a fetch; to one in PAUSE_S, however many
        requests make up ids.
        """
        if self._keys and kid in self._keys:
            if monotonic() - self._fetched > MAX_AGE_S:
                self._refresh()
            return self._keys[kid]
        if fetching := self._refresh():
            await asyncio.shield(fetching)
        if self._keys is None:
            raise Unavailable("The issuer's keys could not be fetched.", round(RETRY_S))
        return self._keys.get(kid)

    def _refresh(self) -> asyncio.Task[None] | None:
        """The fetch under way, or a new one; None when the last one began too short a while ago."""
        if self._fetching and not self._fetching.done():
            return self._fetching
        if monotonic() - self._attempted < (RETRY_S if self._keys is None else PAUSE_S):
            return None
        self._attempted = monotonic()
        self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                document = await asyncio.to_thread(_download, self._url)
            keys = _usable(document)
        except Exception as error:  # whatever it is, the old keys hold
            FAILED.inc()
            log.warning("jwks_fetch_failed", url=self._url, error=repr(error))
        else:
            FETCHED.inc()
            self._keys, self._fetched = keys, monotonic()
            if document != self._document:
                self._document = document
                self.version += 1


class _NoRedirects(HTTPRedirectHandler):
    """A redirect could lead from https to http, or into the own network."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none: it is an error then."""


def _download(url: str) -> bytes:
    """The document, in a thread. The settings have made sure that it is http or https."""
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310
    deadline = monotonic() + FETCH_TIMEOUT_S
    received = b""
    with build_opener(_NoRedirects).open(request, timeout=FETCH_TIMEOUT_S) as response:
        while part := response.read1(65_536):
            received += part
            if len(received) > LARGEST_SET or monotonic() > deadline:
                raise ValueError("the document is too long, or takes too long")
    return received


class _Document(msgspec.Struct):
    keys: list[dict[str, Any]]


def _usable(document: bytes) -> dict[str, jwt.PyJWK]:
    """The keys for signatures by an algorithm that is allowed; ValueError if there is none."""
    usable: dict[str, jwt.PyJWK] = {}
    for key in msgspec.json.decode(document, type=_Document).keys:
        kid = key.get("kid")
        if isinstance(kid, str) and kid not in usable and (parsed := _parse(key)):
            usable[kid] = parsed
    if not usable:
        raise ValueError("the document holds no key that can be used")
    return usable


def _parse(key: dict[str, Any]) -> jwt.PyJWK | None:
    # a private key would be parsed as one, and could not verify; whoever publishes it has lost it
    if key.get("use", "sig") != "sig" or "d" in key:
        return None
    try:
        parsed = jwt.PyJWK(key)
        weak = parsed.Algorithm.check_key_length(parsed.key)
    except Exception:  # one odd key does not spoil the others
        return None
    return None if weak or parsed.algorithm_name not in ALGORITHMS else parsed
