"""Who logs in, and `python -m app set-password EMAIL`, which gives a user a password, and ends the
user's sessions."""

from __future__ import annotations

import asyncio
import getpass
import secrets
import sys
from argparse import ArgumentParser
from argparse import Namespace

from sqlalchemy import bindparam
from sqlalchemy import select

from app.database import Database
from app.database import DatabaseSettings
from app.database import Statement
from app.http.errors import Unavailable
from app.pattern import Command
from app.redis import RedisClient
from app.redis import RedisSettings
from app.sessions.passwords import LONGEST_PASSWORD
from app.sessions.passwords import Passwords
from app.sessions.settings import SessionsSettings
from app.sessions.store import Sessions
from app.sessions.with_database import Credential
from app.sessions.with_database import Credentials
from app.settings import load_settings
from app.users.models import User

SHORTEST_PASSWORD = 15  # NIST SP 800-63B-4, where it is all that is asked for

BY_EMAIL = Statement(
    "user_by_email",
    select(User.id, User.tier, User.status, Credential.password_hash)
    .outerjoin(Credential, Credential.user_id == User.id)
    .where(User.email == bindparam("email")),
)


def principal_id(user_id: int | str) -> str:
    """The id of a user as a principal, which no key and no token has."""
    return f"user:{user_id}"


async def set_password(email: str, password: str) -> int:
    """Set it; the number of sessions that were ended. LookupError when there is no such user."""
    loaded = load_settings([DatabaseSettings, RedisSettings, SessionsSettings])
    database, redis, settings = (
        loaded[DatabaseSettings],
        loaded[RedisSettings],
        loaded[SessionsSettings],
    )
    assert isinstance(database, DatabaseSettings)
    assert isinstance(redis, RedisSettings)
    assert isinstance(settings, SessionsSettings)
    own = redis.model_copy(update={"url": settings.redis_url or redis.url})
    small = database.model_copy(update={"pool_min": 1, "pool_max": 1})
    async with (
        Database(small) as opened,
        Passwords(settings) as passwords,
        Sessions(RedisClient(own), settings, owned=True) as sessions,
    ):
        user = await opened.fetch_one(BY_EMAIL, email=email)
        if user is None:
            raise LookupError(f"There is no user with the email {email}.")
        await Credentials(opened).set(user["id"], await passwords.hash(password))
        return await sessions.end_all(principal_id(user["id"]))


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("email")
    parser.add_argument("--generate", action="store_true", help="make one up, and print it")


def _run(arguments: Namespace) -> int:
    password = secrets.token_urlsafe(16) if arguments.generate else _asked()
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        limits = f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD}"
        print(f"A password has {limits} characters.", file=sys.stderr)
        return 1
    try:
        ended = asyncio.run(set_password(arguments.email, password))
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 1
    except Unavailable as error:
        print(f"{error} Sessions of this user may go on: try again.", file=sys.stderr)
        return 1
    print(f"The password is set; {ended} sessions ended.")
    if arguments.generate:
        print(password)
    return 0


def _asked() -> str:
    """Never an argument: others on the machine see those."""
    if sys.stdin.isatty():
        return getpass.getpass("New password: ")
    return sys.stdin.readline().rstrip("\n")


SET_PASSWORD = Command(
    name="set-password", help="give a user a password", run=_run, arguments=_arguments
)
