"""A pattern that is off leaves no trace; one that is on shows every trace its manifest promises."""

from __future__ import annotations

import pytest

from tests.template import traces
from tests.template.conftest import Rendered
from tests.template.sets import CATALOGUE
from tests.template.sets import Chosen
from tests.template.sets import each
from tests.template.sets import rendered_sets
from tests.template.tree import Tree
from tests.template.tree import shown

OPTIONAL = [pattern.name for pattern in CATALOGUE if not pattern.core]
CORE = [pattern.name for pattern in CATALOGUE if pattern.core]


@each(rendered_sets())
def test_what_is_off_leaves_no_trace(chosen: Chosen, tree: Tree) -> None:
    problems = [
        f"{name}, {trace.what}: {line}"
        for name in OPTIONAL
        if name not in chosen.enabled
        for trace in (
            *traces.of(CATALOGUE.patterns[name]),
            *traces.by_name(CATALOGUE.patterns[name]),
        )
        if not _is_anothers(trace, chosen)
        for line in trace.found(tree)
    ]
    assert not problems, shown(problems)


def _is_anothers(trace: traces.Trace, chosen: Chosen) -> bool:
    """Whether a pattern that is on has the same trace, such as a shared dependency."""
    return any(trace in traces.of(CATALOGUE.patterns[name]) for name in chosen.enabled)


@pytest.mark.parametrize("name", OPTIONAL + CORE)
def test_what_is_on_shows_its_traces(name: str, rendered: Rendered) -> None:
    """Alone with what it requires; the core in a service without any optional pattern."""
    pattern = CATALOGUE.patterns[name]
    asked = [name] if pattern.asked else [n for n in OPTIONAL if name in CATALOGUE.requirements(n)]
    tree = rendered(Chosen(() if pattern.core else tuple(asked[:1])))
    absent = [trace.what for trace in traces.of(pattern) if not trace.found(tree)]
    assert not absent, f"{name} promises {absent}"


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_optional_pattern_can_be_recognised(name: str) -> None:
    """Each manifest promises something, so that the tests above say something."""
    pattern = CATALOGUE.patterns[name]
    assert any(pattern.traces.values()) or pattern.files, name
