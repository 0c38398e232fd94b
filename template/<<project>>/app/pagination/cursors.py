"""Signed cursors, and pages of rows that end in one."""

from __future__ import annotations

from binascii import a2b_base64
from binascii import b2a_base64
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from hashlib import blake2b
from hmac import compare_digest
from struct import Struct
from typing import Any
from typing import Protocol

import msgspec
from starlette.exceptions import HTTPException

# Microseconds since 1970 and an id; then the signature. 30 bytes are 40 characters exactly: no
# padding, and no unused bits, which would give a cursor a second spelling.
_POSITION = Struct(">qq")
_SIGNATURE_BYTES = 14
CURSOR_LENGTH = (_POSITION.size + _SIGNATURE_BYTES) // 3 * 4

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/  ")  # the other alphabet is not accepted as well
_encode_json = msgspec.json.Encoder().encode


class BadCursor(HTTPException):
    """The cursor is not one that this listing gave out. Answered with 400."""

    def __init__(self) -> None:
        super().__init__(400, "The cursor is not one that this listing gave out.")


class Row(Protocol):
    """A row with at least `created_at` and `id`; records of asyncpg and dicts are."""

    def __getitem__(self, column: str, /) -> Any:
        """The value in a column."""

    def keys(self) -> Iterable[str]:
        """The columns."""


class Cursors(AbstractAsyncContextManager["Cursors"]):
    """Makes and reads the cursors of listings ordered by (created_at, id).

    A `context` names the listing, with everything but the position that decides what it holds, for
    example `f"items of {owner}"`; the cursor of one context is refused in any other.
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """The first secret signs, all of them verify; at least one."""
        # of a secret of any length, a key as long as the hash accepts
        self._keys = [blake2b(secret, person=b"cursors").digest() for secret in secrets]
        self._signing = self._keys[0]

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    def encode(self, context: str, created_at: datetime, row_id: int) -> str:
        """The cursor of the row at this position; `created_at` knows its time zone."""
        since = created_at - _EPOCH
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        position = _POSITION.pack(micros, row_id)
        cursor = position + _signature(self._signing, context, position)
        return b2a_base64(cursor, newline=False).translate(_TO_URL).decode()

    def decode(self, context: str, cursor: str) -> tuple[datetime, int]:
        """The position that `encode` was given, to the microsecond; or BadCursor."""
        if len(cursor) != CURSOR_LENGTH:
            raise BadCursor
        try:
            given = a2b_base64(cursor.encode("ascii").translate(_FROM_URL), strict_mode=True)
        except ValueError:
            raise BadCursor from None
        position, signature = given[: _POSITION.size], given[_POSITION.size :]
        for key in self._keys:
            if compare_digest(signature, _signature(key, context, position)):
                micros, found = _POSITION.unpack(position)
                return _EPOCH + timedelta(microseconds=micros), found
        raise BadCursor

    def page[R: Row](
        self, context: str, rows: Sequence[R], limit: int, view: Callable[[R], Any] = dict
    ) -> bytes:
        """A page as JSON: `{"data": […], "pagination": {"nextCursor": …, "hasMore": …}}`.

        `rows` are up to `limit` + 1: the one too many only tells that there is more. `view` makes
        of a row what is encoded.
        """
        following = None
        if more := len(rows) > limit:
            rows = rows[:limit]
            following = self.encode(context, rows[-1]["created_at"], rows[-1]["id"])
        return _encode_json(
            {
                "data": [view(row) for row in rows],
                "pagination": {"nextCursor": following, "hasMore": more},
            }
        )


def _signature(key: bytes, context: str, position: bytes) -> bytes:
    # the position has a fixed length, so no two pairs are signed as the same bytes
    return blake2b(context.encode() + position, digest_size=_SIGNATURE_BYTES, key=key).digest()
