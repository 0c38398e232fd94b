"""What `bench/*.toml` ask for: the load, the routes, and their objectives."""

from __future__ import annotations

import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Annotated
from typing import Any
from typing import Literal
from typing import Self
from uuid import UUID

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import ValidationError
from pydantic import model_validator
from pydantic_core import ErrorDetails

FILE = "objectives.toml"  # the one that holds the load; those beside it hold routes
GIVEN = {"rate": "RATE", "duration_s": "DURATION"}  # the variables of `make bench`
UNIQUE = "unique"  # `{unique}` is another UUID in each request
_PLACE = re.compile(r"\{(\w+)\}")

type Status = Annotated[int, Field(ge=200, le=599)]


class ObjectivesError(Exception):
    """The objectives are not usable; `str()` is a sentence that names the key."""


class _Table(BaseModel):
    """A table of the files: no unknown keys, and no text where a number is wanted."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Load(_Table):
    """How many requests a second arrive, and for how long. Times are in seconds."""

    rate: float = Field(gt=0, le=100_000)
    duration_s: float = Field(gt=0, le=86_400)
    warm_up_s: float = Field(default=3, ge=0, le=3_600)  # under the same load, not measured
    timeout_s: float = Field(default=10, gt=0, le=600)  # after which an answer is none

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.rate * self.duration_s < 1:
            raise ValueError("rate times duration_s is less than one request")
        return self


class Span(_Table):
    """The integers from first to last."""

    first: int
    last: int

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.last < self.first:
            raise ValueError("last is less than first")
        return self


class Route(_Table):
    """Requests of one kind, and what is to hold for them."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str = Field(pattern=r"^/[\x21-\x7e]*$")
    share: float = Field(gt=0)  # relative to the shares of the others
    values: dict[str, Span | list[str | int]] = {}
    body: str | None = None
    headers: dict[str, Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")]] = {}
    expect: Annotated[list[Status], Field(min_length=1)] | None = None  # none: 200 to 299
    p95_ms: float | None = Field(default=None, gt=0)
    p99_ms: float = Field(gt=0)
    errors: float = Field(ge=0, le=1)  # the share of other answers, and of none

    @property
    def name(self) -> str:
        """The route as people write it."""
        return f"{self.method} {self.path}"

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"

    def is_good(self, status: int) -> bool:
        """Whether that is the answer one expects."""
        return status in self.expect if self.expect else 200 <= status < 300

    def request(self, random: Random) -> tuple[str, dict[str, str], str]:
        """The path, the headers and the body of one request, with values at random."""
        chosen = {UNIQUE: str(UUID(int=random.getrandbits(128), version=4))}
        for name, among in self.values.items():
            numbers = range(among.first, among.last + 1) if isinstance(among, Span) else among
            chosen[name] = str(random.choice(numbers))

        def filled(text: str) -> str:
            return _PLACE.sub(lambda found: chosen.get(found[1], found[0]), text)

        headers = {name: filled(value) for name, value in self.headers.items()}
        return filled(self.path), headers, filled(self.body or "")

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        texts = [self.path, self.body or "", *self.headers.values()]
        used = {name for text in texts for name in _PLACE.findall(text)}
        for name, among in self.values.items():
            if name not in used:
                raise ValueError(f"values.{name} is used nowhere")
            if among == []:
                raise ValueError(f"values.{name} is empty")
        for name in _PLACE.findall(self.path):
            if name not in self.values and name != UNIQUE:
                raise ValueError(f"path has {{{name}}}, and values has no {name}")
        if self.p95_ms and self.p95_ms > self.p99_ms:
            raise ValueError("p95_ms is more than p99_ms, which can never matter")
        self._check_body()
        return self

    def _check_body(self) -> None:
        if self.body is None:
            return
        if not self.writes:
            raise ValueError("body is not for GET")
        if "content-type" not in map(str.lower, self.headers):
            try:
                json.loads(self.request(Random(0))[2])  # noqa: S311
            except ValueError:
                raise ValueError("body is not JSON, and headers has no Content-Type") from None


class Objectives(_Table):
    """All of it."""

    load: Load
    routes: list[Route] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        for one, other in pairwise(sorted(route.name for route in self.routes)):
            if one == other:
                raise ValueError(f"{one} is there twice")
        return self


def read(folder: Path, **load: float | str | None) -> Objectives:
    """The objectives in `folder`, with those parts of the load that are given in their place.

    Raises ObjectivesError.
    """
    document = _parsed(folder / FILE)
    for path in sorted(folder.glob("*.toml")):
        if path.name != FILE:
            more = _parsed(path)
            _validated(path, _Routes, more)
            document["routes"] = [*document.get("routes", []), *more["routes"]]
    changed = {name: value for name, value in load.items() if value is not None}
    if isinstance(own := document.get("load"), dict):
        for name, value in changed.items():
            _check_given(name, value, own | {name: value})
        document["load"] = own | changed
    return _validated(folder / FILE, Objectives, document)


def _check_given(name: str, value: float | str, load: dict[str, Any]) -> None:
    """ObjectivesError, which names the variable, when it is this that makes the load unusable."""
    try:
        Load.model_validate(load)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_context=False):
            if one["loc"] == (name,):
                raise ObjectivesError(f"{GIVEN[name]}={value}: {one['msg']}.") from None


class _Routes(_Table):
    routes: list[Route]


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ObjectivesError(f"{_shown(path)} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ObjectivesError(f"{_shown(path)} cannot be read: {error}.") from None


def _validated[T: BaseModel](path: Path, kind: type[T], document: dict[str, Any]) -> T:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False, include_context=False)
        raise ObjectivesError(f"{_shown(path)}: {_sentence(first, document)}.") from None


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _sentence(error: ErrorDetails, document: dict[str, Any]) -> str:
    """`routes 2 (GET /items): p98_ms is no key there`."""
    place = list(error["loc"])
    where = ""
    if place[:1] == ["routes"] and len(place) > 1 and isinstance(place[1], int):
        route = document["routes"][place[1]]
        name = f" ({route.get('method')} {route.get('path')})" if isinstance(route, dict) else ""
        where = f"routes {place[1] + 1}{name}: "
        place = place[2:]
    key = ".".join(str(part) for part in place if "[" not in str(part))  # no names of types
    says = {"extra_forbidden": "is no key there", "missing": "is missing"}.get(error["type"])
    if says:
        return f"{where}{key} {says}"
    said = error["msg"].removeprefix("Value error, ")
    said = said if error["type"] == "value_error" else said[0].lower() + said[1:]
    return f"{where}{key}: {said}" if key else f"{where}{said}"
