"""Answers that are bytes already."""

from starlette.responses import Response

_JSON = (b"content-type", b"application/json")


class JSONBytes(Response):
    """A JSON document that was encoded before; it skips the work of Starlette's constructor."""

    media_type = "application/json"

    def __init__(self, body: bytes, status_code: int = 200) -> None:
        self.status_code = status_code
        self.body = body
        self.background = None
        self.raw_headers = [_JSON, (b"content-length", b"%d" % len(body))]
