"""What clients have asked for, read once and remembered within bounds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import lru_cache

from app.fields.parse import BadFields
from app.fields.parse import parse
from app.fields.settings import FieldsSettings
from app.fields.shape import Selection
from app.fields.shape import Shape


class Fields(AbstractAsyncContextManager["Fields"]):
    """Reads `fields`. What it remembers is bounded in number and size, whatever is asked for."""

    def __init__(self, settings: FieldsSettings) -> None:
        self.settings = settings

        def select(shape: Shape, text: str) -> Selection:
            return shape.select(parse(text, settings))

        self._read = self.remembered(select)

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    def read(self, shape: Shape, text: str) -> Selection:
        """What this text selects of the shape, or BadFields."""
        if len(text) > self.settings.max_length:  # before it is looked for among the others
            raise BadFields(f"more than {self.settings.max_length} characters")
        return self._read(shape, text)

    def remembered[**P, T](self, make: Callable[P, T]) -> Callable[P, T]:
        """`make`, whose results are kept for the FIELDS_MAX_STATEMENTS that were used last."""
        return lru_cache(self.settings.max_statements)(make)  # type: ignore[return-value]
