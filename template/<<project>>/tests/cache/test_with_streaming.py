"""After an import nobody is told that there is no such row."""

import pytest

from app.cache import with_streaming
from app.cache.with_streaming import forget_each
from tests.cache.conftest import Process

pytestmark = pytest.mark.anyio


async def test_each_id_of_the_range_is_forgotten(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_streaming, "MANY", 3)
    there = False

    async def load() -> bytes | None:
        return b"it" if there else None

    for number in range(12):
        assert await process.cache.get(f"thing:{number}", load) is None
    there = True
    await forget_each(process.cache, "thing")(range(2, 10))
    found = [await process.cache.get(f"thing:{number}", load) for number in range(12)]
    assert found == [None] * 2 + [b"it"] * 8 + [None] * 2
    await forget_each(process.cache, "thing")(range(0))
