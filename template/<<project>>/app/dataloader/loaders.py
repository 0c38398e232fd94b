"""The loaders of a request: each lookup has one, made when it is first asked for."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import cast

import asyncpg
from starlette.types import Scope

from app.database import Database
from app.dataloader.loader import Loader
from app.dataloader.lookup import Lookup
from app.dataloader.settings import DataLoaderSettings


class Loaders(AbstractAsyncContextManager["Loaders"]):
    """Gives each request loaders of its own, so that nobody sees what another request has found:
    it may be older, or not for everybody's eyes."""

    def __init__(self, database: Database, settings: DataLoaderSettings) -> None:
        self._database = database
        self._max_batch = settings.max_batch

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    def of[K](self, scope: Scope, lookup: Lookup[K]) -> Loader[K, asyncpg.Record]:
        """The loader of this lookup in this request, of which `scope` is the ASGI scope."""
        loaders = scope.setdefault("loaders", {})
        if lookup not in loaders:
            fetch = partial(lookup.fetch, self._database)
            loaders[lookup] = Loader(lookup.name, fetch, self._max_batch)
        return cast("Loader[K, asyncpg.Record]", loaders[lookup])
