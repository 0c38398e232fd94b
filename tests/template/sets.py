"""Which services are proved: every pattern alone, every pair, the presets, and a covering array."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import pytest
from allpairspy import AllPairs

from maintain import template

CATALOGUE = template.read_catalogue()
MENU = CATALOGUE.menu
PYTHONS = (
    "3.12",
    "3.13",
)  # 3.14 can be asked for, and cannot be had on the machines of this project
DEFAULT_PYTHON = "3.13"


@dataclass(frozen=True)
class Chosen:
    """The patterns asked for, and the Python."""

    patterns: tuple[str, ...]
    python: str = DEFAULT_PYTHON

    @property
    def enabled(self) -> set[str]:
        """What the service has: the core, and what was asked for with all that it requires."""
        required = {r for name in self.patterns for r in CATALOGUE.requirements(name)}
        return required | set(self.patterns) | set(CATALOGUE.core)

    def __str__(self) -> str:
        """The set as a test id."""
        python = "" if self.python == DEFAULT_PYTHON else f"-{self.python}"
        return (_presets_of(self.patterns) or "+".join(self.patterns) or "nothing") + python


def _presets_of(patterns: tuple[str, ...]) -> str:
    return "=".join(n for n, members in CATALOGUE.presets.items() if set(members) == set(patterns))


def small() -> list[Chosen]:
    """Nothing, each pattern, each pair, each preset."""
    sizes = (s for size in range(3) for s in combinations(MENU, size))
    return list(dict.fromkeys([*map(Chosen, sizes), *presets()]))


def rendered_sets() -> list[Chosen]:
    """All sets that are looked at as they are rendered."""
    return list(dict.fromkeys([*small(), *covering()]))


def each(sets: Iterable[Chosen]) -> pytest.MarkDecorator:
    """A test of each set: pairs are slow, since in the covering array each pair is on, and off, too."""
    quick = {*presets(), *covering()}
    every = [
        pytest.param(
            chosen,
            id=str(chosen),
            marks=[pytest.mark.slow] if len(chosen.patterns) == 2 and chosen not in quick else [],
        )
        for chosen in sets
    ]
    return pytest.mark.parametrize("chosen", every)


def presets() -> list[Chosen]:
    """The named sets."""
    return [Chosen(tuple(sorted(members))) for members in CATALOGUE.presets.values()]


def covering() -> list[Chosen]:
    """Few sets in which any two patterns are both on, both off, and each without the other.

    The interpreters are one more parameter, so each pattern meets each of them.
    """
    return list(dict.fromkeys(_covering()))


def _covering() -> Iterator[Chosen]:
    for *flags, python in AllPairs([*([False, True] for _ in MENU), list(PYTHONS)]):
        wanted = [name for name, on in zip(MENU, flags, strict=True) if on]
        yield Chosen(tuple(sorted(wanted)), python)


def booted() -> list[Chosen]:
    """The sets that are linted, typed, started and tested: the covering array and the presets."""
    return list(dict.fromkeys([*presets(), *covering()]))
