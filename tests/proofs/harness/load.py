"""A load of keep-alive connections that counts what becomes of every single request."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from random import Random
from typing import Any
from typing import Self


class Refused(Exception):
    """Nobody accepted the connection."""


class Lost(Exception):
    """The connection ended without a byte of answer."""


class Truncated(Exception):
    """The connection ended in the middle of the answer."""


@dataclass(frozen=True)
class Request:
    """What is asked."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[str, ...] = ()

    def wire(self, key: str) -> bytes:
        """The request as it is sent."""
        head = [f"{self.method} {self.path} HTTP/1.1", "Host: proofs", *self.headers]
        if key:
            head.append(f"X-API-Key: {key}")
        if self.body:
            head += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*head, "", ""]).encode() + self.body


def get(path: str) -> Request:
    """A GET request."""
    return Request("GET", path)


def send(method: str, path: str, document: Any, *headers: str) -> Request:
    """A request with a JSON body, and lines of further headers."""
    return Request(method, path, json.dumps(document).encode(), headers)


@dataclass(frozen=True)
class Answer:
    """What came back; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The document in the body."""
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        """Whether the connection must not be used again."""
        return self.headers.get("connection", "").lower() == "close"


class Connection:
    """One connection to a process of the service."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def open(self) -> Self:
        """Connect. Raises Refused."""
        try:
            opening = asyncio.open_connection("127.0.0.1", self._port)
            self._reader, self._writer = await asyncio.wait_for(opening, 10)
        except (OSError, TimeoutError) as error:
            raise Refused from error
        return self

    def close(self) -> None:
        """Disconnect."""
        self._writer.close()

    @property
    def ended(self) -> bool:
        """Whether the other side has closed it."""
        return self._reader.at_eof()

    async def ask(self, request: Request) -> Answer:
        """The answer. Raises Lost or Truncated."""
        try:
            self._writer.write(request.wire(self._key))
            line = await self._reader.readline()
        except OSError as error:
            raise Lost from error
        if not line:
            raise Lost
        try:
            return await self._answer(int(line.split()[1]))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Truncated from error

    async def _answer(self, status: int) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        pairs = (line.partition(":") for line in head.split("\r\n") if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = 0 if status == 204 else int(headers["content-length"])
        body = await self._reader.readexactly(length)
        return Answer(status, headers, body)


async def ask(port: int, key: str, request: Request) -> Answer:
    """One request on a connection of its own."""
    async with Connection(port, key) as connection:
        return await connection.ask(request)


@dataclass
class Tally:
    """What became of the requests: how many per outcome, and when each one that failed did.

    An outcome is a status or `lost`, `truncated`, `refused`, `silent`.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[float, str]] = field(default_factory=list)
    slowest_s: float = 0
    wrong: list[str] = field(default_factory=list)

    def note(self, outcome: str, seconds: float = 0) -> None:
        """Count one."""
        self.outcomes[outcome] += 1
        self.slowest_s = max(self.slowest_s, seconds)
        if not outcome.startswith("2"):
            self.failures.append((time.monotonic(), outcome))

    @property
    def total(self) -> int:
        """All requests."""
        return self.outcomes.total()

    @property
    def failed(self) -> int:
        """All that were not answered as they should be."""
        return len(self.failures) + len(self.wrong)

    def __str__(self) -> str:
        parts = [f"{count} x {outcome}" for outcome, count in sorted(self.outcomes.items())]
        return ", ".join(parts + [f"{len(self.wrong)} wrong"] * bool(self.wrong))


class Load:
    """`async with Load(...)`: clients that ask one request after another until the block ends.

    pick:  the next request
    check: what is wrong with an answer, or None; by default a 503 needs Retry-After
    pause: seconds each client thinks between two requests
    """

    def __init__(
        self,
        ports: Sequence[int],
        key: str,
        pick: Callable[[Random], Request],
        *,
        clients: int = 32,
        check: Callable[[Request, Answer], str | None] | None = None,
        pause: float = 0,
    ) -> None:
        self.tally = Tally()
        self._ports, self._key, self._pick, self._pause = ports, key, pick, pause
        self._check = check or _busy_says_when
        self._clients = clients
        self._stopping = False
        self._leave_at = float("inf")

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client(n)) for n in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Every client finishes the request it is at."""
        self._stopping = True
        done, stuck = await asyncio.wait(self._tasks, timeout=40)
        for task in stuck:
            task.cancel()
            self.tally.note("silent")
        await asyncio.gather(*done)

    def leave(self, after_s: float) -> None:
        """As a balancer that notices after this time: then no connection is opened any more, and
        those that are open are used on."""
        self._leave_at = time.monotonic() + after_s

    async def _client(self, number: int) -> None:
        random = Random(number)
        while not self._stopping and time.monotonic() < self._leave_at:
            try:
                async with Connection(self._ports[number % len(self._ports)], self._key) as one:
                    await self._use(one, random)
            except Refused:
                self.tally.note("refused")
                await asyncio.sleep(0.05)

    async def _use(self, connection: Connection, random: Random) -> None:
        while not self._stopping and not connection.ended:
            request, started = self._pick(random), time.monotonic()
            try:
                answer = await connection.ask(request)
            except (Lost, Truncated) as error:
                self.tally.note(type(error).__name__.lower())
                return
            self.tally.note(str(answer.status), time.monotonic() - started)
            if problem := self._check(request, answer):
                self.tally.wrong.append(problem)
            if answer.closes:
                return
            if self._pause:
                await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))


def _busy_says_when(_: Request, answer: Answer) -> str | None:
    if answer.status == 503 and "retry-after" not in answer.headers:
        return "503 without Retry-After"
    return None
