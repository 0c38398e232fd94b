"""`.env.example` names every setting and its default, and nothing else."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from pydantic_core import PydanticUndefined

from app.patterns import PATTERNS
from app.settings import CoreSettings
from app.settings import Settings

EXAMPLE = Path(__file__).parents[1] / ".env.example"


def written() -> dict[str, str]:
    """What the file says."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    settings = (line[1:].partition("=") for line in lines if line[1:2].isalpha())
    return {name: value for name, _, value in settings}


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
    assert written() == dict(defaults())
