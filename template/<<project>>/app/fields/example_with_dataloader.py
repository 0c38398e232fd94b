"""The example's selections, in which owners are looked up by the request's loader."""

from fastapi import APIRouter

from app.dataloader import Loaders
from app.fields.example import add_selections
from app.fields.with_dataloader import Loaded
from app.items.stores import Stores
from app.service import Service


def add_routes(api: APIRouter, service: Service, _: Stores) -> None:
    """Add `fields` to the routes that read items and users; these must be there already."""
    add_selections(api, service, Loaded(service.get(Loaders)))
