"""The example's users, kept as long as they stand in the shared cache."""

from dataclasses import replace

from app.items.stores import Stores
from app.local_cache.example import LocalUsers
from app.local_cache.with_cache import NearCache
from app.service import Service


def wrap(stores: Stores, service: Service) -> Stores:
    """The users, which have to be read through the shared cache already."""
    return replace(stores, users=LocalUsers(stores.users, service.get(NearCache)))
