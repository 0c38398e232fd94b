"""Test runs that start together do not share a database of Redis."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from dev import redis as dev
from tests.redis.private import PrivateRedis


@pytest.fixture
def client(private: PrivateRedis) -> Iterator[redis.Redis]:
    """A client of the database that is tried first."""
    with redis.Redis(port=private.port, db=15) as client:
        yield client


def ended_process() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen(["true"]) as process:
        return process.pid


@pytest.mark.parametrize("left", ["nothing", "the claim of a killed run"])
def test_one_of_two_takes_a_database(
    private: PrivateRedis, client: redis.Redis, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = f"{socket.gethostname()} {ended_process()}"
    if left != "nothing":
        client.set(dev.CLAIM, stale)
    both_have_read = threading.Barrier(2, timeout=10)
    judge = dev._left_behind

    def judged(claim: Any) -> bool:
        if claim == (None if left == "nothing" else stale.encode()) and not waited.done:
            waited.done = True
            both_have_read.wait()
        return judge(claim)

    class Waited(threading.local):
        done = False

    waited = Waited()
    monkeypatch.setattr(dev, "_left_behind", judged)
    with ThreadPoolExecutor(2) as threads:
        claims = list(threads.map(dev._claim, [private.url] * 2))
    urls = sorted(url for url, _ in claims)
    assert urls == [f"redis://127.0.0.1:{private.port}/{number}" for number in (14, 15)]
    for _, mine in claims:
        assert mine.get(dev.CLAIM) == f"{socket.gethostname()} {os.getpid()}".encode()
        mine.close()


def test_a_database_in_use_is_left_alone(private: PrivateRedis, client: redis.Redis) -> None:
    client.set("somebody's", "data")
    with dev._corner(private.url) as corner:
        assert corner.url.endswith("/14")
    assert client.keys() == [b"somebody's"]


def test_what_a_killed_run_left_is_taken_and_wiped(
    private: PrivateRedis, client: redis.Redis
) -> None:
    client.set(dev.CLAIM, f"{socket.gethostname()} {ended_process()}")
    client.set("left", "behind")
    with dev._corner(private.url) as corner:
        assert corner.url.endswith("/15")
        corner.clean()
        assert client.keys() == [dev.CLAIM.encode()]
    assert client.keys() == []
