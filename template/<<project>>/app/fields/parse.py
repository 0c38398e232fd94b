"""The parser of `id,name,owner(name)`: one pass over the text, and nothing but names comes out."""

from __future__ import annotations

import re

from starlette.exceptions import HTTPException

from app.fields.settings import FieldsSettings

# A name with what is asked for within it; None is everything.
type Tree = dict[str, Tree | None]

_TOKEN = re.compile(r"[A-Za-z0-9_]+|[^A-Za-z0-9_]")


class BadFields(HTTPException):
    """`fields` cannot be read, or names what there is not. Answered with 400."""

    def __init__(self, problem: str) -> None:
        super().__init__(400, f"fields: {problem}.")


def parse(text: str, bounds: FieldsSettings) -> Tree:
    """The names in a text, each once; BadFields when it is not of this form, or too large.

    fields = field *("," field)
    field = name ["(" fields ")"]
    """
    if len(text) > bounds.max_length:
        raise BadFields(f"more than {bounds.max_length} characters")
    parser = _Parser(bounds)
    for token in _TOKEN.finditer(text):
        if not parser.take(token[0]):
            raise BadFields(f"character {token.start() + 1} is not expected there")
    return parser.end()


class _Parser:
    """Takes token by token; a name is entered when what follows it tells whether it has others
    within it."""

    def __init__(self, bounds: FieldsSettings) -> None:
        self._bounds = bounds
        self._levels: list[Tree] = [{}]
        self._count = 0
        self._name = ""  # not yet entered
        self._closed = False  # by a bracket just now

    def take(self, token: str) -> bool:
        """Whether the token may stand there."""
        complete = bool(self._name) or self._closed
        match token:
            case "(" if self._name:
                self._open()
            case ",":
                self._enter(None)
                self._closed = False
            case ")" if complete and len(self._levels) > 1:
                self._enter(None)
                self._levels.pop()
                self._closed = True
            case "(" | ")":
                return False
            case _:
                return not complete and self._begin(token)
        return complete

    def end(self) -> Tree:
        """All names."""
        if not (self._name or self._closed) or len(self._levels) > 1:
            raise BadFields("it ends where a name or a bracket is missing")
        self._enter(None)
        return self._levels[0]

    def _begin(self, name: str) -> bool:
        self._count += 1
        if self._count > self._bounds.max_count:
            raise BadFields(f"more than {self._bounds.max_count} names")
        self._name = name
        return name[0] == "_" or (name.isascii() and name[0].isalnum())

    def _open(self) -> None:
        inner: Tree = {}
        self._enter(inner)
        self._levels.append(inner)
        if len(self._levels) > self._bounds.max_depth:
            raise BadFields(f"more than {self._bounds.max_depth} levels")

    def _enter(self, inner: Tree | None) -> None:
        if self._name:
            if self._name in self._levels[-1]:
                raise BadFields(f"{self._name[:64]} is named twice")
            self._levels[-1][self._name] = inner
            self._name = ""
