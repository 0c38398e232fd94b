"""Selections read by JOINs: only what was asked for, in one query."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from app.database import Database
from app.database import Statement
from app.fields import BadFields
from app.fields import FieldsSettings
from app.fields import Joined
from app.fields import Selection
from app.fields.parse import parse
from app.service import Service
from tests.fields.conftest import HAT
from tests.fields.conftest import Hat

pytestmark = pytest.mark.anyio


def selection(text: str) -> Selection:
    """What a text selects of hats."""
    return HAT.select(parse(text, FieldsSettings()))


async def shown(service: Service, text: str) -> list[Any]:
    """The hats as they are shown."""
    plan = Joined().plan(HAT, selection(text))
    rows = await service.get(Database).fetch(Statement("test", plan.query.order_by(Hat.id)))
    return await plan.show(rows, {})


async def test_columns_are_selected_as_asked(
    service: Service, hats: asyncpg.Connection, asked: list[str]
) -> None:
    assert (await shown(service, "name"))[0] == {"name": "hat 1"}
    assert (await shown(service, "name,id"))[0] == {"id": 1, "name": "hat 1"}
    assert [sql.split(" ORDER")[0] for sql in asked] == [
        "SELECT hats.name FROM hats",
        "SELECT hats.id, hats.name FROM hats",
    ]


async def test_what_is_related_is_joined_if_asked_for(
    service: Service, hats: asyncpg.Connection, asked: list[str]
) -> None:
    found = await shown(service, "id,maker(name)")
    assert found[0] == {"id": 1, "maker": {"name": "Ada"}}
    assert found[3] == {"id": 4, "maker": None}
    assert found[12] == {"id": 13, "maker": None}
    [sql] = asked
    assert sql.startswith(
        'SELECT hats.id, makers_1.id AS "maker.id", makers_1.name AS "maker.name"'
        " FROM hats LEFT OUTER JOIN makers AS makers_1 ON makers_1.id = hats.maker_id ORDER"
    )


async def test_two_of_a_kind_and_what_lies_within_them(
    service: Service, hats: asyncpg.Connection, asked: list[str]
) -> None:
    found = await shown(service, "mender(id,town(name)),maker(town,name)")
    assert found[0] == {
        "maker": {"name": "Ada", "town": {"id": 1, "name": "Rome"}},
        "mender": {"id": 1, "town": {"name": "Rome"}},
    }
    assert found[1] == {
        "maker": {"name": "Bo", "town": None},
        "mender": {"id": 2, "town": None},
    }
    assert found[11] == {"maker": None, "mender": None}
    [sql] = asked
    assert sql.count("LEFT OUTER JOIN") == 4
    assert "secret" not in sql


def test_a_name_alone_is_all_its_columns() -> None:
    assert selection("maker") == selection("maker(id,name)")
    assert selection("name,id") == selection("id,name")


@pytest.mark.parametrize("text", ["secret", "id,maker(secret)", "maker(town(mayor))", "Id", "town"])
def test_what_there_is_not_is_refused_and_what_there_is_named(text: str) -> None:
    with pytest.raises(BadFields) as refused:
        selection(text)
    assert refused.value.status_code == 400
    assert "there is no" in refused.value.detail
    if text == "secret":
        assert refused.value.detail == (
            "fields: there is no secret, there are id, name, maker(id, name, town(id, name)), "
            "mender(id, name, town(id, name))."
        )


def test_a_column_has_no_fields() -> None:
    with pytest.raises(BadFields, match="id has no fields of its own"):
        selection("id(name)")
