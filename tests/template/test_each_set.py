"""Every single pattern, every pair, the presets and a covering array: the files are whole, clean and all needed."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from maintain import template as source
from maintain import uv
from tests.template import machine
from tests.template import references
from tests.template.report import Proving
from tests.template.sets import CATALOGUE
from tests.template.sets import MENU
from tests.template.sets import Chosen
from tests.template.sets import each
from tests.template.sets import rendered_sets
from tests.template.tree import Tree
from tests.template.tree import shown

pytestmark = each(rendered_sets())

OLDEST_PYTHON = "3.12"
COMPILE = """
import pathlib
for path in pathlib.Path().rglob("*.py"):
    compile(path.read_bytes(), path, "exec", dont_inherit=True)
"""


def test_renders(
    chosen: Chosen, tree: Tree, template: Path, tmp_path: Path, proving: Proving
) -> None:
    """And the second time the same."""
    with proving("rendered", chosen):
        again = source.render(
            template, tmp_path / "again", chosen.patterns, python_version=chosen.python
        )
    assert Tree(again).files == tree.files
    assert {"README.md", "Makefile", "pyproject.toml", "uv.lock"} <= tree.files.keys()


def test_python_compiles(tree: Tree) -> None:
    machine.run(machine.interpreter(OLDEST_PYTHON), "-c", COMPILE, cwd=tree.path)


def test_data_files_parse(tree: Tree) -> None:
    for name, text in tree.ending(".toml", ".lock").items():
        assert tomllib.loads(text), name
    for name, text in tree.ending(".yaml", ".yml").items():
        assert list(yaml.safe_load_all(text)), name
    for name, text in tree.ending(".json").items():
        assert json.loads(text), name


def test_nothing_of_the_template_is_left_over(tree: Tree) -> None:
    syntax = re.compile(r"<%|%>|# <|#>|<<[^<>]*>>|<<\s*\w+\s*$")
    problems = [
        f"{name}: {line.strip()}"
        for name, text in tree.files.items()
        for line in text.splitlines()
        if syntax.search(line)
    ]
    assert not problems, shown(problems)
    assert not [name for name in tree.files if re.search(r"<|>|\.jinja$", name)]


def test_no_folder_is_empty(tree: Tree) -> None:
    inhabited = {str(parent) for name in tree.files for parent in Path(name).parents}
    assert tree.folders <= inhabited


def test_whitespace_is_clean(tree: Tree) -> None:
    problems = []
    for name, text in tree.files.items():
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            problems.append(f"{name} does not end with one newline")
        if "\n\n\n\n" in text or text.startswith("\n"):
            problems.append(f"{name} has too many blank lines")
        if re.search(r"[ \t]$", text, re.MULTILINE) or "\r" in text:
            problems.append(f"{name} has blanks at the end of a line")
    assert not problems, shown(problems)


def test_format_and_imports_are_clean(
    chosen: Chosen, tree: Tree, tools: Path, proving: Proving
) -> None:
    with proving("formatted", chosen):
        machine.run(tools / "ruff", "format", "--no-cache", "--diff", ".", cwd=tree.path)
        machine.run(tools / "ruff", "check", "--no-cache", "--select=E,F,I,W", ".", cwd=tree.path)


def test_only_folders_of_its_patterns_are_there(chosen: Chosen, tree: Tree) -> None:
    found = {
        pattern.name
        for pattern in CATALOGUE
        for place in ("app", "tests", "migrations/versions", "deploy/components")
        if f"{place}/{pattern.name}" in tree.folders
    }
    tooling = {Path(name).stem for name in tree.files if name.startswith("dev/")}
    assert found | (tooling & CATALOGUE.patterns.keys()) <= chosen.enabled
    plugins = {p.name for p in CATALOGUE if p.kind == "plugin"} & chosen.enabled
    assert {f"app/{name}" for name in plugins} <= tree.folders
    assert {f"tests/{name}" for name in plugins} <= tree.folders


def test_answers_hold_what_was_asked(chosen: Chosen, tree: Tree) -> None:
    assert tree.answers["patterns"] == list(chosen.patterns)
    assert "enabled" not in tree.answers
    assert "catalogue" not in tree.answers


def test_nothing_named_is_missing(tree: Tree) -> None:
    problems = references.dangling(tree)
    assert not problems, shown(problems)


def test_no_file_is_ignored_by_its_gitignore(tree: Tree, tmp_path: Path) -> None:
    """Copier's update would write such a file, and a merge could not."""
    git = ["git", f"--git-dir={tmp_path}", "-c", "core.excludesFile=/dev/null"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    listed = subprocess.run(
        [*git, f"--work-tree={tree.path}", "check-ignore", "--no-index", "--stdin"],
        cwd=tree.path,
        input="\n".join(tree.files),
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 1, f"ignored: {listed.stdout} {listed.stderr}"


def test_lock_is_what_uv_would_write(chosen: Chosen, tree: Tree, proving: Proving) -> None:
    with proving("lock checked", chosen):
        uv.check_lock(tree.path)


def test_requirements_are_those_of_its_patterns(chosen: Chosen, tree: Tree) -> None:
    project = tree.project["project"]["dependencies"], tree.project["dependency-groups"]["dev"]
    for section, found in zip(("dependencies", "dev_dependencies"), project, strict=True):
        assert len(found) == len(set(found))
        for name in MENU:
            wanted = set(getattr(CATALOGUE.patterns[name], section))
            assert (name in chosen.enabled) <= (wanted <= set(found)), name
