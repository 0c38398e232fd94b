"""The sets of these tests cover what they promise to."""

from __future__ import annotations

from itertools import permutations
from itertools import product

from tests.template.sets import CATALOGUE
from tests.template.sets import MENU
from tests.template.sets import PYTHONS
from tests.template.sets import Chosen
from tests.template.sets import booted
from tests.template.sets import covering
from tests.template.sets import small


def test_each_pattern_and_each_pair_is_rendered() -> None:
    rendered = {frozenset(chosen.patterns) for chosen in small()}
    assert {frozenset(pair) for pair in product(MENU, MENU)} | {frozenset()} <= rendered


def test_the_array_covers_every_two_patterns() -> None:
    """Both on in some set, both off in some, and each without the other."""
    for one, other in permutations(MENU, 2):
        seen = {(one in chosen.patterns, other in chosen.patterns) for chosen in covering()}
        assert len(seen) == 4, (one, other)


def test_each_pattern_meets_each_python() -> None:
    seen = {(name, chosen.python) for chosen in covering() for name in chosen.patterns}
    assert seen == set(product(MENU, PYTHONS))


def test_every_preset_is_booted() -> None:
    asked = {chosen.patterns for chosen in booted()}
    assert {tuple(sorted(members)) for members in CATALOGUE.presets.values()} <= asked


def test_the_closure_is_the_one_of_the_template() -> None:
    assert {"cache", "redis"} <= Chosen(("cache",)).enabled
    assert Chosen(()).enabled == set(CATALOGUE.core)
