"""What the API's document says of sessions."""

from __future__ import annotations

from typing import Any

from app.service import Service
from app.sessions.cookie import Cookie

_NAME = "session"
_DESCRIPTION = (
    "Set by logging in. Whatever is no GET or HEAD needs the token of the session as X-CSRF-Token "
    "as well, and an Origin that is the service's own."
)


def describe(document: dict[str, Any], service: Service) -> None:
    """Add the cookie to the ways of saying who one is."""
    scheme = {
        "type": "apiKey",
        "in": "cookie",
        "name": Cookie.of(service).name,
        "description": _DESCRIPTION,
    }
    components = document["components"]
    components["securitySchemes"] = {**components["securitySchemes"], _NAME: scheme}
    document["security"] = [*document["security"], {_NAME: []}]
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation.get("security"):
                operation["security"] = [*operation["security"], {_NAME: []}]
