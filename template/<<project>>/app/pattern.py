"""What a pattern may contribute to the service. Every field but the name is optional."""

from __future__ import annotations

from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from fastapi import APIRouter
from starlette.routing import Route
from starlette.types import ASGIApp

from app.settings import Settings

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from argparse import Namespace

    from app.http.edge import BodyBound
    from app.service import Service

type Resource = AbstractAsyncContextManager[Any]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A readiness check: `ping` raises when the dependency does not answer.

    A check that is not `required` is reported, and the service stays ready without it.
    """

    ping: Callable[[], Awaitable[None]]
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Command:
    """A subcommand of `python -m app`; `run` takes its arguments and returns the exit code."""

    name: str
    help: str
    run: Callable[[Namespace], int]
    arguments: Callable[[ArgumentParser], None] = lambda parser: None


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One capability of the service.

    settings:    its part of the environment
    resources:   what it opens at start and closes at the end, found by others with `service.get`
    routes:      adds what it serves on the public port
    open:        the methods and paths of those that nobody has to be known for, such as a login
    any_scope:   those that whoever is known may ask, whatever their scopes
    openapi:     adds to the API's document, as `api.openapi()` gives it
    internal:    what it serves on the internal port
    bodies:      which bodies are bound otherwise than by MAX_BODY_BYTES, BODY_TIMEOUT_S, by path
    middleware:  wraps the application; the order stands in `app/patterns.py`
    jobs:        the work that it does in the background
    schedules:   when some of it is to be done, without being asked
    commands:    subcommands of `python -m app`
    ready:       what /readyz asks
    concurrency: how many requests at a time its resources serve
    """

    name: str
    settings: type[Settings] | None = None
    resources: Callable[[Service], Sequence[Resource]] | None = None
    routes: Callable[[APIRouter, Service], None] | None = None
    open: tuple[tuple[str, str], ...] = ()
    any_scope: tuple[tuple[str, str], ...] = ()
    openapi: Callable[[dict[str, Any], Service], None] | None = None
    internal: Callable[[Service], Sequence[Route]] | None = None
    bodies: Callable[[Service], Mapping[str, BodyBound]] | None = None
    middleware: Callable[[ASGIApp, Service], ASGIApp] | None = None
    jobs: Callable[[Service], Sequence[object]] | None = None
    schedules: Callable[[Service], Sequence[object]] | None = None
    commands: tuple[Command, ...] = ()
    ready: Callable[[Service], Check] | None = None
    concurrency: Callable[[Service], int] | None = None
