"""Slows down who guesses passwords: of one account from many addresses, of many from one."""

from __future__ import annotations

from hashlib import sha256

from redis.exceptions import RedisError
from starlette.types import Scope

from app.http.address import client_network
from app.http.errors import Unavailable
from app.redis import RedisClient

# So many failures are free; after each further one the wait is doubled, from a second to this.
# An account's is short, because whoever guesses makes its owner wait, too.
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
  if excess > 0 then
    local pause = math.min(1000 * 2 ^ math.min(excess - 1, 20), tonumber(ARGV[2 * i + 1]))
    redis.call('HSET', key, 'wait', string.format('%.0f', now + pause))
  end
  redis.call('PEXPIRE', key, ARGV[1])
end
return 0
"""
# The account starts afresh; the address gets back what this attempt has cost it, and no more:
# somebody with an account of their own may be guessing others'.
SUCCEEDED = """
redis.call('DEL', KEYS[1])
if tonumber(redis.call('HGET', KEYS[2], 'failures') or 0) > 0 then
  redis.call('HINCRBY', KEYS[2], 'failures', -1)
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


class Throttle:
    """Attempts to log in, counted by all processes together. Raises Unavailable without Redis."""

    def __init__(self, redis: RedisClient, prefix: str) -> None:
        self._prefix = f"{prefix}:attempts:"
        self._attempt, self._succeeded = redis.script(ATTEMPT), redis.script(SUCCEEDED)

    async def attempt(self, scope: Scope, account: str) -> int:
        """0 when this may be tried now, and counts; else the seconds to wait."""
        try:
            wait_ms = await self._attempt(self._keys(scope, account), *_LIMITS)
        except RedisError as error:
            raise Unavailable("Nobody can log in at the moment.") from error
        return -(-int(wait_ms) // 1000)

    async def succeeded(self, scope: Scope, account: str) -> None:
        """The attempt was none to guess."""
        try:
            await self._succeeded(self._keys(scope, account))
        except RedisError as error:
            raise Unavailable("Nobody can log in at the moment.") from error

    def _keys(self, scope: Scope, account: str) -> list[str]:
        named = sha256(account.casefold().encode()).hexdigest()
        address = client_network(scope) or "unknown"
        return [f"{self._prefix}account:{named}", f"{self._prefix}address:{address}"]
