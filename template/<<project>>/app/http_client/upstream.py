"""A service that is asked: deadline, bounded concurrency, retries, circuit breaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any
from urllib.parse import quote
from urllib.parse import urlencode

import msgspec

from app.http.logs import log
from app.http_client import metrics
from app.http_client.breaker import Breaker
from app.http_client.breaker import State
from app.http_client.budget import RetryBudget
from app.http_client.call import Answer
from app.http_client.call import Call
from app.http_client.errors import Busy
from app.http_client.errors import CircuitOpen
from app.http_client.errors import NoAnswer
from app.http_client.errors import PastDeadline
from app.http_client.pauses import choose_pause
from app.http_client.settings import HttpClientSettings
from app.http_client.transport import Transport

# Not now, and perhaps soon. 500 is not among them: it mostly fails again.
TRY_AGAIN = frozenset({429, 502, 503, 504})
LEAST_LEFT_S = 0.1  # with less, another attempt would be work for the upstream and no answer


def _now() -> float:
    return asyncio.get_running_loop().time()


def _outcome(result: Answer | NoAnswer) -> str:
    return f"{result.status // 100}xx" if isinstance(result, Answer) else result.outcome


def _worth_repeating(result: Answer | NoAnswer) -> bool:
    return result.status in TRY_AGAIN if isinstance(result, Answer) else result.again


class Upstream:
    """One of HTTP_CLIENT_UPSTREAMS."""

    def __init__(
        self,
        name: str,
        base_url: str,
        settings: HttpClientSettings,
        transport: Transport,
    ) -> None:
        self.name = name
        self._base_url = base_url
        self._settings = settings
        self._transport = transport
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._budget = RetryBudget(settings.retry_ratio)
        self._breaker = Breaker(settings.breaker_pause_s, self._tell)
        self._attempts = metrics.ATTEMPTS.labels(name)
        self._denied = metrics.RETRIES_DENIED.labels(name)
        self._in_flight = metrics.IN_FLIGHT.labels(name)
        self._duration = metrics.DURATION.labels(name)
        metrics.BREAKER.labels(name).set_function(lambda: self._breaker.state)
        metrics.begin(name)

    async def request(
        self,
        method: str,
        *path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        deadline_s: float | None = None,
    ) -> Answer:
        """Ask for the path of these segments below the base URL, within `deadline_s` seconds.

        Any status is an answer. Raises NoAnswer when there is none. What is idempotent, by its
        method or by an Idempotency-Key, is repeated as deadline and budget allow. Segments are
        quoted, so that what comes from a client leads nowhere else; ValueError where no quoting
        helps.
        """
        call = self._call(method, path, query, headers, json, deadline_s)
        started, outcome = perf_counter(), "error"
        try:
            result = await self._repeat(call)
            outcome = _outcome(result)
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            metrics.CALLS.labels(self.name, outcome).inc()
            self._duration.observe(perf_counter() - started)
        if isinstance(result, NoAnswer):
            if call.attempt:
                log.warning("call_failed", upstream=self.name, outcome=outcome, error=result.why)
            raise result
        return result

    def _call(
        self,
        method: str,
        path: Sequence[str],
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        json: Any,
        deadline_s: float | None,
    ) -> Call:
        if not {"", ".", ".."}.isdisjoint(path):
            raise ValueError("a segment of the path is empty, or leads upwards")
        url = "/".join([self._base_url, *(quote(segment, safe="") for segment in path)])
        if query:
            url += f"?{urlencode(query)}"
        head, body = dict(headers or {}), None
        if json is not None:
            head["Content-Type"] = "application/json"
            body = msgspec.json.encode(json)
        ends_at = _now() + (deadline_s or self._settings.deadline_s)
        return Call(self.name, self._base_url, method.upper(), url, head, body, ends_at)

    async def _repeat(self, call: Call) -> Answer | NoAnswer:
        """Attempts until one is final, or no other may follow it."""
        self._budget.deposit()
        while True:
            result = await self._attempt(call)
            if not _worth_repeating(result):
                return result
            headers = result.headers if isinstance(result, Answer) else {}
            wait_s = choose_pause(call.attempt, headers)
            if not self._may_repeat(call, wait_s):
                return result
            await asyncio.sleep(wait_s)

    def _may_repeat(self, call: Call, wait_s: float) -> bool:
        if (
            not call.repeatable
            or call.attempt >= self._settings.attempts
            or _now() + wait_s + LEAST_LEFT_S > call.ends_at
        ):
            return False
        if self._budget.withdraw():
            return True
        self._denied.inc()
        return False

    async def _attempt(self, call: Call) -> Answer | NoAnswer:
        try:
            async with self._slot(call):
                number = self._breaker.admit()
                if number is None:
                    return CircuitOpen(self.name, self._breaker.wait_s)
                return await self._observed(call, number)
        except Busy as error:
            return error

    @asynccontextmanager
    async def _slot(self, call: Call) -> AsyncIterator[None]:
        patience_ends = min(_now() + self._settings.pool_timeout_s, call.ends_at)
        try:
            async with asyncio.timeout_at(patience_ends):
                await self._slots.acquire()
        except TimeoutError:
            raise Busy(self.name) from None
        try:
            with self._in_flight.track_inprogress():
                yield
        finally:
            self._slots.release()

    async def _observed(self, call: Call, number: int) -> Answer | NoAnswer:
        """Send it, and tell the breaker how it went."""
        call.attempt += 1
        self._attempts.inc()
        had_s = call.ends_at - _now()
        answered: bool | None = None
        try:
            answer = await self._transport.send(call)
            answered = answer.status < 500
            return answer
        except NoAnswer as error:
            if not isinstance(error, PastDeadline) or had_s >= self._settings.read_timeout_s:
                answered = error.answered  # else its caller had little time: that tells nothing
            return error
        finally:
            self._breaker.report(number, answered)

    def _tell(self, state: State) -> None:
        log.warning("circuit", upstream=self.name, state=state.name.lower())
