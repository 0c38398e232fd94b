"""No cell of an export is a formula, and what is exported is imported as it was."""

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.database import Statement
from app.streaming import protected
from app.streaming.cells import unprotected
from tests.streaming.conftest import THINGS
from tests.streaming.conftest import Shop

pytestmark = pytest.mark.anyio

# The signs, as Python would say it, beside what is none.
SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
TEXT = st.text(st.sampled_from(SIGNS + "'a\\é1 "), max_size=5)
PROTECT = Statement("protect", select(protected(THINGS.c.name)))
SQL = PROTECT.sql.replace("things.name", "given").replace("things", "unnest($1::text[]) AS given")


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(TEXT, max_size=50))
async def test_there_and_back(shop: Shop, texts: list[str]) -> None:
    cells = [row[0] for row in await shop.table.fetch(SQL, texts)]
    assert [unprotected(cell) for cell in cells] == texts
    assert len(set(zip(cells, texts, strict=True))) == len(set(texts)) == len(set(cells))
    for cell, text in zip(cells, texts, strict=True):
        assert cell[:1] not in set(SIGNS)
        assert cell in (text, "'" + text)


@pytest.mark.parametrize("sign", SIGNS)
async def test_each_sign_is_harmless(shop: Shop, sign: str) -> None:
    assert await shop.table.fetchval(SQL, [sign + "cmd|'/C calc'!A0"]) == f"'{sign}cmd|'/C calc'!A0"


@pytest.mark.parametrize("text", ["'tis", "a=1", "", " =1", "O'Neil", "'"])
async def test_other_text_stays(shop: Shop, text: str) -> None:
    assert await shop.table.fetchval(SQL, [text]) == text == unprotected(text)
