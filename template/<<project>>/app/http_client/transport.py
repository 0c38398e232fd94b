"""One attempt over the pool of connections: an answer, or why there is none."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from contextlib import nullcontext
from io import BytesIO
from typing import Self

import aiohttp
from yarl import URL

from app.about import NAME
from app.http_client.call import Answer
from app.http_client.call import Call
from app.http_client.call import Hook
from app.http_client.errors import PastDeadline
from app.http_client.errors import TooLarge
from app.http_client.errors import TooSlow
from app.http_client.errors import Unreachable
from app.http_client.settings import HttpClientSettings

# Less than the five seconds that many servers keep idle connections: else a request that must not
# be repeated meets one that is just being closed.
KEEP_ALIVE_S = 4


class Transport(AbstractAsyncContextManager["Transport"]):
    """The connections. No redirects, no cookies, no proxy from the environment.

    hook: entered around every attempt
    """

    _session: aiohttp.ClientSession

    def __init__(self, settings: HttpClientSettings) -> None:
        self.hook: Hook = nullcontext
        self._most = settings.max_body_bytes
        self._timeout = aiohttp.ClientTimeout(
            total=None,  # the call has a deadline
            connect=settings.connect_timeout_s,  # names and TLS included
            sock_read=settings.read_timeout_s,
        )
        # aiohttp has no timeout for writing; the answer begins within the three together
        self._head_s = (
            settings.connect_timeout_s + settings.write_timeout_s + settings.read_timeout_s
        )

    async def __aenter__(self) -> Self:
        """Nothing is connected yet."""
        self._session = aiohttp.ClientSession(
            # the upstreams bound their own requests
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": NAME},
            timeout=self._timeout,
            trust_env=False,
        )
        # it would repeat requests by itself, past any budget, and has no parameter (aiohttp#10790)
        self._session._retry_connection = False
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._session.close()

    async def send(self, call: Call) -> Answer:
        """The answer, whatever its status; any other NoAnswer than Busy and CircuitOpen."""
        call.status = None
        with self.hook(call):
            try:
                async with asyncio.timeout_at(call.ends_at):
                    answer = await self._exchange(call)
            except TimeoutError:
                raise PastDeadline(call.upstream) from None
            call.status = answer.status
            return answer

    async def _exchange(self, call: Call) -> Answer:
        try:
            async with asyncio.timeout(self._head_s):
                response = await self._session.request(
                    call.method,
                    URL(call.url, encoded=True),
                    headers=call.headers,
                    data=call.body and BytesIO(call.body),  # large ones part by part
                    allow_redirects=False,
                )
            try:
                return Answer(response.status, response.headers, await self._body(call, response))
            finally:
                response.close()  # of no effect when all has been read
        # not chained: what aiohttp says of an error may hold the URL with its query
        except TimeoutError as error:  # aiohttp's are both
            raise TooSlow(call.upstream, cause=error) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(call.upstream, cause=error) from None

    async def _body(self, call: Call, response: aiohttp.ClientResponse) -> bytes:
        received = bytearray()
        async for part in response.content.iter_any():
            received += part
            if len(received) > self._most:
                raise TooLarge(call.upstream)
        return bytes(received)
