"""The example's CSV files, where items are cached: also that there was none of an id."""

from fastapi import APIRouter

from app.cache import Cache
from app.cache.with_streaming import forget_each
from app.items.stores import Stores
from app.service import Service
from app.streaming import example

bodies = example.bodies


def add_routes(api: APIRouter, service: Service, stores: Stores) -> None:
    """Add the routes; what is imported is forgotten by the cache."""
    example.add_routes(api, service, stores, forget_each(service.get(Cache), "item"))
