"""The API's document tells what the middleware asks for."""

from typing import Any

import pytest
from fastapi import FastAPI

from app.auth import describe_security

EITHER: list[dict[str, list[str]]] = [{"apiKey": []}, {"bearer": []}]


def document(*, public_reads: bool) -> dict[str, Any]:
    api = FastAPI()

    @api.get("/health")
    @api.get("/items")
    @api.post("/items")
    async def handler() -> None: ...

    describe_security(api, public_reads=public_reads)
    api.openapi()
    return api.openapi()


@pytest.mark.parametrize("public_reads", [True, False])
def test_both_schemes_are_described(public_reads: bool) -> None:
    told = document(public_reads=public_reads)
    assert told["security"] == EITHER
    schemes = told["components"]["securitySchemes"]
    assert schemes["apiKey"]["name"] == "X-API-Key"
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert told["paths"]["/health"]["get"]["security"] == []
    assert "401" not in told["paths"]["/health"]["get"]["responses"]
    assert {"200", "401", "403"} <= set(told["paths"]["/items"]["post"]["responses"])
    assert "security" not in told["paths"]["/items"]["post"], "the default holds"


def test_public_reads_need_nothing() -> None:
    assert document(public_reads=True)["paths"]["/items"]["get"]["security"] == [{}, *EITHER]
    assert "security" not in document(public_reads=False)["paths"]["/items"]["get"]


def test_what_is_open_needs_nothing() -> None:
    api = FastAPI()

    @api.get("/login")
    @api.post("/login")
    async def handler() -> None: ...

    describe_security(api, public_reads=False, open_routes={("POST", "/login")})
    operations = api.openapi()["paths"]["/login"]
    assert operations["post"]["security"] == []
    assert "security" not in operations["get"]
