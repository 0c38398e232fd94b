"""How a pattern can be recognised in a service: what its manifest promises under `traces`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from perfgen.catalogue import Pattern
from tests.template.tree import Tree


@dataclass(frozen=True)
class Trace:
    """One thing to look for, in the files with certain endings (all when there are none)."""

    what: str
    expression: str
    suffixes: tuple[str, ...] = ()

    def found(self, tree: Tree) -> list[str]:
        """Every line of the service that shows it."""
        files = tree.prose_and_code.items()
        return [
            f"{name}:{number}: {line.strip()}"
            for name, text in files
            if not self.suffixes or name.endswith(self.suffixes)
            for number, line in enumerate(text.splitlines(), 1)
            if re.search(self.expression, line)
        ]


def of(pattern: Pattern) -> Iterator[Trace]:
    """What shows a pattern, and nothing else does: promised by its manifest, or by its name."""
    for module in pattern.traces["imports"]:
        imported = rf"^\s*(from|import) {re.escape(module)}\b"
        yield Trace(f"import {module}", imported, (".py",))
    for prefix in pattern.traces["environment"]:
        yield Trace(f"environment {prefix}", rf"\b{re.escape(prefix)}[A-Z]")
    for prefix in pattern.traces["metrics"]:
        yield Trace(f"metric {prefix}", rf"""["'`]{re.escape(prefix)}""")
    for name in pattern.traces["names"]:
        yield Trace(f"name {name}", rf"\b{re.escape(name)}\b")
    for requirement in pattern.dependencies + pattern.dev_dependencies:
        project = re.escape(requirement)
        yield Trace(f"requirement {requirement}", rf'"{project}"', ("pyproject.toml",))


def by_name(pattern: Pattern) -> Iterator[Trace]:
    """Mentions of a pattern's own folders, which must not be in a service without it."""
    name = re.escape(pattern.name)
    yield Trace("module", rf"\bapp\.{name}\b|\bfrom app import {name}\b|\bdev\.{name}\b")
    yield Trace("folder", rf"\b(app|tests|versions|components)/{name}\b|\bdev/{name}\.\w+\b")
    yield Trace("wiring", rf"^\s+{name}\.pattern,$", ("app/patterns.py",))
