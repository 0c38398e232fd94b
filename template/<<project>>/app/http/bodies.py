"""The JSON bodies of hot routes, checked by their model without FastAPI's detour (30 µs)."""

from typing import Any

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.requests import Request

_BOM = b"\xef\xbb\xbf"  # some clients send one; no JSON parser has to take it

# PostgreSQL's text cannot hold the character NUL, which JSON can only write as this. To look for it
# once is a third less than a pattern for each text.
_NUL = b"\\u0000"
WITHOUT_NUL = "^[^\\x00]*$"

# A text that has one of these has a form of its own.
_OTHERWISE_BOUND = frozenset({"pattern", "format", "enum", "const"})

# Errors in one body that are looked at.
MOST_TOLD = 100


class Body[M: BaseModel]:
    """A body that is `model` as JSON, without the character NUL.

    NEW_HAT = Body(NewHat)

    @api.post("/hats", openapi_extra=NEW_HAT.documented)
    async def create_hat(request: Request) -> Response:
        hat = await NEW_HAT.of(request)

    model: TypeError if it contains itself, since the API's document has its schema in one piece
    """

    def __init__(self, model: type[M]) -> None:
        self._parse = model.model_validate_json
        schema = model.model_json_schema()
        content = {"application/json": {"schema": _whole(schema, schema.pop("$defs", {}))}}
        self.documented: dict[str, Any] = {
            "requestBody": {"required": True, "content": content},
            "responses": {
                "415": {"description": "Unsupported Media Type"},
                "422": {"description": "Validation Error"},
            },
        }

    async def of(self, request: Request) -> M:
        """The body of a request; answered with 415 or 422 when it is not as it should be."""
        if not _is_json(request.scope["headers"]):
            raise HTTPException(415, "Send the body as application/json.")
        try:
            body = (await request.body()).removeprefix(_BOM)
        except ClientDisconnect:
            raise HTTPException(400, "The body ended early.") from None
        if _has_nul(body):
            error = {"type": "nul", "loc": ("body",), "msg": "Text may not have the character NUL"}
            raise RequestValidationError([error])
        try:
            return self._parse(body)
        except ValidationError as error:
            raise RequestValidationError(_told(error)) from None


def _whole(schema: Any, definitions: dict[str, Any], within: tuple[str, ...] = ()) -> Any:
    """The schema with what it refers to in place of each reference."""
    if isinstance(schema, list):
        return [_whole(one, definitions, within) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        name = reference.removeprefix("#/$defs/")
        if name in within:
            raise TypeError(f"{name} contains itself: let FastAPI read this body.")
        schema = definitions[name] | {k: v for k, v in schema.items() if k != "$ref"}
        within = (*within, name)
    whole = {name: _whole(one, definitions, within) for name, one in schema.items()}
    if whole.get("type") == "string" and whole.keys().isdisjoint(_OTHERWISE_BOUND):
        whole["pattern"] = WITHOUT_NUL
    return whole


def _has_nul(body: bytes) -> bool:
    # one byte is found sooner than six; of two backslashes, the first makes the second a character
    return b"\\" in body and _NUL in body and _NUL in body.replace(rb"\\", b"")


def _told(error: ValidationError) -> list[dict[str, Any]]:
    """What is wrong with a body, or only how much is when that is too much to be told."""
    count = error.error_count()
    if count > MOST_TOLD:
        # a body of 1 MiB may have 130,000: to list them takes the time and memory of many requests
        return [{"type": "too_many", "loc": ("body",), "msg": f"There are {count} errors"}]
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [{**one, "loc": ("body", *one["loc"])} for one in found]


def _is_json(headers: list[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        if name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
            return kind == b"application/json" or (
                kind.startswith(b"application/") and kind.endswith(b"+json")
            )
    return False
