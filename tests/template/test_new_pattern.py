"""Adding a pattern is what CONTRIBUTING says: a manifest, a folder, its tests, and no other place."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from maintain import template as source
from tests.template import hello
from tests.template import machine
from tests.template.running import running
from tests.template.sets import DEFAULT_PYTHON
from tests.template.sets import MENU
from tests.template.tree import ANSWERS
from tests.template.tree import Tree

TOUCHED = {
    "patterns/hello.yml",
    "template/<<project>>/app/hello/__init__.py",
    "template/<<project>>/app/hello/README.md",
    "template/<<project>>/tests/hello/__init__.py",
    "template/<<project>>/tests/hello/test_hello.py",
}
WIRED = {"app/patterns.py", "README.md"}  # rendered from the list of patterns


@pytest.fixture(scope="module")
def extended(template: Path, shared: Path) -> Path:
    """The template with one pattern more."""

    def make(target: Path) -> None:
        shutil.copytree(template, target)
        assert hello.add(target) == TOUCHED

    return machine.once(shared / "extended", make)


@pytest.fixture(scope="module")
def service(extended: Path, shared: Path) -> Path:
    """A service with that pattern alone."""
    return machine.once(
        shared / "with-hello", lambda target: source.render(extended, target, ["hello"])
    )


def test_it_brings_its_folders_and_a_line_where_patterns_are_listed(
    service: Path, template: Path, tmp_path: Path
) -> None:
    with_it = Tree(service).files
    without = Tree(source.render(template, tmp_path / "without", [])).files
    new = {name for name in with_it if name not in without}
    assert new == {
        name.removeprefix("template/<<project>>/") for name in TOUCHED if "/" in name[9:]
    }
    changed = {name for name, text in without.items() if with_it[name] != text}
    assert "app/patterns.py" in changed
    assert changed <= WIRED | {ANSWERS}


def test_it_is_off_unless_asked_for(extended: Path, template: Path, tmp_path: Path) -> None:
    with_it = Tree(source.render(extended, tmp_path / "with", MENU)).files
    without = Tree(source.render(template, tmp_path / "without", MENU)).files
    differing = [name for name in with_it | without if with_it.get(name) != without.get(name)]
    assert differing == [ANSWERS]  # which tells where the template was


def test_it_is_format_clean(service: Path, tools: Path) -> None:
    machine.run(tools / "ruff", "format", "--no-cache", "--check", ".", cwd=service)
    machine.run(tools / "ruff", "check", "--no-cache", ".", cwd=service)


def test_it_runs_and_passes_its_test(service: Path, tmp_path: Path) -> None:
    """With the lock as it was: it has no dependencies."""
    python = machine.environment(service, DEFAULT_PYTHON, dev=True) / "bin" / "python"
    copy = Path(shutil.copytree(service, tmp_path / "demo"))
    with machine.short_folder() as folder:
        env = {"PYTEST_DEBUG_TEMPROOT": folder}
        machine.run(python, "-m", "pytest", "-q", "tests/hello", cwd=copy, env=env)
    with ExitStack() as stack:
        one = stack.enter_context(running(copy, python, {}, tmp_path / "log"))
        assert one.get("/hello").body == '"Good day"'
