"""Settings that cannot be used are refused in a sentence; without any, nothing is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from opentelemetry.util.re import parse_env_headers

from app.settings import SettingsError
from app.settings import load_settings
from app.tracing import TracingSettings

NOBODY = {
    "SENTRY_DSN": "",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "",
}
LOADED = """
import asyncio, sys
from app.main import create_api, create_app
from app.patterns import MIDDLEWARE, PATTERNS
from app.service import Service
from app.tracing import span, traceparent
from app.tracing.middleware import TracedRequests

async def main():
    service = Service(PATTERNS)
    app = create_app(service, create_api(service), MIDDLEWARE)
    async with service.running():
        with span("nothing"):
            print(traceparent())
    while not isinstance(app, TracedRequests) and hasattr(app, "_app"):
        app = app._app
    print(isinstance(app, TracedRequests))

asyncio.run(main())
names = ("sentry_sdk", "opentelemetry.sdk.trace", "opentelemetry.exporter")
found = [name for name in names if name in sys.modules]
print(found)
"""


def run(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        env=os.environ | NOBODY | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_with_nobody_to_tell_nothing_is_imported(servers: dict[str, str]) -> None:
    assert run(LOADED).splitlines()[-3:] == ["None", "False", "[]"]


def test_with_somebody_it_is(servers: dict[str, str]) -> None:
    said = run(LOADED, SENTRY_DSN="http://key@127.0.0.1:9/1", OTEL_TRACES_SAMPLER_ARG="0")
    lines = said.splitlines()[-3:]
    assert lines[1] == "True"
    assert all(name in lines[2] for name in ("sentry_sdk", "sdk.trace", "exporter"))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SENTRY_DSN", "https://sentry.io/1", "does not look like https://key@host/number"),
        ("SENTRY_DSN", "ftp://key@sentry.io/1", "does not look like https://key@host/number"),
        ("SENTRY_DSN", "https://key@sentry.io/x", "does not look like https://key@host/number"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "does not begin with http"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "always_on", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "less than or equal to 1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key@secret", "does not look like name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", 'x=key@secret,"', "does not look like name=value"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", "valid integer"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", "greater than or equal to 1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100", "greater than or equal to 512"),
    ],
)
def test_what_is_wrong_is_said(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings([TracingSettings])
    assert f"{name} is not usable" in str(refused.value)
    assert said in str(refused.value)
    assert "key@s" not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["api-key=key@secret==", "x-team=a, authorization=Bearer%20secret", "a=Basic secret"]
)
def test_headers_are_taken_as_opentelemetry_reads_them(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", value)
    settings = load_settings([TracingSettings])[TracingSettings]
    assert "secret" not in repr(settings)
    assert len(parse_env_headers(value, liberal=True)) == value.count(",") + 1
