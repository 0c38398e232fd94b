"""The frame of every process."""

import os
import socket
import subprocess
import sys

# A process without patterns, which says at its end how much the garbage collector passes over.
PROCESS = """
import asyncio, gc, os, signal
from contextlib import asynccontextmanager

from starlette.responses import PlainTextResponse

from app.server import run
from app.service import Service
from app.shutdown import pattern


@asynccontextmanager
async def work():
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
    service.at_stop.append(lambda: print("left:", round(service.seconds_left())))
    yield
    print("set aside:", gc.get_freeze_count())


service = Service([pattern])
asyncio.run(run(service, PlainTextResponse("hello"), work()))
"""


def test_the_garbage_collector_passes_over_what_the_start_has_made() -> None:
    """Or every full collection halts all requests for the time it takes to look at all modules."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = os.environ | {"ENVIRONMENT": "test", "INTERNAL_PORT": str(port)}
    command = [sys.executable, "-c", PROCESS]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    set_aside = int(done.stdout.split("set aside:")[1].split()[0])
    assert set_aside > 20_000
    assert "left: 30" in done.stdout  # those who wanted to know were told that it ends, and when
