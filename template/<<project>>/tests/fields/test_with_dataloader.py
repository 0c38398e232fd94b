"""Selections read with the request's loaders: the same answers, lookups instead of JOINs."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from app.database import Database
from app.database import Statement
from app.dataloader import Loaders
from app.fields import FieldsSettings
from app.fields import Joined
from app.fields import Reading
from app.fields.parse import parse
from app.fields.with_dataloader import Loaded
from app.service import Service
from tests.fields.conftest import HAT
from tests.fields.conftest import Hat

pytestmark = pytest.mark.anyio
FIELDS = FieldsSettings()


async def shown(service: Service, reading: Reading, text: str) -> list[Any]:
    """The hats as they are shown, in a request of their own."""
    plan = reading.plan(HAT, HAT.select(parse(text, FIELDS)))
    rows = await service.get(Database).fetch(Statement("test", plan.query.order_by(Hat.id)))
    return await plan.show(rows, {})


async def test_one_query_for_each_kind_and_only_its_columns(
    service: Service, hats: asyncpg.Connection, asked: list[str]
) -> None:
    found = await shown(service, Loaded(service.get(Loaders)), "name,maker(name,town(name))")
    assert found[0] == {"name": "hat 1", "maker": {"name": "Ada", "town": {"name": "Rome"}}}
    assert found[1] == {"name": "hat 2", "maker": {"name": "Bo", "town": None}}
    assert found[3] == {"name": "hat 4", "maker": None}
    assert found[12]["maker"] is None, "the maker is gone"
    assert [sql.split(" WHERE")[0].split(" ORDER")[0] for sql in asked] == [
        "SELECT hats.name, hats.maker_id FROM hats",
        "SELECT makers.name, makers.town_id, makers.id FROM makers",
        "SELECT towns.name, towns.id FROM towns",
    ]


async def test_nothing_is_looked_up_that_was_not_asked_for(
    service: Service, hats: asyncpg.Connection, asked: list[str]
) -> None:
    await shown(service, Loaded(service.get(Loaders)), "id,name")
    assert asked == ["SELECT hats.id, hats.name FROM hats ORDER BY hats.id"]


class Registry:
    """Makers as somebody else knows them."""

    name = "registry"

    async def fetch(self, _: Database, keys: list[int]) -> dict[int, dict[str, Any]]:
        """All but the second maker."""
        return {key: {"id": key, "name": f"maker {key}"} for key in keys if key != 2}


async def test_whole_rows_from_elsewhere_are_not_asked_of_the_database(
    service: Service, hats: asyncpg.Connection, asked: list[str]
) -> None:
    reading = Loaded(service.get(Loaders), {HAT.related["maker"].shape: Registry()})
    found = await shown(service, reading, "maker(name)")
    assert found[:2] == [{"maker": {"name": "maker 1"}}, {"maker": None}]
    assert [sql.split(" ORDER")[0] for sql in asked] == ["SELECT hats.maker_id FROM hats"]


async def test_what_is_related_to_them_in_turn_is(
    service: Service, hats: asyncpg.Connection
) -> None:
    reading = Loaded(service.get(Loaders), {HAT.related["maker"].shape: Registry()})
    [first, *_] = await shown(service, reading, "maker(name,town(name))")
    assert first == {"maker": {"name": "Ada", "town": {"name": "Rome"}}}


TOWNS = st.sets(st.sampled_from(["id", "name"]), min_size=1).map(lambda names: ",".join(names))
MAKERS = st.sets(
    st.sampled_from(["id", "name", "town"]) | TOWNS.map("town({})".format), min_size=1, max_size=3
).map(lambda names: ",".join({name.split("(")[0]: name for name in names}.values()))
HATS = st.sets(
    st.sampled_from(["id", "name", "maker", "mender"])
    | MAKERS.map("maker({})".format)
    | MAKERS.map("mender({})".format),
    min_size=1,
    max_size=4,
).map(lambda names: ",".join({name.split("(")[0]: name for name in names}.values()))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=HATS)
async def test_any_selection_shows_what_joins_show(
    service: Service, hats: asyncpg.Connection, text: str
) -> None:
    loaded = await shown(service, Loaded(service.get(Loaders)), text)
    joined = await shown(service, Joined(), text)
    assert loaded == joined
    assert len(loaded) == 13
