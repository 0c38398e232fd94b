"""The example's users and items, read through the cache."""

import pytest

from app.cache.example import CachedItems
from app.cache.example import CachedUsers
from app.items.store import NewItem
from app.users.store import UserChange
from tests.cache.conftest import Process

pytestmark = pytest.mark.anyio


class Users:
    """Users in memory, that count how often they are asked."""

    def __init__(self) -> None:
        self.names = {1: "Ada"}
        self.asked = 0
        self.broken = False

    async def get(self, user_id: int) -> bytes | None:
        """The user's name."""
        self.asked += 1
        return self.names[user_id].encode() if user_id in self.names else None

    async def update(self, user_id: int, change: UserChange) -> bytes | None:
        """Another name."""
        self.names[user_id] = change.name or ""
        if self.broken:
            raise ConnectionError("after the commit")
        return await self.get(user_id)


class Items:
    """Items in memory."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.asked = 0

    async def get(self, item_id: int) -> bytes | None:
        """The item's name."""
        self.asked += 1
        return self.names[item_id].encode() if item_id < len(self.names) else None

    async def create(self, item: NewItem) -> tuple[int, bytes]:
        """One more."""
        self.names.append(item.name)
        return len(self.names) - 1, item.name.encode()

    async def create_many(self, items: list[NewItem]) -> list[int]:
        """Several more."""
        return [(await self.create(item))[0] for item in items]


def item(name: str) -> NewItem:
    """An item of this name."""
    return NewItem(name=name, price=1, description="")


async def test_a_user_is_read_once_until_changed(process: Process) -> None:
    stored = Users()
    users = CachedUsers(stored, process.cache)
    assert [await users.get(1) for _ in range(3)] == [b"Ada"] * 3
    assert [await users.get(2) for _ in range(3)] == [None] * 3
    assert stored.asked == 2
    assert await users.update(1, UserChange(name="Grace")) == b"Grace"
    assert await users.get(1) == b"Grace"


async def test_a_change_that_raised_may_have_happened(process: Process) -> None:
    stored = Users()
    users = CachedUsers(stored, process.cache)
    await users.get(1)
    stored.broken = True
    with pytest.raises(ConnectionError):
        await users.update(1, UserChange(name="Grace"))
    assert await users.get(1) == b"Grace"


async def test_an_item_is_found_although_it_was_missing_before(process: Process) -> None:
    stored = Items()
    items = CachedItems(stored, process.cache)
    assert [await items.get(n) for n in range(4)] == [None] * 4
    assert await items.create(item("a")) == (0, b"a")
    assert await items.create_many([item("b"), item("c")]) == [1, 2]
    assert await items.create_many([]) == []
    assert [await items.get(n) for n in range(4)] == [b"a", b"b", b"c", None]
    assert stored.asked == 7
