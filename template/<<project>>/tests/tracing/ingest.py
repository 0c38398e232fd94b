"""A collector (OTLP over HTTP) and a Sentry, as far as they take what is sent, and keep it.

What was received is told by its content and, in `raw`, as it came, for those who look for what must
not be there.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True)
class Span:
    """A span as the collector got it; ids in hexadecimal, the parent's is empty for a first one.

    links: `{trace_id}-{span_id}`, and `-{tracestate}` where there is one
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    failed: bool
    seconds: float
    events: tuple[str, ...]
    links: tuple[str, ...]


class Ingest:
    """A server on a free port, or on this one, while the block lasts.

    spans:        what came to /v1/traces
    transactions: what came to Sentry's /api/1/envelope/, by type
    errors:       likewise
    raw:          the heads and (unpacked) bodies of all requests
    status:       what everybody is answered
    """

    def __init__(self, port: int = 0) -> None:
        self.spans: list[Span] = []
        self.transactions: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.heads: list[dict[str, Any]] = []
        self.raw = b""
        self.status = 200
        self._connections: list[socket.socket] = []
        ingest = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                ingest._connections.append(self.connection)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                if ingest.status == 200:
                    ingest.receive(self.path, f"{self.path}\n{self.headers}".encode(), body)
                self.send_response(ingest.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.dsn = f"http://publickey@127.0.0.1:{self.port}/1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:  # which clients would use on
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def receive(self, path: str, head: bytes, body: bytes) -> None:
        """Keep what came in one request."""
        self.raw += head + body + b"\n"
        if path == "/v1/traces":
            self.spans += _spans(ExportTraceServiceRequest.FromString(body))
        elif path == "/api/1/envelope/":
            self._unpack(body)

    def named(self, name: str) -> list[Span]:
        """The spans of this name."""
        return [span for span in self.spans if span.name == name]

    def _unpack(self, body: bytes) -> None:
        """https://develop.sentry.dev/sdk/data-model/envelopes/"""
        head, _, rest = body.partition(b"\n")
        self.heads.append(json.loads(head))
        while rest.strip():
            line, _, rest = rest.partition(b"\n")
            item = json.loads(line)
            length = item.get("length", len(rest.partition(b"\n")[0]))
            payload, rest = rest[:length], rest[length:].lstrip(b"\n")
            if item["type"] == "transaction":
                self.transactions.append(json.loads(payload))
            elif item["type"] == "event":
                self.errors.append(json.loads(payload))


def _spans(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        Span(
            name=span.name,
            kind=Message.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            attributes=_values(span.attributes),
            resource=_values(of_resource.resource.attributes),
            failed=span.status.code == Status.STATUS_CODE_ERROR,
            seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
            events=tuple(event.name for event in span.events),
            links=tuple(_described(link) for link in span.links),
        )
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _described(link: Message.Link) -> str:
    return "-".join(filter(None, (link.trace_id.hex(), link.span_id.hex(), link.trace_state)))


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
