"""What the API's document says of keys."""

from __future__ import annotations

from typing import Any

from app.idempotency.keys import IdempotencyKeys
from app.idempotency.middleware import METHODS
from app.idempotency.settings import IdempotencySettings
from app.service import Service

_NAME = "Idempotency-Key"
_PROBLEM = {"content": {"application/problem+json": {"schema": {"type": "object"}}}}
_ANSWERS = {
    "400": "The Idempotency-Key cannot be used, or is missing where it is required.",
    "409": "A request with this Idempotency-Key is being worked on: ask again after `Retry-After`.",
    "422": "The request cannot be done, or its Idempotency-Key belongs to another request.",
}
_REPLAYED = {
    "description": "`true` when this is the answer to an earlier request with the same key.",
    "schema": {"type": "string", "enum": ["true"]},
}


def describe(document: dict[str, Any], service: Service) -> None:
    """Add the header, and the answers it may lead to, to the routes that take keys."""
    required = service.settings(IdempotencySettings).required
    for path in service.get(IdempotencyKeys).covered:
        for method, operation in document.get("paths", {}).get(path, {}).items():
            if method.upper() in METHODS:
                _describe(operation, required)


def _describe(operation: dict[str, Any], required: bool) -> None:
    others = [one for one in operation.get("parameters", []) if one.get("name") != _NAME]
    operation["parameters"] = [*others, _parameter(required)]
    answers = operation["responses"]
    for status, answer in answers.items():
        if status.startswith("2"):
            answer["headers"] = {**answer.get("headers", {}), "Idempotent-Replayed": _REPLAYED}
    for status, description in _ANSWERS.items():
        answers[status] = {**_PROBLEM, **answers.get(status, {}), "description": description}


def _parameter(required: bool) -> dict[str, Any]:
    return {
        "name": _NAME,
        "in": "header",
        "required": required,
        "description": "Made up by the client, and sent again with the same request: it is done "
        "once, and answered as the first time.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 130},
    }
