"""The loaders of a request: each source has one, made when it is first asked for."""

from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol
from typing import cast

from starlette.types import Scope

from app.database import Database
from app.dataloader.loader import Loader
from app.dataloader.settings import DataLoaderSettings


class Source[K, V](Hashable, Protocol):
    """Where values are looked up by keys, as a `Lookup` does it in the database."""

    @property
    def name(self) -> str:
        """A short constant, the label of its metrics."""

    async def fetch(self, database: Database, keys: list[K], /) -> Mapping[K, V]:
        """What there is of these keys."""


class Loaders(AbstractAsyncContextManager["Loaders"]):
    """Gives each request loaders of its own, so that nobody sees what another request has found:
    it may be older, or not for everybody's eyes."""

    def __init__(self, database: Database, settings: DataLoaderSettings) -> None:
        self._database = database
        self._max_batch = settings.max_batch

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    def of[K, V](self, scope: Scope, source: Source[K, V]) -> Loader[K, V]:
        """The loader of this source in this request, of which `scope` is the ASGI scope."""
        loaders = scope.setdefault("loaders", {})
        if source not in loaders:
            fetch = partial(source.fetch, self._database)
            loaders[source] = Loader(source.name, fetch, self._max_batch)
        return cast("Loader[K, V]", loaders[source])
