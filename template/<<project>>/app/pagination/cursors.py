"""Signed cursors: from where in a listing a page is read, and in which direction."""

from __future__ import annotations

from binascii import a2b_base64
from binascii import b2a_base64
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from operator import itemgetter
from types import GenericAlias
from typing import Any
from typing import NamedTuple

import msgspec
from starlette.exceptions import HTTPException

from app.pagination.pages import Page
from app.pagination.pages import Row

# A longer one would not fit into a URL everywhere.
MAX_CURSOR = 4_096

# 15 bytes are 20 characters exactly. What is signed is the text before them, so that no cursor has
# a second spelling.
_SIGNATURE_BYTES = 15
_SIGNATURE = _SIGNATURE_BYTES // 3 * 4

_BACKWARD, _INCLUSIVE = 1, 2
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_pack = msgspec.msgpack.Encoder(order="sorted").encode


class BadCursor(HTTPException):
    """The cursor is not one that this listing gave out. Answered with 400."""

    def __init__(self) -> None:
        super().__init__(400, "The cursor is not one that this listing gave out.")


@dataclass(frozen=True)
class Key:
    """A column that a listing is ordered by, and the Python type of its values; never NULL."""

    name: str
    type: type
    descending: bool = False


class Position(NamedTuple):
    """A place between two rows: just after the row with these values, to be read onwards; or, to
    be read `backward`, just before it. `inclusive` is the other side of the row."""

    values: tuple[Any, ...]
    backward: bool = False
    inclusive: bool = False


class Cursors(AbstractAsyncContextManager["Cursors"]):
    """The secrets that sign the cursors of every listing."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """The first secret signs, all of them verify; at least one."""
        # of a secret of any length, a key as long as the hash accepts
        self._keys = [blake2b(secret, person=b"cursors").digest() for secret in secrets]

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    def listing(self, name: str, order: Sequence[Key]) -> Listing:
        """The pages of a listing, named as no other one; the last keys tell any two rows apart."""
        return Listing(self._keys, name, order)


class Listing:
    """Reads and gives out the cursors of one listing. Any other listing refuses them, and so does
    the same one in another order or with other filters."""

    def __init__(
        self, secrets: list[bytes], name: str, order: Sequence[Key], /, **filters: Any
    ) -> None:
        """Usually made by `Cursors.listing`."""
        self._made_of = (secrets, name, order)
        names = [key.name for key in order]
        context = _pack((name, [(k.name, k.type.__name__, k.descending) for k in order], filters))
        # the hash of key and context is the same for all cursors: each begins with a copy of it
        self._states = [blake2b(context, key=key, digest_size=_SIGNATURE_BYTES) for key in secrets]
        packed = GenericAlias(tuple, (int, *(key.type for key in order)))
        self._unpack = msgspec.msgpack.Decoder(packed).decode
        self._values: Callable[[Row], tuple[Any, ...]] = (
            itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        )

    def where(self, /, **filters: Any) -> Listing:
        """The same listing with everything else that decides what it holds, as `owner=7`."""
        return Listing(*self._made_of, **filters)

    def encode(
        self, values: tuple[Any, ...], *, backward: bool = False, inclusive: bool = False
    ) -> str:
        """The cursor of this position. ValueError when its values are too long for one."""
        flags = _BACKWARD * backward | _INCLUSIVE * inclusive
        packed = b2a_base64(_pack((flags, *values)), newline=False)
        text = packed.translate(_TO_URL, b"=")
        if len(text) + _SIGNATURE > MAX_CURSOR:
            raise ValueError(f"a cursor of over {MAX_CURSOR} characters: order by what is shorter")
        return (text + _signature(self._states[0], text)).decode()

    def decode(self, cursor: str) -> Position:
        """The position that `encode` was given; or BadCursor."""
        if not _SIGNATURE < len(cursor) <= MAX_CURSOR or not cursor.isascii():
            raise BadCursor
        given = cursor.encode()
        text, signature = given[:-_SIGNATURE], given[-_SIGNATURE:]
        for state in self._states:
            if compare_digest(signature, _signature(state, text)):
                break
        else:
            raise BadCursor
        flags, *values = self._unpack(a2b_base64(text.translate(_FROM_URL) + b"=="))
        return Position(tuple(values), flags & _BACKWARD > 0, flags & _INCLUSIVE > 0)

    def page[R: Row](
        self,
        rows: Sequence[R],
        limit: int,
        position: Position | None,
        view: Callable[[R], Any] = dict,
    ) -> Page:
        """The page that begins at `position`, or at the beginning.

        `rows` are up to `limit` + 1 in the order of reading: the one too many only tells that
        there is more. `view` makes of a row what is shown.
        """
        backward = position is not None and position.backward
        more = len(rows) > limit
        if more:
            rows = rows[:limit]
        if backward:
            rows = rows[::-1]
        following = preceding = None
        if rows:
            # where a page was reached from, there is a page
            if more or backward:
                following = self.encode(self._values(rows[-1]))
            if more if backward else position:
                preceding = self.encode(self._values(rows[0]), backward=True)
        elif position:
            side = not position.inclusive
            back = self.encode(position.values, backward=not backward, inclusive=side)
            following, preceding = (back, None) if backward else (None, back)
        return Page([*map(view, rows)], following, preceding)


def _signature(state: Any, text: bytes) -> bytes:
    signing = state.copy()
    signing.update(text)
    return b2a_base64(signing.digest(), newline=False).translate(_TO_URL)
