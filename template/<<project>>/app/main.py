"""The service put together: the public application and the internal one."""

from collections.abc import Sequence
from functools import cache
from typing import Any
from typing import cast

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.about import DESCRIPTION
from app.about import NAME
from app.auth import AuthSettings
from app.auth import describe_security
from app.http import errors
from app.http.direct import DirectRoutes
from app.http.edge import Edge
from app.http.openapi import describe_errors
from app.pattern import Pattern
from app.service import Service


def create_api(service: Service) -> FastAPI:
    """The routes of every pattern. Documentation is served on the internal port only."""
    api = FastAPI(
        title=NAME,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # a redirect repeats the client's own Host, and its key goes along
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for pattern in service.patterns:
        if pattern.routes:
            pattern.routes(api.router, service)  # no include_router: it costs at every request
    errors.install(api)
    public_reads = service.settings(AuthSettings).public_reads
    describe_security(api, public_reads=public_reads, open_routes=service.open_routes)
    _describe_patterns(api, service)
    describe_errors(api)
    return api


def create_app(service: Service, api: FastAPI, middleware: Sequence[Pattern]) -> ASGIApp:
    """What the public port serves: the routes within the middleware, outermost first."""
    app: ASGIApp = DirectRoutes(api)
    for pattern in reversed(middleware):
        if pattern.middleware:
            app = pattern.middleware(app, service)
    core = service.core
    if core.cors_origins:
        app = CORSMiddleware(app, core.cors_origins, allow_methods=["*"], allow_headers=["*"])
    app = Edge(app, core, service.body_bounds)
    if core.trusted_proxies:
        trusted = [str(network) for network in core.trusted_proxies]
        app = cast(ASGIApp, ProxyHeadersMiddleware(cast(Any, app), trusted))
    return app


def create_internal_app(service: Service, api: FastAPI | None = None) -> Starlette:
    """What the internal port serves: probes, metrics, and the documentation of `api`."""
    routes = [
        route
        for pattern in service.patterns
        if pattern.internal
        for route in pattern.internal(service)
    ]
    if api and service.core.serve_docs:
        routes += _documentation(api, service)
    return Starlette(routes=routes)


def _describe_patterns(api: FastAPI, service: Service) -> None:
    """Let `api.openapi()` tell what the patterns have to add."""
    plain = api.openapi

    @cache
    def openapi() -> dict[str, Any]:
        document = plain()
        for pattern in service.patterns:
            if pattern.openapi:
                pattern.openapi(document, service)
        return document

    api.openapi = openapi  # type: ignore[method-assign]


def _documentation(api: FastAPI, service: Service) -> list[Route]:
    public = f"http://{service.core.host}:{service.core.port}"

    async def openapi(_: Request) -> Response:
        document: dict[str, Any] = {**api.openapi(), "servers": [{"url": public}]}
        return JSONResponse(document)

    async def docs(_: Request) -> Response:
        return get_swagger_ui_html(openapi_url="/openapi.json", title=NAME)

    return [Route("/openapi.json", openapi), Route("/docs", docs)]
