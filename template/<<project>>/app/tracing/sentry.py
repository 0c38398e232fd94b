"""Errors and transactions to Sentry, with nothing of its integrations: they would send, and cost,
more than is asked for."""

from __future__ import annotations

from time import monotonic
from typing import Any

import sentry_sdk
from opentelemetry import trace
from opentelemetry.trace import format_span_id
from opentelemetry.trace import format_trace_id
from sentry_sdk.transport import HttpTransport
from sentry_sdk.types import Event
from sentry_sdk.types import Hint
from sentry_sdk.utils import Dsn
from sentry_sdk.utils import event_from_exception

from app.tracing.batches import CountedBatches
from app.tracing.metrics import EVENTS
from app.tracing.metrics import EVENTS_DROPPED
from app.tracing.settings import TracingSettings
from app.tracing.transactions import Transactions

# Describing an error takes the event loop a millisecond; those of a flood are alike.
MOST_ERRORS_A_SECOND = 20

_ERRORS = EVENTS.labels("error")
_TRANSACTIONS = EVENTS.labels("transaction")


class CountedTransport(HttpTransport):
    """Sentry's queue and thread, with what they drop counted."""

    def on_dropped_event(self, _reason: str) -> None:
        """The queue is full, Sentry is away, or it has had enough."""
        EVENTS_DROPPED.inc()


class Sentry:
    """The client of this process; also what `sentry_sdk.capture_message` and its like use."""

    def __init__(self, dsn: str, environment: str, settings: TracingSettings) -> None:
        self._messages = settings.tracing_error_messages
        self._second, self._reported = 0.0, 0
        release = settings.sentry_release or ""  # with None it would ask git
        self._client = sentry_sdk.Client(
            dsn=dsn,
            environment=environment,
            release=release,
            transport=CountedTransport,
            before_send=self._complete,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            in_app_include=["app"],
            spotlight=False,
            _experiments={"transport_compression_level": 1},  # of gzip: not all take brotli
        )
        common = {
            "public_key": Dsn(dsn).public_key,
            "environment": environment,
            "sample_rate": f"{settings.otel_traces_sampler_arg:g}",
            "sampled": "true",
        }
        if release:
            common["release"] = release
        self.spans = CountedBatches(Transactions(self._send, common), "sentry", settings)
        sentry_sdk.get_global_scope().set_client(self._client)

    def report(self, error: BaseException, work: str) -> None:
        """Tell of an exception that ended `work`, such as `GET /users/{user_id}`."""
        _ERRORS.inc()
        if self._flooded():
            EVENTS_DROPPED.inc()
            return
        event, hint = event_from_exception(
            error,
            client_options=self._client.options,
            mechanism={"type": "app", "handled": False},
        )
        event["transaction"] = work
        self._client.capture_event(event, hint)

    def close(self, seconds: float) -> None:
        """Send what waits, for so long at most, and nothing more."""
        sentry_sdk.get_global_scope().set_client(None)
        self._client.close(timeout=seconds)

    def _flooded(self) -> bool:
        now = monotonic()
        if now - self._second >= 1:
            self._second, self._reported = now, 0
        self._reported += 1
        return self._reported > MOST_ERRORS_A_SECOND

    def _send(self, transaction: Any) -> None:
        _TRANSACTIONS.inc()
        self._client.capture_event(transaction)

    def _complete(self, event: Event, _: Hint) -> Event:
        """Add the present trace to an error, and take away what it says unless that may be told."""
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            event.setdefault("contexts", {})["trace"] = {
                "trace_id": format_trace_id(context.trace_id),
                "span_id": format_span_id(context.span_id),
            }
        if not self._messages:
            for one in event.get("exception", {}).get("values", ()):
                one["value"] = ""
        return event
