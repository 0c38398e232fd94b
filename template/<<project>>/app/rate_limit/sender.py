"""Whose request it is, as far as the limit is concerned."""

from __future__ import annotations

from ipaddress import IPv6Address
from ipaddress import ip_address

from starlette.types import Scope

_NETWORK = (1 << 128) - (1 << 64)


def address(scope: Scope) -> str:
    """The client's address: what the connection has, or what TRUSTED_PROXIES say it is.

    Of IPv6 it is the /64: that is the least that one customer has. What is no address is one
    sender, whatever it is: else a proxy that forwards anything could be told a new name each time.
    """
    client = scope.get("client")
    try:
        found = ip_address(client[0]) if client else None
    except ValueError:
        found = None
    if found is None:
        return "address:unknown"
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return f"address:{IPv6Address(int(found) & _NETWORK)}/64"
        found = found.ipv4_mapped
    return f"address:{found}"
