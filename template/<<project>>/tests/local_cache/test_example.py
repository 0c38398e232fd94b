"""The example's users, kept in the process."""

import pytest

from app.local_cache import LocalCache
from app.local_cache.example import LocalUsers
from app.unit_of_work import UnitOfWork
from app.users.store import UserChange
from tests.local_cache.conftest import BOUNDS

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
        """Take the name, and perhaps break after that."""
        if change.name:
            self.names[user_id] = change.name
        if self.broken:
            raise ConnectionError
        return self.names[user_id].encode()


async def test_a_user_is_kept_until_it_is_changed(name: str) -> None:
    inner = Users()
    users = LocalUsers(inner, LocalCache(name, BOUNDS))
    assert [await users.get(1) for _ in range(3)] == [b"Ada"] * 3
    assert [await users.get(2) for _ in range(3)] == [None] * 3
    assert inner.asked == 2
    assert await users.update(1, UserChange(name="Grace")) == b"Grace"
    assert await users.get(1) == b"Grace"
    assert inner.asked == 3


async def test_a_change_within_a_transaction_is_seen_after_its_commit(name: str) -> None:
    inner = Users()
    users = LocalUsers(inner, LocalCache(name, BOUNDS))
    work = UnitOfWork()
    with work.begun():
        await users.update(1, UserChange())
        assert await users.get(1) == b"Ada"  # as everybody else sees it
    inner.names[1] = "Grace"
    await work.committed()
    assert await users.get(1) == b"Grace"


async def test_a_change_that_broke_may_have_been_made(name: str) -> None:
    inner = Users()
    users = LocalUsers(inner, LocalCache(name, BOUNDS))
    await users.get(1)
    inner.broken = True
    with pytest.raises(ConnectionError):
        await users.update(1, UserChange(name="Grace"))
    assert await users.get(1) == b"Grace"
