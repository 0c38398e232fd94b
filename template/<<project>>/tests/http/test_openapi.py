"""The API's document tells that every error is a problem document."""

from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from app.http.openapi import describe_errors


class Hat(BaseModel):
    size: int


@pytest.fixture
def document() -> dict[str, Any]:
    api = FastAPI()

    @api.post("/hats", responses={404: {"description": "There is no such head"}})
    async def make(hat: Hat) -> None: ...

    @api.get("/state", responses={503: {"model": Hat}})
    async def state() -> None: ...

    describe_errors(api)
    api.openapi()
    return api.openapi()


PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def test_every_error_is_a_problem_document(document: dict[str, Any]) -> None:
    responses = document["paths"]["/hats"]["post"]["responses"]
    assert {status: responses[status]["content"] for status in ("404", "422", "default")} == {
        "404": PROBLEM,
        "422": PROBLEM,
        "default": PROBLEM,
    }
    assert set(document["components"]["schemas"]) == {"Hat", "Problem"}


def test_an_answer_with_a_model_of_its_own_keeps_it(document: dict[str, Any]) -> None:
    content = document["paths"]["/state"]["get"]["responses"]["503"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Hat"}
