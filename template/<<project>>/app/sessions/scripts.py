"""What Redis does in one step. Times are its own, in milliseconds.

A session is a hash under the hash of its secret, which expires when it was idle for too long. It
counts only as long as the list of its user has it: so to end all sessions of a user is to delete
that list, and what Redis has evicted, if it may evict, ends sessions and never revives one.
"""

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# KEYS: session, list; ARGV: id, data, idle, most age, most sessions, what their keys begin with
BEGIN = f"""
{_NOW}
local ends = string.format('%.0f', now + ARGV[4])
redis.call('HSET', KEYS[1], 'list', KEYS[2], 'ends', ends, 'data', ARGV[2])
redis.call('PEXPIRE', KEYS[1], math.min(tonumber(ARGV[3]), tonumber(ARGV[4])))
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if redis.call('EXISTS', ARGV[6] .. id) == 0 then
    redis.call('ZREM', KEYS[2], id)
  end
end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
local excess = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[5])
for _ = 1, excess do
  redis.call('DEL', ARGV[6] .. redis.call('ZPOPMIN', KEYS[2])[1])
end
return ends
"""

# KEYS: session; ARGV: id, idle
FIND = f"""
local found = redis.call('HMGET', KEYS[1], 'list', 'ends', 'data')
if not found[1] then
  return false
end
{_NOW}
local left = found[2] - now
if left <= 0 or not redis.call('ZSCORE', found[1], ARGV[1]) then
  redis.call('DEL', KEYS[1])
  return false
end
redis.call('PEXPIRE', KEYS[1], math.min(left, tonumber(ARGV[2])))
return {{found[2], found[3]}}
"""

# KEYS: list; ARGV: what keys of sessions begin with
LIST = """
local found = {}
for _, id in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  local session = redis.call('HMGET', ARGV[1] .. id, 'ends', 'data')
  if session[1] then
    found[#found + 1] = {id, session[1], session[2]}
  end
end
return found
"""

# KEYS: list; ARGV: id, what keys of sessions begin with
END = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('DEL', ARGV[2] .. ARGV[1])
return 1
"""

# KEYS: list; ARGV: what keys of sessions begin with
END_ALL = """
local ids = redis.call('ZRANGE', KEYS[1], 0, -1)
redis.call('DEL', KEYS[1])
local ended = 0
for _, id in ipairs(ids) do
  ended = ended + redis.call('DEL', ARGV[1] .. id)
end
return ended
"""
