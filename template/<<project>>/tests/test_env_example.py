"""`.env.example` names every setting and its default; a value that is set there is yours."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from pydantic_core import PydanticUndefined

from app.patterns import PATTERNS
from app.settings import CoreSettings
from app.settings import Settings

EXAMPLE = Path(__file__).parents[1] / ".env.example"


def written(text: str) -> tuple[dict[str, str], set[str]]:
    """The settings in comments with their values, and the names of those that are set."""
    described, given = {}, set()
    for line in text.splitlines():
        name, sign, value = line.removeprefix("#").partition("=")
        if not sign or not name.isidentifier():
            continue
        if line.startswith("#"):
            described[name] = value
        else:
            given.add(name)
    return described, given


def defaults() -> Iterator[tuple[str, str]]:
    """What the code says."""
    kinds: list[type[Settings]] = [CoreSettings, *(p.settings for p in PATTERNS if p.settings)]
    for kind in kinds:
        prefix = kind.model_config.get("env_prefix", "")
        for name, field in kind.model_fields.items():
            yield (prefix + name).upper(), _text(field.default)


def _text(default: object) -> str:
    if default in (None, [], PydanticUndefined):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:g}"
    return str(default.value if isinstance(default, Enum) else default)


def test_every_setting_is_described() -> None:
    described, given = written(EXAMPLE.read_text(encoding="utf-8"))
    expected = {name: value for name, value in defaults() if name not in given}
    assert described == expected


def test_a_value_that_is_set_is_no_description() -> None:
    text = "# The port.\n#PORT=8000\nLOG_LEVEL=debug\n\n# A = B\n"
    assert written(text) == ({"PORT": "8000"}, {"LOG_LEVEL"})
