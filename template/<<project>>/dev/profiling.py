"""`make profile`: a profile of a process of the service on this machine, or of a forwarded port."""

from __future__ import annotations

import json
import os
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

FILE = Path(".data/profile.json")
SHOWN = 15


def main() -> int:
    """Fetch it, write it, say what is most; return the exit code."""
    kind, seconds = os.environ["KIND"], os.environ["SECONDS"]
    where = f"127.0.0.1:{os.environ['INTERNAL_PORT']}"
    try:
        connection = HTTPConnection(where, timeout=float(seconds) + 30)
        connection.request("GET", f"/profile/{kind}?seconds={seconds}")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, ValueError) as error:
        print(f"No profile from {where}: {error}", file=sys.stderr)
        return 1
    if answer.status != 200:
        print(f"No profile from {where}: {body.decode()}", file=sys.stderr)
        return 1
    FILE.parent.mkdir(mode=0o700, exist_ok=True)
    FILE.write_bytes(body)
    document = json.loads(body)
    print(*(_memory(document) if kind == "memory" else _cpu(document)), sep="\n")
    print(f"\nAll of it is in {FILE}." + ("" if kind == "memory" else " See speedscope.app."))
    return 0


def _cpu(document: dict[str, Any]) -> list[str]:
    """Where the main thread was most."""
    frames, own = document["shared"]["frames"], dict[str, float]()
    for profile in document["profiles"]:
        if profile["name"] == "MainThread":
            for sample, seconds in zip(profile["samples"], profile["weights"], strict=True):
                frame = frames[sample[-1]]
                place = f"{frame['name']} ({frame['file']}:{frame['line']})"
                own[place] = own.get(place, 0.0) + seconds
    most = sorted(own.items(), key=lambda item: -item[1])[:SHOWN]
    return [f"{seconds:8.2f} s  {place}" for place, seconds in most]


def _memory(document: dict[str, Any]) -> list[str]:
    """What grew most."""
    lines = [f"{one['bytes']:12,} bytes  {one['line']}" for one in document["lines"][:SHOWN]]
    kinds = [f"{one['growth']:12,} more   {one['type']}" for one in document["objects"][:SHOWN]]
    return [*lines, "", *kinds]


if __name__ == "__main__":
    sys.exit(main())
