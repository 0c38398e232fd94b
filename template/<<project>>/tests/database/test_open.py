"""The start: a server not up yet is awaited, one that cannot be used is refused in a sentence."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest

from app.database import Database
from app.database import DatabaseSettings
from app.database import settings as limits
from app.settings import SettingsError
from app.settings import load_settings
from dev.processes import free_port
from tests.database.conftest import Watch
from tests.database.conftest import refusal
from tests.database.conftest import settings
from tests.database.private import MakeServer
from tests.database.private import PrivateServer
from tests.database.statements import ONE

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


async def test_more_connections_than_the_server_has_are_refused(
    servers: dict[str, str], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = int(await watch.connection.fetchval("SHOW max_connections"))
    monkeypatch.setattr(limits, "MAX_REPLICAS", offered)
    monkeypatch.setattr(limits, "PROCESSES", {"another": 2})
    said = await refusal(servers["DATABASE_URL"])
    needed = (offered + 1 + 2 + 1) * 8 + 7
    assert said.startswith(
        f"The service may need {needed} connections and the server has {offered}"
    )
    await watch.becomes(0)


async def test_the_largest_pool_that_fits_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for offered in range(17, 200):
        for replicas in range(1, 20):
            monkeypatch.setattr(limits, "MAX_CONNECTIONS", offered)
            monkeypatch.setattr(limits, "MAX_REPLICAS", replicas)
            if (size := limits.largest_pool()) < 1:
                continue  # refused when the service is generated
            assert limits.connections_needed(size) <= offered
            assert size == 20 or limits.connections_needed(size + 1) > offered


async def test_what_the_server_refuses_is_not_tried_again(server: PrivateServer) -> None:
    wrong = server.url.replace(server.password, "hunter2")
    assert "password authentication failed" in await refusal(wrong)
    assert "hunter2" not in await refusal(wrong)
    assert '"nowhere" does not exist' in await refusal(server.url.replace("/postgres", "/nowhere"))
    strange = await refusal(f"{server.url}?prepared_statement_cache_size=0")
    assert "prepared_statement_cache_size" in strange


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root@127.0.0.1/x",
        "nonsense",
        "",
        "postgresql://u:secret@127.0.0.1:port/x",
        "postgresql://u:secret@127.0.0.1/x?sslmode=sometimes",
        "postgresql://u:secret@127.0.0.1/x?sslmode=verify-full&sslrootcert=/not/there",
    ],
)
async def test_a_url_that_is_none_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("ENVIRONMENT", "test")
    with pytest.raises(SettingsError) as caught:
        read = load_settings([DatabaseSettings])[DatabaseSettings]
        assert isinstance(read, DatabaseSettings)
        async with Database(read):
            pass
    said = str(caught.value)
    assert "\n" not in said
    assert "DATABASE_URL" in said
    assert "secret" not in said


async def test_both_spellings_of_the_url_work(server: PrivateServer) -> None:
    for scheme in ("postgres://", "postgresql+asyncpg://"):
        async with Database(settings(server.url.replace("postgresql://", scheme))) as database:
            assert len(await database.fetch(ONE)) == 1


async def test_a_server_that_starts_later_is_awaited(private: MakeServer) -> None:
    server = private()

    async def start() -> None:
        await asyncio.sleep(1)
        await asyncio.to_thread(server.start)

    starting = asyncio.create_task(start())
    async with Database(settings(server.url, start_timeout_s=30)) as database:
        assert len(await database.fetch(ONE)) == 1
    await starting


async def test_a_server_that_never_comes_is_given_up() -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/x"
    with pytest.raises(SettingsError, match="cannot be reached"):
        async with Database(settings(url, start_timeout_s=0.2)):
            pass


def test_sigterm_ends_a_process_that_waits(servers: dict[str, str]) -> None:
    environment = {
        "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/x",
        "PORT": str(free_port()),
        "INTERNAL_PORT": str(free_port()),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "api"],
        cwd=ROOT,
        env=os.environ | servers | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if "database_awaited" in line:
            break
    started = perf_counter()
    process.send_signal(signal.SIGTERM)
    rest = process.stdout.read()
    assert process.wait(10) == 0, rest
    process.stdout.close()
    assert perf_counter() - started < 5
