"""A collector of traces that takes everything: `python -m bench.collector PORT`, on loopback.

It writes the bytes of each request that it got to its standard output, one line each.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer


class Taker(BaseHTTPRequestHandler):
    """Answers every POST with an empty 200, which OTLP over HTTP means as "all accepted"."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read it all."""
        taken = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        print(taken, flush=True)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing but the sizes is written."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Taker).serve_forever()
