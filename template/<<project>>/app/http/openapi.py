"""What the API's document says about errors: every one is a problem document (RFC 9457)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from app.http.errors import MEDIA_TYPE

_TEXT = {"type": "string"}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "An error, as RFC 9457 has it.",
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "requestId": _TEXT,
        "errors": {
            "type": "array",
            "description": "What is wrong with the request, and where.",
            "items": {
                "type": "object",
                "properties": {"in": _TEXT, "problem": _TEXT},
                "required": ["in", "problem"],
            },
        },
    },
    "required": ["type", "title", "status"],
}
_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_FASTAPI_OWN = ("HTTPValidationError", "ValidationError")


def describe_errors(api: FastAPI) -> None:
    """Let `api.openapi()` tell of the problem documents that `app.http.errors` answers with."""
    plain = api.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in schemas:
            schemas["Problem"] = _PROBLEM
            _describe(document)
        return document

    api.openapi = openapi  # type: ignore[method-assign]


def _describe(document: dict[str, Any]) -> None:
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            responses = operation["responses"]
            for status, response in responses.items():
                # FastAPI describes its own 422 where a route does not
                if status >= "400" and ("content" not in response or _is_fastapis(response)):
                    response["content"] = _CONTENT
            responses["default"] = {"description": "Any other error", "content": _CONTENT}
    for name in _FASTAPI_OWN:
        document["components"]["schemas"].pop(name, None)


def _is_fastapis(response: dict[str, Any]) -> bool:
    schema = response["content"].get("application/json", {}).get("schema", {})
    return str(schema.get("$ref")).endswith("/HTTPValidationError")
