"""The example's requests that are done once, however often they are sent; jobs among them."""

from fastapi import APIRouter

from app.idempotency import example
from app.idempotency.keys import IdempotencyKeys
from app.items.stores import Stores
from app.service import Service


def add_routes(api: APIRouter, service: Service, stores: Stores) -> None:
    """Add no route: those that make items or jobs take keys."""
    example.add_routes(api, service, stores)
    service.get(IdempotencyKeys).cover("/jobs")
