"""A new pattern, added to a copy of the template as CONTRIBUTING says."""

from __future__ import annotations

from pathlib import Path

MANIFEST = """\
name: {name}
title: Hello
help: greets whoever asks
section: ""
kind: plugin
core: false
presets: [everything]
requires: []
formerly: [{formerly}]
dependencies: []
dev_dependencies: []
servers: []
files: []
traces: {{imports: [], environment: [], metrics: [], names: [Good day]}}
"""
CODE = '''\
"""Greets whoever asks."""

from fastapi import APIRouter

from app.pattern import Pattern
from app.service import Service

GREETING = "Good day"


def routes(router: APIRouter, _: Service) -> None:
    """GET /hello."""

    @router.get("/hello")
    async def hello() -> str:
        return GREETING


pattern = Pattern(name="{name}", routes=routes)
'''
TEST = '''\
"""It greets."""

import httpx2
import pytest

pytestmark = pytest.mark.anyio


async def test_it_greets(client: httpx2.AsyncClient) -> None:
    """Whoever has a key."""
    assert (await client.get("/hello")).json() == "Good day"
'''
README = """\
# {name}

Greets whoever asks, at `GET /hello`.
"""


def add(template: Path, name: str = "hello", formerly: str = "") -> set[str]:
    """Add the pattern to the template; the paths of the files that were needed."""
    [service] = (template / "template").iterdir()
    files = {
        template / "patterns" / f"{name}.yml": MANIFEST.format(name=name, formerly=formerly),
        service / "app" / name / "__init__.py": CODE.format(name=name),
        service / "app" / name / "README.md": README.format(name=name),
        service / "tests" / name / "__init__.py": "",
        service / "tests" / name / f"test_{name}.py": TEST,
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return {path.relative_to(template).as_posix() for path in files}
