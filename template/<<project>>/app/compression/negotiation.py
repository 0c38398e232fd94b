"""Which coding an answer gets: Accept-Encoding as RFC 9110, section 12.5.3, has it."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from app.compression.codings import Coding

# A header of more bytes or elements is not read: no client has one, and reading takes time.
LONGEST = 512
MOST = 32
# Clients send few different ones, so what they send is looked up and not read again.
REMEMBERED = 128

OPT_OUT = b"x-no-compression"

_ELEMENT = re.compile(
    rb"([!#$%&'*+.^_`|~0-9a-z-]+)"  # a token
    rb"(?:[ \t]*;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"  # its weight
)
_ALIASES = {b"x-gzip": b"gzip"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What a client gets: `coding` from `least` bytes on; without one, the body as it is."""

    coding: Coding | None
    least: int


def accepted(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The Accept-Encoding of a request; empty when it has none, none that is read, or opts out."""
    found = b""
    for name, value in headers:
        if name == b"accept-encoding":
            found = found + b"," + value if found else value
            if len(found) > LONGEST:
                return b""
        elif name == OPT_OUT:
            return b""
    return found


def negotiation(offered: Sequence[Coding], threshold: int) -> Callable[[bytes], Choice]:
    """A function from Accept-Encoding to the choice, which remembers its last answers.

    offered:   the codings, what the service prefers among equals first
    threshold: what smaller bodies than this are sent as they are; it does not hold for a client
               that refuses that (`identity;q=0`)
    """

    @lru_cache(REMEMBERED)
    def choose(accept_encoding: bytes) -> Choice:
        weights = _weights(accept_encoding)
        others = weights.get(b"*", 0)
        best = max(offered, key=lambda coding: weights.get(coding.name, others))
        weight = weights.get(best.name, others)
        as_it_is = weights.get(b"identity", weights.get(b"*"))
        if not weight or weight < (as_it_is or 0):
            return Choice(None, threshold)
        return Choice(best, 1 if as_it_is == 0 else threshold)

    return choose


def _weights(accept_encoding: bytes) -> dict[bytes, int]:
    """What is said of each coding, in thousandths; 0 refuses it.

    What does not follow the grammar says nothing. Of a coding that is named twice the lower
    weight counts, so that a refusal holds.
    """
    weights: dict[bytes, int] = {}
    if accept_encoding.count(b",") >= MOST:
        return weights
    for element in accept_encoding.lower().split(b","):
        read = _ELEMENT.fullmatch(element.strip(b" \t"))
        if read:
            name = _ALIASES.get(read[1], read[1])
            weight = round(1000 * float(read[2] or 1))
            weights[name] = min(weight, weights.get(name, 1000))
    return weights
