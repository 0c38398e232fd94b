"""A service of exchange rates for development and tests: the upstream `rates`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs
from urllib.parse import urlsplit

from dev.servers import Corner
from dev.servers import Server
from dev.servers import Source

RATES = {"EUR": 0.92, "GBP": 0.79, "JPY": 149.5}

REQUESTS = [("/items/1/price?currency=EUR", "")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """What one US dollar is worth."""
        wanted = parse_qs(urlsplit(self.path).query).get("symbols", [""])[0]
        found = {wanted: RATES[wanted]} if wanted in RATES else None
        body = json.dumps({"base": "USD", "rates": found}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _embedded(_: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="rates", daemon=True).start()
        yield f"rates=http://127.0.0.1:{server.server_port}"
        server.shutdown()


SERVER = Server(
    title="Rates",
    variable="HTTP_CLIENT_UPSTREAMS",
    local=lambda keep: None,
    embedded=lambda keep: Source(said="a stub", open=_embedded),
    corner=lambda url: nullcontext(Corner(url=url, clean=lambda: None)),
)
