"""Slows down who guesses passwords: of one account from many addresses, of many from one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from redis.exceptions import RedisError
from starlette.types import Scope

from app.http.address import client_network
from app.http.errors import Unavailable
from app.redis import RedisClient

# After so many failures the next attempt waits a second, after each further one twice as long, up
# to this. An account's is short, because whoever guesses makes its owner wait, too.
FREE_OF_ACCOUNT, LONGEST_OF_ACCOUNT_S = 5, 60
FREE_OF_ADDRESS, LONGEST_OF_ADDRESS_S = 20, 900
# So long after the last attempt they are forgotten.
FORGOTTEN_S = 3600

# Counts an attempt as a failure before it is known to be one, so that many at once are counted.
ATTEMPT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wait = 0
for _, key in ipairs(KEYS) do
  wait = math.max(wait, tonumber(redis.call('HGET', key, 'wait') or 0) - now)
end
if wait > 0 then
  return wait
end
for i, key in ipairs(KEYS) do
  local excess = redis.call('HINCRBY', key, 'failures', 1) - tonumber(ARGV[2 * i])
  if excess >= 0 then
    local pause = math.min(1000 * 2 ^ math.min(excess, 20), tonumber(ARGV[2 * i + 1]))
    redis.call('HSET', key, 'wait', string.format('%.0f', now + pause))
  end
  redis.call('PEXPIRE', key, ARGV[1])
end
return 0
"""
# What an attempt has cost is given back, and no more: others are under way. ARGV: how many are free
GIVE_BACK = """
for i, key in ipairs(KEYS) do
  local failures = tonumber(redis.call('HGET', key, 'failures') or 0)
  if failures > 0 then
    redis.call('HINCRBY', key, 'failures', -1)
  end
  if failures <= tonumber(ARGV[i]) then
    redis.call('HDEL', key, 'wait')
  end
end
return 0
"""
_LIMITS = (
    FORGOTTEN_S * 1000,
    FREE_OF_ACCOUNT,
    LONGEST_OF_ACCOUNT_S * 1000,
    FREE_OF_ADDRESS,
    LONGEST_OF_ADDRESS_S * 1000,
)


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise Unavailable("Nobody can log in at the moment.") from error


class Throttle:
    """Attempts to log in, counted by all processes together. Raises Unavailable without Redis."""

    def __init__(self, redis: RedisClient, prefix: str) -> None:
        self._prefix = f"{prefix}:attempts:"
        self._attempt, self._give_back = redis.script(ATTEMPT), redis.script(GIVE_BACK)
        self._redis = redis

    async def attempt(self, scope: Scope, account: str) -> int:
        """0 when this may be tried now, and counts; else the seconds to wait."""
        with _answered():
            wait_ms = await self._attempt(self._keys(scope, account), *_LIMITS)
        return -(-int(wait_ms) // 1000)

    async def succeeded(self, scope: Scope, account: str) -> None:
        """The attempt was none to guess. The account starts afresh, the address does not: somebody
        with an account of their own may be guessing others'."""
        of_account, of_address = self._keys(scope, account)
        with _answered():
            await self._redis.execute("DEL", of_account)
            await self._give_back([of_address], FREE_OF_ADDRESS)

    async def undone(self, scope: Scope, account: str) -> None:
        """Nobody has found out what the attempt was."""
        with _answered():
            keys = self._keys(scope, account)
            await self._give_back(keys, FREE_OF_ACCOUNT, FREE_OF_ADDRESS)

    def _keys(self, scope: Scope, account: str) -> list[str]:
        named = sha256(account.casefold().encode()).hexdigest()
        address = client_network(scope) or "unknown"
        return [f"{self._prefix}account:{named}", f"{self._prefix}address:{address}"]
