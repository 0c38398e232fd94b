"""The log that all processes share: one list in Redis for each sender, one script for each request.

A sliding window log: a request is admitted if fewer than `limit` were in the window that ends with
it. So no window of that length, wherever it begins, ever holds more. Time is Redis's.

Admissions in one cell of time form a run, and count for as long as its latest could. A run is two
elements of the list: the last microsecond of the cell, and how many were admitted up to then in
all. The first run is the latest that has left the window; the difference of the totals is what is
in it. With cells of one microsecond this is the exact log. With larger ones it is short, however
large the limit is, and a request counts for up to one cell longer than it must.

A clock that is set back finds a last run that is not over yet, and goes on with it.
"""

ADMIT = """
local limit, window, cell = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local head = redis.call('LRANGE', KEYS[1], 0, 3)
local tail = {0, 0}
if head[1] then
  tail = redis.call('LRANGE', KEYS[1], -2, -1)
else
  redis.call('RPUSH', KEYS[1], 0, 0)
  head = tail
end
if head[3] and tonumber(head[3]) <= now - window then
  for _, runs in ipairs({30, 1}) do -- after a pause there may be a thousand to drop
    local at = redis.call('LINDEX', KEYS[1], 2 * runs)
    while at and tonumber(at) <= now - window do
      redis.call('LTRIM', KEYS[1], 2 * runs, -1)
      at = redis.call('LINDEX', KEYS[1], 2 * runs)
    end
  end
  head = redis.call('LRANGE', KEYS[1], 0, 3)
end
local ends = now - now % cell + cell - 1
local oldest = tonumber(head[3] or ends)
local left = limit - (tail[2] - head[2])
if left <= 0 then
  return {-1, oldest + window - now}
end
if now <= tonumber(tail[1]) then
  redis.call('LSET', KEYS[1], -1, tail[2] + 1)
else
  redis.call('RPUSH', KEYS[1], ends, tail[2] + 1)
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return {left - 1, oldest + window - now}
"""
