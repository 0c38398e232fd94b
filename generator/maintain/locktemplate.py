"""The lock of a service with every pattern, turned into the template of every service's lock."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from collections.abc import Mapping
from itertools import groupby

from maintain.graph import Graph
from maintain.graph import Node
from maintain.graph import Section
from maintain.graph import Table
from maintain.graph import Wanted
from maintain.owners import Conditions
from maintain.owners import Owners
from perfgen.catalogue import Catalogue

_PACKAGE = "[[package]]\n"
_EXTRAS = "\n[package.optional-dependencies]\n"
_HEADINGS: tuple[tuple[str, Section], ...] = (
    ("dependencies = ", "dependencies"),
    ("[package.dev-dependencies]", "dev_dependencies"),
    ("[package.metadata]", "dependencies"),
    ("[package.metadata.requires-dev]", "dev_dependencies"),
)


def lock_template(lock: str, catalogue: Catalogue, core: Mapping[Section, Iterable[str]]) -> str:
    """The text of uv.lock.jinja: each package under the patterns that reach it.

    lock: the text of the uv.lock of a service with every pattern
    core: what a service without optional patterns requires, by section of its pyproject.toml
    """
    graph = Graph(lock)
    owners, conditions = Owners(graph, catalogue, core), Conditions(catalogue)
    head, *blocks = lock.split(_PACKAGE)
    pieces: list[tuple[str, str]] = []
    root = ""
    for package, block in zip(graph.packages, blocks, strict=True):
        # The blank line stands before a package, so that none is left over where it is off.
        text = "\n" + _PACKAGE + block.rstrip("\n") + "\n"
        if package is graph.root:
            root = _root(text, owners, conditions)
            continue
        condition = conditions(owners.reaching(Node(package["name"], package["version"])))
        pieces.append((condition, _with_extras(text, package, condition, owners, conditions)))
    # The service stands first: its place by name is known only when it has one.
    return head.rstrip("\n") + "\n" + root + "".join(_runs(pieces))


def _runs(pieces: list[tuple[str, str]]) -> Iterable[str]:
    """Neighbours under the same condition share one `if`."""
    for condition, run in groupby(pieces, key=lambda piece: piece[0]):
        yield _when(condition, "".join(text for _, text in run))


def _when(condition: str, text: str) -> str:
    return f"# <% if {condition} %>\n{text}# <% endif %>\n" if condition else text


def _root(text: str, owners: Owners, conditions: Conditions) -> str:
    """The service's own entry: its name, and each requirement under the patterns that ask for it."""
    pieces: list[tuple[str, str]] = []
    section: Section = "dependencies"
    for line in text.splitlines(keepends=True):
        section = next((s for start, s in _HEADINGS if line.startswith(start)), section)
        condition = ""
        if line.startswith("    { "):
            entry = tomllib.loads("entry = " + line.strip().rstrip(","))["entry"]
            condition = conditions(owners.asking(section, Wanted.entry(entry)))
        pieces.append((condition, line))
    return re.sub(r'(?m)^name = ".*"$', 'name = "<< project >>"', "".join(_runs(pieces)), count=1)


def _with_extras(
    text: str, package: Table, condition: str, owners: Owners, conditions: Conditions
) -> str:
    """The package's entry, with its extras only for those who ask for them."""
    before, heading, rest = text.partition(_EXTRAS)
    if not heading:
        return text
    asking = {
        extra: owners.reaching(Node(package["name"], package["version"], extra))
        for extra in package["optional-dependencies"]
    }
    whole = conditions(set().union(*asking.values()))

    def under_its_owners(match: re.Match[str]) -> str:
        own = conditions(asking[match["extra"]])
        return _when(own if own != whole else "", match[0])

    extras = re.sub(r"(?ms)^(?P<extra>[\w.-]+) = \[\n.*?^\]\n", under_its_owners, rest)
    return before + _when(whole if whole != condition else "", heading + extras)
