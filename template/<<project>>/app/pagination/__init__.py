"""Keyset pagination: pages are ranges of an index, cursors are signed and opaque."""

from app.pagination.cursors import BadCursor
from app.pagination.cursors import Cursors
from app.pagination.cursors import Key
from app.pagination.cursors import Listing
from app.pagination.cursors import Position
from app.pagination.pages import Page
from app.pagination.parameters import PAGE_RESPONSES
from app.pagination.parameters import CursorParam
from app.pagination.parameters import Limit
from app.pagination.parameters import PageInfo
from app.pagination.settings import PaginationSettings
from app.pattern import Pattern

__all__ = [
    "PAGE_RESPONSES",
    "BadCursor",
    "CursorParam",
    "Cursors",
    "Key",
    "Limit",
    "Listing",
    "Page",
    "PageInfo",
    "PaginationSettings",
    "Position",
    "pattern",
]

pattern = Pattern(
    name="pagination",
    settings=PaginationSettings,
    resources=lambda service: [Cursors(service.settings(PaginationSettings).keys())],
)
