"""Where a request comes from, as far as somebody can be held to it."""

from __future__ import annotations

from ipaddress import IPv6Address
from ipaddress import ip_address

from starlette.types import Scope

_NETWORK = (1 << 128) - (1 << 64)


def client_network(scope: Scope) -> str | None:
    """The client's address: what the connection has, or what TRUSTED_PROXIES say it is.

    Of IPv6 it is the /64: that is the least that one customer has. None for what is no address.
    """
    client = scope.get("client")
    try:
        found = ip_address(client[0]) if client else None
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return f"{IPv6Address(int(found) & _NETWORK)}/64"
        found = found.ipv4_mapped
    return str(found) if found else None
