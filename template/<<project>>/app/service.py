"""The service as one value: its settings, its resources, and where it is in its life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import AsyncExitStack
from contextlib import asynccontextmanager
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from app.pattern import Check
from app.pattern import Pattern
from app.pattern import Resource
from app.settings import CoreSettings
from app.settings import Settings
from app.settings import load_settings

if TYPE_CHECKING:
    from app.http.edge import BodyBound


class Service:
    """What the patterns of one process share.

    Built from the environment (SettingsError when that is not usable); `running()` opens the
    resources in the order of the patterns and closes them in reverse.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = patterns
        self.started = False  # the public port listens
        self.draining = False
        self.ends_at = inf  # by force, on the clock of `monotonic`; known once a signal has come
        self.at_stop: list[Callable[[], None]] = []  # called when that is known
        self._settings = load_settings(p.settings for p in patterns if p.settings)
        self._resources: dict[type[Resource], Resource] = {}
        for pattern in patterns:
            for resource in pattern.resources(self) if pattern.resources else ():
                self._resources[type(resource)] = resource

    @property
    def core(self) -> CoreSettings:
        """The settings that every process has."""
        return self.settings(CoreSettings)

    def settings[S: Settings](self, kind: type[S]) -> S:
        """The settings of this class, which a pattern of the service must have named."""
        found = self._settings[kind]
        assert isinstance(found, kind)
        return found

    def get[R: Resource](self, kind: type[R]) -> R:
        """The resource of this class. Used while the service is put together, not per request."""
        found = self._resources[kind]
        assert isinstance(found, kind)
        return found

    @property
    def open_routes(self) -> frozenset[tuple[str, str]]:
        """The methods and paths that nobody has to be known for."""
        return frozenset(route for pattern in self.patterns for route in pattern.open)

    @property
    def any_scope_routes(self) -> frozenset[tuple[str, str]]:
        """The methods and paths that whoever is known may ask, whatever their scopes."""
        return frozenset(route for pattern in self.patterns for route in pattern.any_scope)

    @property
    def body_bounds(self) -> dict[str, BodyBound]:
        """The bounds of bodies that have others than the settings say, by path."""
        bounds: dict[str, BodyBound] = {}
        for pattern in self.patterns:
            if pattern.bodies:
                bounds |= pattern.bodies(self)
        return bounds

    def seconds_left(self) -> float:
        """How long until the process is ended by force; infinite while nobody has asked for it."""
        return self.ends_at - monotonic()

    def checks(self) -> dict[str, Check]:
        """What readiness asks, by pattern."""
        return {p.name: p.ready(self) for p in self.patterns if p.ready}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open every resource; close them in reverse."""
        async with AsyncExitStack() as stack:
            for resource in self._resources.values():
                await stack.enter_async_context(resource)
            yield
