"""The patterns, as their manifests in `patterns/` tell them."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perfgen.errors import Fault
from perfgen.errors import Refused
from perfgen.errors import nearest


@dataclass(frozen=True)
class Pattern:
    """One manifest."""

    name: str
    title: str
    help: str
    section: str
    kind: str
    core: bool
    presets: tuple[str, ...]
    requires: tuple[str, ...]
    formerly: tuple[str, ...]
    dependencies: tuple[str, ...]
    dev_dependencies: tuple[str, ...]
    servers: tuple[str, ...]
    files: tuple[str, ...]
    traces: Mapping[str, list[str]]
    processes: Mapping[str, int]

    @property
    def asked(self) -> bool:
        """Whether the menu has it: the core always comes, and a pattern without a title comes when required."""
        return bool(self.title) and not self.core


class Catalogue:
    """All patterns of one template, by name."""

    def __init__(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        patterns = (_pattern(manifest) for manifest in manifests)
        self.patterns = {
            pattern.name: pattern for pattern in sorted(patterns, key=lambda pattern: pattern.name)
        }

    def __iter__(self) -> Iterator[Pattern]:
        return iter(self.patterns.values())

    @property
    def menu(self) -> list[str]:
        """The names that can be asked for."""
        return [pattern.name for pattern in self if pattern.asked]

    @property
    def core(self) -> list[str]:
        """The names that every service has."""
        return [pattern.name for pattern in self if pattern.core]

    @property
    def presets(self) -> dict[str, list[str]]:
        """Every preset with the patterns it asks for, the smallest first."""
        names = {preset for pattern in self for preset in pattern.presets}
        members = {name: [p.name for p in self if p.asked and name in p.presets] for name in names}
        return dict(
            sorted(
                members.items(), key=lambda item: (len(item[1]), item[0] == "everything", item[0])
            )
        )

    def get(self, name: str) -> Pattern:
        """The pattern of that name, or of that former name; refused with the nearest name otherwise."""
        if name in self.patterns:
            return self.patterns[name]
        for pattern in self:
            if name in pattern.formerly:
                return pattern
        raise Refused(
            f"There is no pattern {name!r}: {nearest(name, self.patterns)}",
            "See `perfgen patterns`.",
        )

    def requirements(self, name: str) -> list[str]:
        """All that a pattern needs, directly or not, in the order they start."""
        found: list[str] = []
        for required in self.patterns[name].requires:
            found += [*self.requirements(required), required]
        return list(dict.fromkeys(found))

    def dependents(self, name: str) -> list[str]:
        """The patterns that need this one, directly or not."""
        return [pattern.name for pattern in self if name in self.requirements(pattern.name)]

    def enabled(self, asked: Iterable[str]) -> list[str]:
        """The core, then what was asked for with all that it requires, requirements first.

        The same steps as in `copier.yml`, so that the order is the same.
        """
        names = list(asked)
        for _ in self.patterns:
            required = [one for name in names for one in self.patterns[name].requires]
            names = list(dict.fromkeys(required + names))
        return list(dict.fromkeys(self.core + names))


def _pattern(manifest: Mapping[str, Any]) -> Pattern:
    fields: dict[str, Any] = {}
    for name, kind in _KINDS.items():
        value = manifest.get(name) if isinstance(manifest, Mapping) else None
        if not isinstance(value, kind):
            raise Fault(f"A manifest in patterns/ lacks or misspells {name}: {manifest}.")
        fields[name] = tuple(value) if isinstance(value, list) else value
    # what runs beside the api, with the most instances; few have any
    return Pattern(**fields, processes=manifest.get("processes", {}))


_KINDS: dict[str, type] = {
    **dict.fromkeys(("name", "title", "help", "section", "kind"), str),
    "core": bool,
    **dict.fromkeys(
        (
            "presets",
            "requires",
            "formerly",
            "dependencies",
            "dev_dependencies",
            "servers",
            "files",
        ),
        list,
    ),
    "traces": dict,
}
