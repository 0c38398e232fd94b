"""Probes say what is wrong, to the right one: liveness never depends on another server."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from .harness.postgres import PASSWORD
from .harness.postgres import Postgres
from .harness.processes import until
from .harness.redis import Redis
from .harness.service import Api
from .harness.service import Service
from .harness.table import Table
from .test_postgres_away import stopped


def frozen_server(postgres: Postgres) -> AbstractContextManager[None]:
    """SIGSTOP: connections are accepted, nothing is answered."""
    return postgres.frozen()


def state(api: Api) -> tuple[int, str, dict[str, str]]:
    """What /readyz says. It must say so in time, and without secrets."""
    status, text = api.probe("/readyz", timeout=3)
    assert PASSWORD not in text
    assert "postgresql://" not in text
    assert "127.0.0.1" not in text
    document = json.loads(text)
    return status, document["status"], document.get("checks", {})


def assert_alive(api: Api) -> None:
    assert api.probe("/livez", timeout=1)[0] == 200
    assert api.probe("/startupz", timeout=1)[0] == 200


HEALTHY = (200, "healthy", {"database": "ok", "redis": "ok"})
WITHOUT_POSTGRES = (503, "unhealthy", {"database": "failing", "redis": "ok"})
WITHOUT_REDIS = (200, "degraded", {"database": "ok", "redis": "failing"})


@pytest.mark.parametrize("outage", [stopped, frozen_server])
def test_without_postgres(
    service: Service,
    postgres: Postgres,
    table: Table,
    outage: Callable[[Postgres], AbstractContextManager[None]],
) -> None:
    with service.processes(1) as (api,):
        assert state(api) == HEALTHY
        with outage(postgres):
            until(lambda: state(api) == WITHOUT_POSTGRES, "/readyz says so", 5)
            assert_alive(api)
        back_s = until(lambda: state(api) == HEALTHY, "/readyz is 200 again", 10)
        assert PASSWORD not in api.process.tail(1_000_000)
    table.add(
        "Probes tell the truth",
        f"PostgreSQL {outage.__name__.partition('_')[0]}: /livez 200, /readyz 503 naming it",
        f"healthy again after {back_s:.1f} s",
        "no secret in answers and logs",
    )


@pytest.mark.parametrize("outage", [Redis.killed, Redis.frozen])
def test_without_redis(
    service: Service,
    redis: Redis,
    table: Table,
    outage: Callable[[Redis], AbstractContextManager[None]],
) -> None:
    with service.processes(1) as (api,):
        assert state(api) == HEALTHY
        with outage(redis):
            until(lambda: state(api) == WITHOUT_REDIS, "/readyz says so", 5)
            assert_alive(api)
        back_s = until(lambda: state(api) == HEALTHY, "/readyz is healthy again", 10)
    table.add(
        "Probes tell the truth",
        f"Redis {outage.__name__}: /livez 200, /readyz 200 `degraded` naming it",
        f"healthy again after {back_s:.1f} s",
        "-",
    )
