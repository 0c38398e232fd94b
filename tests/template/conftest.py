"""Fixtures: the template of this working tree, and services rendered from it once for all tests."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from maintain import template as source
from tests.proofs.harness.postgres import Postgres
from tests.proofs.harness.postgres import private
from tests.template import machine
from tests.template import manifests
from tests.template import report
from tests.template import versions
from tests.template.sets import DEFAULT_PYTHON
from tests.template.sets import MENU
from tests.template.sets import Chosen
from tests.template.tree import Tree

Rendered = Callable[[Chosen], Tree]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was proved."""
    report.write(terminalreporter)


@pytest.fixture
def proving(record_property: report.Record) -> report.Proving:
    """Counts what is proved: `with proving("booted", chosen): ...`."""
    return report.proving(record_property)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share."""
    mine = tmp_path_factory.getbasetemp()
    return (mine.parent if mine.name.startswith("popen-") else mine) / "shared"


@pytest.fixture(scope="session")
def template(shared: Path) -> Path:
    """The template as the next commit would have it, in a plain folder."""
    return machine.once(shared / "template", source.copy_template)


@pytest.fixture(scope="session")
def repository(template: Path, shared: Path) -> Path:
    """A git repository in which that template is a release."""

    def make(target: Path) -> None:
        shutil.copytree(template, target)
        versions.release(target, versions.NOW)

    return machine.once(shared / "repository", make)


@pytest.fixture(scope="session")
def rendered(template: Path, shared: Path) -> Rendered:
    """The service with these patterns, rendered once for all workers; nobody writes into it."""

    @cache
    def service(chosen: Chosen) -> Tree:
        digest = hashlib.sha256(str(chosen).encode()).hexdigest()[:8]
        return Tree(
            machine.once(
                shared / "services" / f"{str(chosen)[:40]}-{digest}",
                lambda target: source.render(
                    template, target, chosen.patterns, python_version=chosen.python
                ),
            )
        )

    return service


@pytest.fixture
def tree(chosen: Chosen, rendered: Rendered) -> Tree:
    """The service of a test that is parametrized with `chosen`."""
    return rendered(chosen)


@pytest.fixture(scope="session")
def everything(rendered: Rendered) -> Tree:
    """The service with every pattern."""
    return rendered(Chosen(tuple(sorted(MENU))))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of this worker's own."""
    # in a folder that the user `postgres` may enter; pytest keeps its own for itself
    with TemporaryDirectory(prefix="perfgen-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with private(Path(folder) / "postgres") as server:
            yield server


@pytest.fixture(scope="session")
def tools(everything: Tree) -> Path:
    """The programs of the environment with every pattern's dependencies: ruff, mypy, pytest."""
    return machine.environment(everything.path, DEFAULT_PYTHON, dev=True) / "bin"


@pytest.fixture(scope="session")
def built(rendered: Rendered, shared: Path) -> Callable[[Chosen], list[manifests.Build]]:
    """Every build of a service, and one overlay with its optional components."""

    @cache
    def build(chosen: Chosen) -> list[manifests.Build]:
        service = rendered(chosen).path
        deploy = machine.once(
            shared / "options" / service.name, lambda to: manifests.with_options(service, to)
        )
        folders = [service / "deploy" / name for name in manifests.builds(service)]
        return [manifests.build(folder) for folder in [*folders, deploy / "overlays/production"]]

    return build


@pytest.fixture
def every(
    chosen: Chosen, built: Callable[[Chosen], list[manifests.Build]]
) -> list[manifests.Build]:
    """Every build of the service of a test that is parametrized with `chosen`."""
    return built(chosen)
