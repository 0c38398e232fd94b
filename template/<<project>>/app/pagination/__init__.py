"""Keyset pagination: pages are ranges of an index, cursors are signed and opaque."""

from app.pagination.cursors import BadCursor
from app.pagination.cursors import Cursors
from app.pagination.parameters import CursorParam
from app.pagination.parameters import Limit
from app.pagination.parameters import PageInfo
from app.pagination.settings import PaginationSettings
from app.pattern import Pattern

__all__ = [
    "BadCursor",
    "CursorParam",
    "Cursors",
    "Limit",
    "PageInfo",
    "PaginationSettings",
    "pattern",
]

pattern = Pattern(
    name="pagination",
    settings=PaginationSettings,
    resources=lambda service: [Cursors(service.settings(PaginationSettings).keys())],
)
