"""What the API's document says about authentication."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from fastapi import FastAPI

from app.auth.middleware import PUBLIC_PATHS

_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a JWT."},
}
_EITHER: list[dict[str, list[str]]] = [{name: []} for name in _SCHEMES]
_PROBLEM = {"content": {"application/problem+json": {"schema": {"type": "object"}}}}
_REFUSALS = {
    "401": {"description": "The credentials are missing or not valid.", **_PROBLEM},
    "403": {"description": "The credentials do not allow this.", **_PROBLEM},
}


def describe_security(
    api: FastAPI, *, public_reads: bool, open_routes: Container[tuple[str, str]] = ()
) -> None:
    """Let `api.openapi()` tell what the middleware asks for."""
    plain = api.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        if "security" not in document:
            _describe(document, public_reads, open_routes)
        return document

    api.openapi = openapi  # type: ignore[method-assign]


def _describe(
    document: dict[str, Any], public_reads: bool, open_routes: Container[tuple[str, str]]
) -> None:
    document.setdefault("components", {})["securitySchemes"] = _SCHEMES
    document["security"] = _EITHER
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            reads = method in ("get", "head")
            if (reads and path in PUBLIC_PATHS) or (method.upper(), path) in open_routes:
                operation["security"] = []
                continue
            if reads and public_reads:
                operation["security"] = [{}, *_EITHER]
            operation["responses"] = {**operation.get("responses", {}), **_REFUSALS}
