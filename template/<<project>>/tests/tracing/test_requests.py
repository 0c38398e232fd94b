"""Each request is a span with its route's name, and nothing personal leaves the service."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi import Request
from structlog.testing import capture_logs

from app.http.errors import Unavailable
from app.http.logs import additions
from app.http.logs import log
from app.tracing import span
from app.tracing import traceparent
from app.tracing.spans import add_ids
from tests.conftest import KEY
from tests.http.asgi import call
from tests.tracing.conftest import ME
from tests.tracing.conftest import Open
from tests.tracing.conftest import Traced
from tests.tracing.ingest import Ingest

pytestmark = pytest.mark.anyio

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = (b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())
UNSAMPLED = (b"traceparent", f"00-{TRACE}-{PARENT}-00".encode())
# By this id, whatever the rate, a sampler would have the trace recorded.
LEAST = f"{1:032x}"
ALWAYS = (b"traceparent", f"00-{LEAST}-{PARENT}-01".encode())
# Named here, because the code around a failure is sent.
PASSWORD, MAIL, ADDRESS = "hunter2", "alice@example.org", "192.0.2.1"
AGENT, TENANT = "spy/1.0", "evil-tenant"


def add_routes(traced: Traced) -> None:
    """What the tests ask for."""

    @traced.api.get("/things/{thing}")
    async def thing(thing: str) -> str:
        with span("look", size=3):
            return traceparent() or ""

    @traced.api.post("/fails/{thing}")
    async def fails(thing: str, request: Request) -> None:
        raise LookupError(f"{thing} {(await request.body()).decode()}")

    @traced.api.get("/busy")
    async def busy() -> None:
        raise Unavailable("busy")

    @traced.api.get("/wrong")
    async def wrong() -> None:
        raise HTTPException(409)


async def test_a_request_and_a_span_of_our_own(open_service: Open, ingest: Ingest) -> None:
    async with open_service() as traced:
        add_routes(traced)
        answer = await call(traced.app, path="/things/7", headers=ME)
    [request], [look] = ingest.named("GET /things/{thing}"), ingest.named("look")
    assert (request.kind, request.parent_id, request.failed) == ("SERVER", "", False)
    assert request.attributes == {
        "http.request.method": "GET",
        "http.route": "/things/{thing}",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    assert request.resource["service.name"] == traced.api.title
    assert request.resource["deployment.environment.name"] == "test"
    assert (look.trace_id, look.parent_id) == (request.trace_id, request.span_id)
    assert look.attributes == {"size": 3}
    assert answer.json() == f"00-{look.trace_id}-{look.span_id}-01"


async def test_the_same_as_a_transaction(open_service: Open, ingest: Ingest) -> None:
    async with open_service() as traced:
        add_routes(traced)
        await call(traced.app, path="/things/7", headers=ME)
    [transaction] = ingest.transactions
    [request], [look] = ingest.named("GET /things/{thing}"), ingest.named("look")
    trace = transaction["contexts"]["trace"]
    assert transaction["transaction"] == "GET /things/{thing}"
    assert transaction["transaction_info"] == {"source": "route"}
    assert (trace["trace_id"], trace["span_id"]) == (request.trace_id, request.span_id)
    assert (trace["op"], trace["status"]) == ("http.server", "ok")
    below = {one["description"]: one for one in transaction["spans"]}
    assert below["look"]["span_id"] == look.span_id
    assert below["look"]["parent_span_id"] == request.span_id
    head = next(head["trace"] for head in ingest.heads if "trace" in head)
    assert head["trace_id"] == request.trace_id
    assert (head["public_key"], head["sample_rate"]) == ("publickey", "1")


@pytest.mark.parametrize("alone", ["SENTRY_DSN", "OTEL_EXPORTER_OTLP_ENDPOINT"])
async def test_either_backend_alone(open_service: Open, ingest: Ingest, alone: str) -> None:
    other = {"SENTRY_DSN": "OTEL_EXPORTER_OTLP_ENDPOINT"}.get(alone, "SENTRY_DSN")
    async with open_service(**{other: ""}) as traced:
        add_routes(traced)
        await call(traced.app, path="/things/7", headers=ME)
        await call(traced.app, "POST", "/fails/7", headers=ME)
    assert bool(ingest.spans) is (alone != "SENTRY_DSN")
    assert bool(ingest.transactions) is bool(ingest.errors) is (alone == "SENTRY_DSN")


async def test_the_trace_of_a_caller_goes_on(open_service: Open, ingest: Ingest) -> None:
    settings = {"OTEL_TRACES_SAMPLER_ARG": "0", "TRACING_TRUST_CALLERS": "true"}
    async with open_service(**settings) as traced:
        add_routes(traced)
        for caller in (CALLER, UNSAMPLED, (b"traceparent", b"00-zz-1-01")):
            answer = await call(traced.app, path="/things/7", headers=[*ME, caller])
        assert answer.json()[3:35] != TRACE
        assert answer.json()[-2:] == "00"
    [request] = ingest.named("GET /things/{thing}")
    assert (request.trace_id, request.parent_id) == (TRACE, PARENT)


async def test_a_caller_who_is_not_trusted_decides_nothing(
    open_service: Open, ingest: Ingest
) -> None:
    """Anybody, as long as the settings do not say otherwise."""
    async with open_service(OTEL_TRACES_SAMPLER_ARG="0") as traced:
        add_routes(traced)
        for caller in (CALLER, ALWAYS):
            answer = await call(traced.app, path="/things/7", headers=[*ME, caller])
            assert answer.json()[3:35] not in (TRACE, LEAST)
            await call(traced.app, path="/things/7", headers=[caller])
    assert (ingest.spans, ingest.transactions) == ([], [])


async def test_nobody_else_chooses_what_is_in_the_tenth(open_service: Open, ingest: Ingest) -> None:
    """Samplers go by the id of a trace: this one would be recorded at any rate."""
    async with open_service(OTEL_TRACES_SAMPLER_ARG="0.000001") as traced:
        add_routes(traced)
        for _ in range(50):
            await call(traced.app, path="/things/7", headers=[*ME, ALWAYS])
    assert ingest.spans == []


async def test_a_trace_of_our_own_is_linked_to_the_callers(
    open_service: Open, ingest: Ingest
) -> None:
    state = (b"tracestate", f"tenant={TENANT}".encode())
    async with open_service() as traced:
        add_routes(traced)
        for caller in ([CALLER, state], [UNSAMPLED], [(b"traceparent", b"00-zz-1-01")], []):
            await call(traced.app, path="/things/7", headers=[*ME, *caller])
    requests = ingest.named("GET /things/{thing}")
    assert [one.links for one in requests] == [(f"{TRACE}-{PARENT}",)] * 2 + [()] * 2
    assert TRACE not in {one.trace_id for one in requests}
    assert {one.parent_id for one in requests} == {""}


async def test_refusals_and_failures(open_service: Open, ingest: Ingest) -> None:
    async with open_service() as traced:
        add_routes(traced)
        await call(traced.app, path="/things/7")
        await call(traced.app, path="/nowhere/7", headers=ME)
        await call(traced.app, path="/wrong", headers=ME)
        await call(traced.app, path="/busy", headers=ME)
        await call(traced.app, "POST", "/fails/7", headers=ME)
        await call(traced.app, "BREW", "/wrong", headers=ME)
    found = {
        one.name: (one.attributes["http.response.status_code"], one.attributes.get("error.type"))
        for one in ingest.spans
        if one.kind == "SERVER" and one.attributes["http.response.status_code"] != 401
    }
    assert found == {
        "GET": (404, None),
        "GET /wrong": (409, None),
        "GET /busy": (503, "503"),
        "POST /fails/{thing}": (500, "LookupError"),
        "HTTP /wrong": (405, None),
    }
    assert {one.name for one in ingest.spans if one.failed} == {"GET /busy", "POST /fails/{thing}"}
    [refused] = [s for s in ingest.spans if s.attributes.get("http.response.status_code") == 401]
    assert refused.name == "GET"


async def test_health_is_not_traced(open_service: Open, ingest: Ingest) -> None:
    """Nor part of the request before it on the same connection, whose trace stays for its log."""
    async with open_service() as traced:
        add_routes(traced)
        await call(traced.app, path="/things/7", headers=ME)
        assert traceparent()
        await call(traced.app, path="/health")
        assert traceparent() is None
    assert {one.name for one in ingest.spans if one.kind == "SERVER"} == {"GET /things/{thing}"}


async def test_a_failure_is_an_event_with_the_trace_also_when_that_is_not_sampled(
    open_service: Open, ingest: Ingest
) -> None:
    settings = {"OTEL_TRACES_SAMPLER_ARG": "0", "TRACING_TRUST_CALLERS": "true"}
    async with open_service(**settings) as traced:
        add_routes(traced)
        await call(traced.app, "POST", "/fails/7", headers=[*ME, UNSAMPLED])
        await call(traced.app, path="/busy", headers=[*ME, UNSAMPLED])
    assert (ingest.transactions, ingest.spans) == ([], [])
    [event] = ingest.errors
    assert event["contexts"]["trace"]["trace_id"] == TRACE
    assert event["transaction"] == "POST /fails/{thing}"
    [error] = event["exception"]["values"]
    assert (error["type"], error["value"], error["mechanism"]["handled"]) == (
        "LookupError",
        "",
        False,
    )
    frame = error["stacktrace"]["frames"][-1]
    assert frame["function"] == "fails"
    assert "vars" not in frame
    assert event["environment"] == "test"


async def test_a_flood_of_failures_is_not_a_flood_of_events(
    open_service: Open, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("app.tracing.sentry.monotonic", lambda: now)
    async with open_service() as traced:
        add_routes(traced)
        for _ in range(40):
            await call(traced.app, "POST", "/fails/7", headers=ME)
        now += 1
        await call(traced.app, "POST", "/fails/7", headers=ME)
    assert len(ingest.errors) == 21


async def test_lines_of_the_log_have_the_ids(open_service: Open, ingest: Ingest) -> None:
    async with open_service() as traced:
        add_routes(traced)
        assert add_ids in additions

        @traced.api.get("/logs")
        async def logs() -> None:
            log.info("said")

        with capture_logs([_with_ids]) as lines:
            await call(traced.app, path="/logs", headers=ME)
    [request] = ingest.named("GET /logs")
    assert [line["event"] for line in lines] == ["said", "request"]
    assert {(line["trace_id"], line["span_id"]) for line in lines} == {
        (request.trace_id, request.span_id)
    }
    assert add_ids not in additions


def _with_ids(_: Any, __: str, event: Any) -> Any:
    add_ids(event)
    return event


async def test_what_is_personal_is_not_sent(open_service: Open, ingest: Ingest) -> None:
    """Looked for in every byte that both backends were sent, of answers good and bad."""
    headers = [
        (b"authorization", f"Bearer {KEY}".encode()),
        (b"cookie", f"session={PASSWORD}".encode()),
        (b"user-agent", AGENT.encode()),
        (b"x-forwarded-for", ADDRESS.encode()),
        (b"baggage", f"tenant={TENANT}".encode()),
        (b"content-type", b"application/json"),
        (b"referer", f"http://x/?q={PASSWORD}".encode()),
        CALLER,
    ]
    async with open_service(TRACING_TRUST_CALLERS="true") as traced:
        add_routes(traced)

        @traced.api.post("/chained")
        async def chained(request: Request) -> None:
            password = PASSWORD
            try:
                raise ValueError(f"{MAIL} has no {password}")
            except ValueError as error:
                raise RuntimeError((await request.body()).decode()) from error

        body = json.dumps({"password": PASSWORD, "email": MAIL}).encode()
        for path in (f"/fails/{MAIL}", "/chained", f"/nowhere/{MAIL}"):
            await call(traced.app, "POST", path, headers, [body])
        await call(traced.app, path=f"/things/{MAIL}", headers=headers)
    assert len(ingest.errors) == 2
    assert len(ingest.transactions) == 4
    for told in ("LookupError", "RuntimeError", "ValueError", "/fails/{thing}", TRACE):
        assert told.encode() in ingest.raw
    for secret in (PASSWORD, MAIL, ADDRESS, AGENT, TENANT, KEY):
        assert secret.encode() not in ingest.raw, secret


async def test_what_errors_say_is_sent_when_asked_for(open_service: Open, ingest: Ingest) -> None:
    async with open_service(TRACING_ERROR_MESSAGES="true") as traced:
        add_routes(traced)
        await call(traced.app, "POST", "/fails/7", headers=ME, body=[PASSWORD.encode()])
    assert ingest.errors[0]["exception"]["values"][0]["value"] == f"7 {PASSWORD}"
    assert ingest.named("POST /fails/{thing}")[0].events == ("exception",)
