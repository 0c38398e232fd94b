"""Where traces and errors go, how many, and what they may hold."""

from __future__ import annotations

import re
from typing import Annotated
from typing import Literal

from pydantic import AfterValidator
from pydantic import Field
from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from app.about import NAME
from app.settings import Settings

# https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables
_HEADER = re.compile(r"[!#$%&'*+.^_`|~\w-]+[ \t]*=[ !#-+\--:<-\[\]-~]*", re.ASCII)


def _dsn(dsn: SecretStr) -> SecretStr:
    scheme, _, rest = dsn.get_secret_value().partition("://")
    key, _, place = rest.rpartition("@")
    if scheme not in ("http", "https") or not key or not place.rpartition("/")[2].isdigit():
        raise PydanticCustomError("dsn", "it does not look like https://key@host/number")
    return dsn


def _http(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise PydanticCustomError("url", "it does not begin with http:// or https://")
    return url


def _headers(headers: SecretStr) -> SecretStr:
    """OpenTelemetry's SDK would leave out what it cannot read, and log it, though it is a key."""
    for header in headers.get_secret_value().split(","):
        if not _HEADER.fullmatch(header.strip()):
            raise PydanticCustomError("headers", "it does not look like name=value,name=value")
    return headers


type Endpoint = Annotated[str, AfterValidator(_http)]


class TracingSettings(Settings):
    """Variables with the names that OpenTelemetry and Sentry have given them.

    OpenTelemetry's SDK reads these as well, and others that are not checked here: for TLS,
    compression and timeouts OTEL_EXPORTER_OTLP_*, and OTEL_RESOURCE_ATTRIBUTES.
    """

    sentry_dsn: Annotated[SecretStr, AfterValidator(_dsn)] | None = None
    sentry_environment: str | None = None  # none: what ENVIRONMENT says
    sentry_release: str | None = None
    otel_exporter_otlp_endpoint: Endpoint | None = None  # /v1/traces is added to it
    otel_exporter_otlp_traces_endpoint: Endpoint | None = None  # in its place, and as it is
    # `name=value,…`, mostly a vendor's key.
    otel_exporter_otlp_headers: Annotated[SecretStr, AfterValidator(_headers)] | None = None
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = "http/protobuf"
    otel_service_name: str = Field(default=NAME, min_length=1, max_length=255)
    otel_traces_sampler: Literal["parentbased_traceidratio"] = "parentbased_traceidratio"
    otel_traces_sampler_arg: float = Field(default=0.1, ge=0, le=1)  # of the traces that begin here
    # Spans that may wait to be sent, and the most that are sent at once.
    otel_bsp_max_queue_size: int = Field(default=2048, ge=512, le=65_536)
    otel_bsp_max_export_batch_size: int = Field(default=512, ge=1, le=512)
    otel_bsp_schedule_delay: int = Field(default=5000, ge=1, le=60_000)  # ms until they are sent
    # Whether a caller's trace goes on here, and is recorded if the caller has it recorded. Else a
    # trace of our own is linked to it.
    tracing_trust_callers: bool = False
    # What an exception says may be what a client has sent, or a row of the database.
    tracing_error_messages: bool = False

    @property
    def otlp(self) -> bool:
        """Whether spans go to a collector."""
        return bool(self.otel_exporter_otlp_endpoint or self.otel_exporter_otlp_traces_endpoint)

    @property
    def on(self) -> bool:
        """Whether there is anybody to tell."""
        return self.otlp or self.sentry_dsn is not None
