"""Hot reads from Redis, loaded once however many ask."""

from app.cache.cache import Cache as Cache
from app.cache.fill import Load as Load
from app.cache.many import LoadMany as LoadMany
from app.cache.namespace import Namespace as Namespace
from app.cache.settings import CacheSettings as CacheSettings
from app.pattern import Pattern
from app.redis import RedisClient

pattern = Pattern(
    name="cache",
    settings=CacheSettings,
    resources=lambda service: [Cache(service.get(RedisClient), service.settings(CacheSettings))],
)
