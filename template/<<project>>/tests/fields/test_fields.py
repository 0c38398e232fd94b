"""What is remembered of what clients ask for is bounded; settings that cannot be are refused."""

from __future__ import annotations

from typing import Any

import pytest

from app.fields import BadFields
from app.fields import Fields
from app.fields import FieldsSettings
from app.fields import Selection
from app.fields import pattern
from app.service import Service
from app.settings import SettingsError
from tests.fields.conftest import HAT


def test_a_selection_is_made_once_while_it_is_among_the_last() -> None:
    fields = Fields(FieldsSettings(max_statements=3))
    made: list[str] = []

    def make(selection: Selection) -> str:
        made.append(",".join(selection.names))
        return made[-1]

    plan = fields.remembered(make)
    for text in ("id", "name", "name,id", "id,name", "id"):
        plan(fields.read(HAT, text))
    assert made == ["id", "name", "id,name"]
    plan(fields.read(HAT, "maker"))
    plan(fields.read(HAT, "name"))
    assert made == ["id", "name", "id,name", "", "name"]


def test_memory_is_bounded_whatever_is_asked_for() -> None:
    fields = Fields(FieldsSettings(max_statements=10, max_length=60))

    def make(selection: Selection) -> object:
        return object()

    plan: Any = fields.remembered(make)
    read: Any = fields._read
    for number in range(2**10):
        names = [name for bit, name in enumerate(("id", "name")) if number >> bit & 1]
        parts = [f"maker({'id' if number & 4 else 'name'})"] if number & 8 else []
        text = ",".join([*names, *parts] or ["mender"])
        plan(fields.read(HAT, text))
    assert plan.cache_info().currsize <= 10
    kept = read.cache_info().currsize
    assert kept <= 10
    with pytest.raises(BadFields):
        fields.read(HAT, "x" * 61)
    with pytest.raises(BadFields):
        fields.read(HAT, "x")
    assert read.cache_info().currsize == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_LENGTH", "0"),
        ("MAX_LENGTH", "8001"),
        ("MAX_COUNT", "0"),
        ("MAX_COUNT", "1001"),
        ("MAX_DEPTH", "0"),
        ("MAX_DEPTH", "11"),
        ("MAX_STATEMENTS", "0"),
        ("MAX_STATEMENTS", "10001"),
    ],
)
def test_bounds_have_bounds(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setenv(f"FIELDS_{name}", value)
    with pytest.raises(SettingsError, match=f"FIELDS_{name} is not usable"):
        Service([pattern])
