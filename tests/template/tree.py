"""A rendered service as its files."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

LOCK = "uv.lock"
ANSWERS = ".copier-answers.yml"


@dataclass(frozen=True)
class Tree:
    """The folder of one rendered service. What tools leave behind there is not part of it."""

    path: Path

    @cached_property
    def files(self) -> dict[str, str]:
        """Every file by its path; all of them are text."""
        found = {}
        for folder, folders, names in os.walk(self.path):
            folders[:] = [name for name in folders if name not in (".git", "__pycache__")]
            for name in names:
                path = Path(folder, name)
                found[path.relative_to(self.path).as_posix()] = path.read_bytes().decode()
        return dict(sorted(found.items()))

    @cached_property
    def folders(self) -> set[str]:
        """Every folder by its path, those without files too."""
        inside = (Path(folder).relative_to(self.path) for folder, _, _ in os.walk(self.path))
        return {path.as_posix() for path in inside} - {"."}

    @property
    def prose_and_code(self) -> dict[str, str]:
        """The files that people write; the lock and the answers are apart."""
        return {name: text for name, text in self.files.items() if name not in (LOCK, ANSWERS)}

    def ending(self, *suffixes: str) -> dict[str, str]:
        """The files whose names end so."""
        return {name: text for name, text in self.files.items() if name.endswith(suffixes)}

    @property
    def project(self) -> dict[str, Any]:
        """pyproject.toml, read."""
        return tomllib.loads(self.files["pyproject.toml"])

    @property
    def answers(self) -> dict[str, Any]:
        """.copier-answers.yml, read."""
        read = yaml.safe_load(self.files[ANSWERS])
        assert isinstance(read, dict)
        return read


def shown(problems: list[str], most: int = 20) -> str:
    """The problems as an assertion's message, the first of many."""
    more = [f"... and {len(problems) - most} more"] if len(problems) > most else []
    return "\n".join(["", *problems[:most], *more])
