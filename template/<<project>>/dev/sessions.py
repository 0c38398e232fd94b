"""Sessions in `make run`, and in tests."""

from __future__ import annotations

import asyncio
import secrets
from importlib import import_module
from importlib.util import find_spec

from app.http.errors import Unavailable

# A password costs little while it is only one of a test.
TESTING = {
    "SESSIONS_ARGON2_MEMORY_KIB": "64",
    "SESSIONS_ARGON2_PASSES": "1",
    "SESSIONS_ARGON2_LANES": "1",
}

# Only the example knows of users.
LOGIN = "app.sessions.with_example"
EMAIL = "user1@example.com"


def _login() -> dict[str, str]:
    """Give an example user a password of this run."""
    if find_spec(LOGIN) is None:
        return {}
    password = secrets.token_urlsafe(12)
    try:
        asyncio.run(import_module(LOGIN).set_password(EMAIL, password))
    except (LookupError, Unavailable):  # somebody has removed them, or Redis is away
        return {}
    return {"Login": f"{EMAIL} {password} (of this run)"}


PREPARE = [_login]
