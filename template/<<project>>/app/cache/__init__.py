"""Hot reads from Redis, loaded once however many ask."""

from app.cache.cache import Cache as Cache
from app.cache.fill import Load as Load
from app.cache.many import LoadMany as LoadMany
from app.cache.namespace import Namespace as Namespace
from app.cache.settings import CacheSettings as CacheSettings
from app.pattern import Pattern
from app.pattern import Resource
from app.redis import RedisClient
from app.service import Service


def _resources(service: Service) -> list[Resource]:
    settings = service.settings(CacheSettings)
    return [Cache(service.get(RedisClient), settings, service.seconds_left)]


pattern = Pattern(name="cache", settings=CacheSettings, resources=_resources)
