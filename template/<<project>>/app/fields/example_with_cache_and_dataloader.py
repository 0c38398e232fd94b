"""The example's selections, in which the request's loader asks the cache for owners."""

from fastapi import APIRouter

from app.cache import Cache
from app.dataloader import Loaders
from app.dataloader.example_with_cache import CachedOwners
from app.fields.example import OWNER
from app.fields.example import add_selections
from app.fields.with_dataloader import Loaded
from app.items.stores import Stores
from app.service import Service


def add_routes(api: APIRouter, service: Service, _: Stores) -> None:
    """Add `fields` to the routes that read items and users; these must be there already."""
    owners = CachedOwners(service.get(Cache))
    add_selections(api, service, Loaded(service.get(Loaders), {OWNER: owners}))
