"""The routes of users."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from fastapi import HTTPException
from fastapi import Path
from fastapi import Response
from pydantic import BaseModel

from app.http.responses import JSONBytes
from app.users.store import UserChange
from app.users.store import UserStore

# what PostgreSQL's integer can hold; beyond it there is no user
UserId = Annotated[int, Path(ge=1, le=2**31 - 1)]


class UserView(BaseModel):
    """A user as the API shows it. Answers are encoded from rows; this documents them."""

    id: int
    name: str
    email: str
    status: str
    created_at: datetime


def add_routes(api: APIRouter, users: UserStore) -> None:
    """Add the routes, over any store of users."""

    @api.get("/users/{user_id}", response_model=UserView, tags=["users"])
    async def get_user(user_id: UserId) -> Response:
        """One user."""
        return _found(await users.get(user_id))

    @api.patch("/users/{user_id}", response_model=UserView, tags=["users"])
    async def update_user(user_id: UserId, change: UserChange) -> Response:
        """Change a user's name or status."""
        return _found(await users.update(user_id, change))


def _found(user: bytes | None) -> Response:
    if user is None:
        raise HTTPException(404, "There is no such user.")
    return JSONBytes(user)
