"""The example's requests that are done once, however often they are sent."""

from fastapi import APIRouter

from app.idempotency.keys import IdempotencyKeys
from app.items.stores import Stores
from app.service import Service


def add_routes(_: APIRouter, service: Service, __: Stores) -> None:
    """Add no route: those that make items take keys."""
    service.get(IdempotencyKeys).cover("/items", "/items/bulk")
