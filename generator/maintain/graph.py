"""A uv.lock as a graph: what does a requirement reach?"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from typing import Literal
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

Table = dict[str, Any]  # what TOML calls a table
Section = Literal["dependencies", "dev_dependencies"]  # as the manifests name them
SECTIONS: tuple[Section, ...] = ("dependencies", "dev_dependencies")


class Node(NamedTuple):
    """One package of the lock, or (with `extra`) one of its extras."""

    name: str
    version: str
    extra: str = ""


@dataclass(frozen=True)
class Wanted:
    """A requirement, comparable with the entries of a lock: `redis[hiredis]>=8`."""

    name: str
    extras: frozenset[str]
    specifier: str

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """Read what stands in a pyproject.toml or a manifest."""
        read = Requirement(text)
        return cls(canonicalize_name(read.name), frozenset(read.extras), str(read.specifier))

    @classmethod
    def entry(cls, entry: Table) -> Wanted:
        """Read what stands in the lock's entry of the service; only its metadata has specifiers."""
        extras = frozenset(entry.get("extras") or entry.get("extra") or ())
        specifier = Requirement(entry["name"] + entry.get("specifier", "")).specifier
        return cls(entry["name"], extras, str(specifier))

    def is_meant_by(self, entry: Wanted) -> bool:
        """Whether that entry of the lock can stand for this requirement."""
        same = (self.name, self.extras) == (entry.name, entry.extras)
        return same and entry.specifier in ("", self.specifier)


class Graph:
    """The packages of a lock and what each depends on."""

    def __init__(self, text: str) -> None:
        self.packages: list[Table] = tomllib.loads(text)["package"]
        self.root = next(p for p in self.packages if "virtual" in p["source"])
        self._named: dict[str, list[Table]] = defaultdict(list)
        for package in self.packages:
            self._named[package["name"]].append(package)

    def direct(self) -> Iterator[tuple[Section, Wanted, list[Node]]]:
        """What the service itself asks for, with the nodes each of it names."""
        for entry in self.root["dependencies"]:
            yield "dependencies", Wanted.entry(entry), list(self._targets(entry))
        for entry in self.root["dev-dependencies"]["dev"]:
            yield "dev_dependencies", Wanted.entry(entry), list(self._targets(entry))

    def reach(self, starts: Iterable[Node]) -> set[Node]:
        """Everything that is installed for these nodes, themselves included."""
        seen: set[Node] = set()
        todo = list(starts)
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo.extend(self._edges(node))
        return seen

    def _edges(self, node: Node) -> Iterator[Node]:
        package = next(p for p in self._named[node.name] if p["version"] == node.version)
        entries = package.get("dependencies", [])
        if node.extra:
            yield Node(node.name, node.version)
            entries = package.get("optional-dependencies", {}).get(node.extra, [])
        for entry in entries:
            yield from self._targets(entry)

    def _targets(self, entry: Table) -> Iterator[Node]:
        for package in self._named[entry["name"]]:
            if entry.get("version", package["version"]) == package["version"]:
                for extra in entry.get("extra", [""]):
                    yield Node(package["name"], package["version"], extra)
