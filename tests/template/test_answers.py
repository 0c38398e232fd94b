"""The questions: what copier refuses and by which words, and what follows from an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_copie.plugin import Copie

from maintain import template as source
from tests.template.conftest import Rendered
from tests.template.sets import CATALOGUE
from tests.template.sets import Chosen
from tests.template.tree import ANSWERS
from tests.template.tree import Tree

# pytest-copie renders what is not committed as well.
pytestmark = pytest.mark.filterwarnings("ignore::copier.errors.DirtyLocalWarning")

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("patterns", {"patterns": ["cache", "quue"]}),
    ("patterns", {"patterns": ["redis"]}),  # comes along, cannot be asked for
    ("patterns", {"patterns": ["health"]}),  # is always there
    ("python_version", {"python_version": "3.11"}),
    ("project", {"project": "My Service"}),
    ("project", {"project": "a" * 41}),
    ("project", {"project": "trailing-"}),
    ("project", {"project": "a\n"}),
    ("description", {"description": "two\nlines"}),
    ("description", {"description": " "}),
    ("description", {"description": "x" * 201}),
    ("max_replicas", {"patterns": ["database"], "max_replicas": 0}),
    ("max_replicas", {"patterns": ["database"], "max_replicas": 50}),
    ("max_connections", {"patterns": ["database"], "max_connections": 10}),
    ("many", {"patterns": ["database"], "max_connections": "many"}),
]


@pytest.mark.parametrize(("question", "answers"), REFUSED, ids=repr)
def test_a_wrong_answer_is_refused_and_nothing_written(
    question: str, answers: dict[str, Any], template: Path, tmp_path: Path
) -> None:
    target = tmp_path / "service"
    with pytest.raises((ValueError, TypeError), match=question):
        source.render(template, target, **{"patterns": [], **answers})
    assert not target.exists() or not list(target.iterdir())


def test_a_budget_that_does_not_fit_is_refused_with_what_would(
    template: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="use at most 17 replicas, or at least 107 connections"):
        source.render(template, tmp_path / "s", ["database"], max_replicas=19, max_connections=100)


@pytest.mark.parametrize("name", CATALOGUE.menu)
def test_requirements_come_along_and_open_first(name: str, rendered: Rendered) -> None:
    tree = rendered(Chosen((name,)))
    opened = tree.files["app/patterns.py"].partition("PATTERNS = [")[2].partition("]")[0]
    wanted = [*CATALOGUE.requirements(name), name]
    wired = [n for n in wanted if CATALOGUE.patterns[n].kind != "deploy"]
    places = [opened.index(f"    {pattern}.pattern,") for pattern in wired]
    assert places == sorted(places)


@pytest.mark.parametrize("preset", CATALOGUE.presets)
def test_a_stranger_gets_the_same_from_git(
    preset: str, copie: Copie, repository: Path, rendered: Rendered
) -> None:
    """Through pytest-copie, which clones a repository: as from the folder, byte for byte."""
    patterns = CATALOGUE.presets[preset]
    result = copie.copy({"project": "demo", "patterns": patterns}, template_dir=repository)
    assert (result.exit_code, result.exception) == (0, None)
    assert result.project_dir
    cloned = dict(Tree(result.project_dir).files)
    plain = dict(rendered(Chosen(tuple(patterns))).files)
    assert _answered(cloned.pop(ANSWERS)) == _answered(plain.pop(ANSWERS))
    assert cloned == plain


def _answered(text: str) -> list[str]:
    """The answers without where the template came from."""
    return [line for line in text.splitlines() if not line.startswith(("_src_path", "_commit"))]


def test_without_answers_it_is_the_standard_preset(copie: Copie) -> None:
    """From the working tree itself, with what is not committed."""
    result = copie.copy(extra_answers={"project": "demo"})
    assert (result.exit_code, result.exception) == (0, None)
    assert sorted(result.answers["patterns"]) == sorted(CATALOGUE.presets["standard"])
