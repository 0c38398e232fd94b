"""One Redis client that sends the commands of concurrent requests together."""

from app.pattern import Check
from app.pattern import Pattern
from app.redis.client import Argument as Argument
from app.redis.client import RedisClient as RedisClient
from app.redis.client import Script as Script
from app.redis.outage import RedisUnavailable as RedisUnavailable
from app.redis.settings import RedisSettings as RedisSettings
from app.redis.settings import usable_url as usable_url
from app.service import Service


def _ready(service: Service) -> Check:
    required = service.settings(RedisSettings).required
    return Check(ping=service.get(RedisClient).ping, required=required)


pattern = Pattern(
    name="redis",
    settings=RedisSettings,
    resources=lambda service: [RedisClient(service.settings(RedisSettings))],
    ready=_ready,
)
