"""The hottest reads from the process's own memory, and functions that remember their results."""

from app.local_cache.blocking import BlockingCache as BlockingCache
from app.local_cache.local import LocalCache as LocalCache
from app.local_cache.local import LocalCaches as LocalCaches
from app.local_cache.memoize import Memoized as Memoized
from app.local_cache.memoize import memoize as memoize
from app.local_cache.settings import LocalCacheSettings as LocalCacheSettings
from app.local_cache.store import Bounds as Bounds
from app.pattern import Pattern

pattern = Pattern(
    name="local_cache",
    settings=LocalCacheSettings,
    resources=lambda service: [LocalCaches(service.settings(LocalCacheSettings))],
)
