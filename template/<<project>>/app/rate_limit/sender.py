"""Whose request it is, as far as the limit is concerned."""

from __future__ import annotations

from starlette.types import Scope

from app.http.address import client_network


def address(scope: Scope) -> str:
    """The client's address, or for IPv6 its network.

    What is no address is one sender, whatever it is: else a proxy that forwards anything could be
    told a new name each time.
    """
    return f"address:{client_network(scope) or 'unknown'}"
