"""Structured logs: one JSON document a line on standard output, each with the request's id."""

import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import msgspec
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict
from structlog.typing import WrappedLogger

from app.about import NAME

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
log = structlog.stdlib.get_logger()
# What patterns add to every line, beside the request's id.
additions: list[Callable[[EventDict], None]] = []

_encode = msgspec.json.Encoder(enc_hook=repr).encode


def _add_context(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["service"] = NAME
    current = request_id.get()
    if current is not None:
        event["request_id"] = current
    for add in additions:
        add(event)
    return event


def _as_json(_: WrappedLogger, __: str, event: EventDict) -> bytes:
    try:
        return _encode(event)
    except (UnicodeError, TypeError, ValueError):  # half a surrogate pair, a key that is no text
        return ascii(event).encode()


def _as_json_text(logger: WrappedLogger, method: str, event: EventDict) -> str:
    return _as_json(logger, method, event).decode()


_SHARED: list[Any] = [
    _add_context,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
    # never the local variables: they hold what the client sent
    structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
]


def configure(level: str) -> None:
    """Send everything of `level` and above, also what libraries log, to standard output as JSON."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_SHARED, _as_json],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _as_json_text],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for noisy in ("uvicorn", "uvicorn.error"):
        # its warnings are about what clients send, any number of them
        logging.getLogger(noisy).setLevel(logging.ERROR)
