"""What is counted of the reads. Series are looked up once, since that costs more than counting."""

from app.metrics.loop import LoopCounter

REQUESTS = LoopCounter(
    "cache_requests",
    "Reads by result: hit, refresh (a hit that is renewed), miss, bypass (an invalidation is "
    "pending), error (Redis is away)",
    ["result"],
)
HIT = REQUESTS.labels("hit")
REFRESH = REQUESTS.labels("refresh")
MISS = REQUESTS.labels("miss")
BYPASS = REQUESTS.labels("bypass")
ERROR = REQUESTS.labels("error")
