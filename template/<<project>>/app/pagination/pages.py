"""A page as it is answered: its rows, where the pages around it are, and both as HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from typing import Protocol
from urllib.parse import quote

import msgspec
from starlette.types import Scope

from app.http.responses import JSONBytes

# What may stand between the < and > of a link as it is; a client may send more than that.
_PLAIN = "!$&'()*,;=:@/?%+"
_encode_json = msgspec.json.Encoder().encode


class Row(Protocol):
    """A row, with at least the columns that its listing is ordered by: asyncpg's, or a dict."""

    def __getitem__(self, column: str, /) -> Any:
        """The value in a column."""

    def keys(self) -> Iterable[str]:
        """The columns."""


class Page:
    """Some rows of a listing, as they are shown, and the cursors of the pages around them."""

    __slots__ = ("data", "next_cursor", "prev_cursor")

    def __init__(self, data: list[Any], next_cursor: str | None, prev_cursor: str | None) -> None:
        self.data = data
        self.next_cursor = next_cursor
        self.prev_cursor = prev_cursor

    def encode(self) -> bytes:
        """`{"data": […], "pagination": {"nextCursor": …, "prevCursor": …, "hasMore": …}}`."""
        return _encode_json(
            {
                "data": self.data,
                "pagination": {
                    "nextCursor": self.next_cursor,
                    "prevCursor": self.prev_cursor,
                    "hasMore": self.next_cursor is not None,
                },
            }
        )

    def response(self, scope: Scope) -> JSONBytes:
        """The page as the answer to this request, with the links of RFC 8288 to those around."""
        response = JSONBytes(self.encode())
        if links := self._links(scope["query_string"]):
            response.raw_headers.append((b"link", links))
        return response

    def _links(self, query: bytes) -> bytes:
        """Links relative to the URL that was asked: that holds behind any proxy."""
        if not (self.next_cursor or self.prev_cursor):
            return b""
        kept = [part for part in query.split(b"&") if part and not part.startswith(b"cursor=")]
        rest = quote(b"&".join(kept), safe=_PLAIN)
        and_rest = f"&{rest}" if rest else ""
        links = []
        if self.next_cursor:
            links.append(f'<?cursor={self.next_cursor}{and_rest}>; rel="next"')
        if self.prev_cursor:
            links.append(f'<?cursor={self.prev_cursor}{and_rest}>; rel="prev"')
            links.append(f'<?{rest}>; rel="first"')
        return ", ".join(links).encode()
