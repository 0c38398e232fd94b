"""Whose is a package: which patterns bring it into a service?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Set
from dataclasses import dataclass

from maintain.graph import SECTIONS
from maintain.graph import Graph
from maintain.graph import Node
from maintain.graph import Section
from maintain.graph import Wanted
from perfgen.catalogue import Catalogue

CORE = ""  # the owner of what every service has


@dataclass(frozen=True)
class Conditions:
    """Turns owners into what the template asks: `'cache' in enabled or 'queue' in enabled`."""

    catalogue: Catalogue

    def __call__(self, owners: Set[str]) -> str:
        """The condition under which one of these patterns is there; nothing for the core.

        A pattern that requires another owner is left out: where it is, the other is too.
        """
        if CORE in owners:
            return ""
        needed = [o for o in sorted(owners) if not owners & set(self.catalogue.requirements(o))]
        return " or ".join(f"'{name}' in enabled" for name in needed)


class Owners:
    """Who asks for a requirement, and who reaches a package of the lock."""

    def __init__(
        self, graph: Graph, catalogue: Catalogue, core: Mapping[Section, Iterable[str]]
    ) -> None:
        """`core` is what a service without optional patterns requires."""
        self._asked: list[tuple[str, Section, Wanted]] = [
            (owner, section, Wanted.parse(text))
            for section in SECTIONS
            for owner, texts in [
                (CORE, core[section]),
                *((p.name, getattr(p, section)) for p in catalogue if not p.core),
            ]
            for text in texts
        ]
        self._reached: dict[Node, set[str]] = defaultdict(set)
        for section, wanted, nodes in graph.direct():
            reached = graph.reach(nodes)
            for owner in self.asking(section, wanted):
                for node in reached:
                    self._reached[node].add(owner)

    def asking(self, section: Section, entry: Wanted) -> set[str]:
        """Who asks for this entry of the service in this section of its requirements."""
        owners = {
            owner
            for owner, place, wanted in self._asked
            if place == section and wanted.is_meant_by(entry)
        }
        if not owners:
            raise LookupError(f"neither a manifest nor pyproject.toml asks for {entry.name}")
        return owners

    def reaching(self, node: Node) -> set[str]:
        """Who brings this package, or this extra of it, into a service."""
        if not self._reached[node]:
            raise LookupError(f"nothing reaches {node.name} {node.version} {node.extra}")
        return self._reached[node]
