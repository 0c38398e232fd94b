"""Answers compressed as their client asks for: gzip, brotli, zstd."""

from __future__ import annotations

from starlette.types import ASGIApp

from app.compression.codings import codings
from app.compression.middleware import Compression
from app.compression.middleware import no_compression
from app.compression.settings import CompressionSettings
from app.pattern import Pattern
from app.service import Service

__all__ = ["Compression", "CompressionSettings", "no_compression", "pattern"]


def _middleware(app: ASGIApp, service: Service) -> ASGIApp:
    settings = service.settings(CompressionSettings)
    offered = codings(settings)
    return Compression(app, offered, settings.threshold_bytes) if offered else app


pattern = Pattern(
    name="compression",
    settings=CompressionSettings,
    middleware=_middleware,
)
