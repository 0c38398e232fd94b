"""The head of an answer: may its body be compressed, and what changes when it is?"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from functools import lru_cache

type Header = tuple[bytes, bytes]

# An answer with one of these speaks of exactly the bytes that it has.
_BOUND = frozenset(
    {
        b"content-encoding",
        b"content-range",
        b"content-digest",
        b"repr-digest",
        b"digest",
        b"content-md5",
        b"transfer-encoding",
    }
)
# What is true only of the body before it was compressed.
_OUTDATED = frozenset({b"content-length", b"accept-ranges"})

_TYPES = frozenset(
    {
        b"application/javascript",
        b"application/json",
        b"application/x-ndjson",
        b"application/xml",
        b"application/yaml",
    }
)


def is_compressible(headers: Iterable[Header]) -> bool:
    """Whether the body is of a kind that shrinks, and nothing says that it must stay as it is."""
    content_type = b""
    for given, value in headers:
        name = given.lower()
        if name in _BOUND or (name == b"cache-control" and b"no-transform" in value.lower()):
            return False
        if name == b"content-type":
            content_type = value
    return _shrinks(content_type)


def is_smaller(headers: Iterable[Header], least: int) -> bool:
    """Whether the head says that the body has fewer bytes than these."""
    for name, value in headers:
        if name == b"content-length":
            return value.isdigit() and int(value) < least
    return False


@lru_cache(128)
def _shrinks(content_type: bytes) -> bool:
    """Whether bodies of this type are text of some kind; images, archives, films are packed."""
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == b"text/event-stream":  # each event is to arrive when it is sent
        return False
    return kind.startswith(b"text/") or kind in _TYPES or kind.endswith((b"+json", b"+xml"))


def varied(headers: Iterable[Header]) -> list[Header]:
    """The head of an answer that others may get in another coding: caches keep them apart."""
    changed: list[Header] = []
    names: list[bytes] = []
    for header in headers:
        if header[0].lower() == b"vary":
            names += [name for part in header[1].split(b",") if (name := part.strip())]
        else:
            changed.append(header)
    if not {b"*", b"accept-encoding"} & {name.lower() for name in names}:
        names.append(b"Accept-Encoding")
    changed.append((b"vary", b", ".join(names)))
    return changed


def weakened(headers: Iterable[Header]) -> list[Header]:
    """The head with a weak ETag: a strong one would promise the same bytes in every coding."""
    return [
        (name, b"W/" + value)
        if name.lower() == b"etag" and not value.startswith(b"W/")
        else (name, value)
        for name, value in headers
    ]


def not_modified(headers: Sequence[Header], held: bytes) -> list[Header]:
    """The head of a 304 as that of the 200 was; `held` is what the client names in If-None-Match.

    Whoever got the answer compressed holds its ETag as a weak one.
    """
    was_weak = any(b"W/" + value in held for name, value in headers if name.lower() == b"etag")
    return weakened(varied(headers)) if was_weak else varied(headers)


def encoded(headers: Iterable[Header], coding: bytes, length: int | None) -> list[Header]:
    """The head of an answer in that coding, of that many bytes; None leaves the length out."""
    kept = [header for header in headers if header[0].lower() not in _OUTDATED]
    changed = [*weakened(varied(kept)), (b"content-encoding", coding)]
    if length is not None:
        changed.append((b"content-length", b"%d" % length))
    return changed
