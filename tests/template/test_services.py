"""The presets and a covering array of sets: linted, typed, started as in production, tested.

The presets belong to `make test`, which runs the own tests of the smallest and the largest; the whole array to
`make proofs`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.proofs.harness import redis
from tests.template import machine
from tests.template import servers
from tests.template.report import Proving
from tests.template.running import running
from tests.template.sets import CATALOGUE
from tests.template.sets import PYTHONS
from tests.template.sets import Chosen
from tests.template.sets import booted
from tests.template.sets import presets
from tests.template.tree import Tree

MISSING_HERE = "there is no pgbouncer on this machine"  # .ci/run installs it

pytestmark = pytest.mark.timeout(1600)


def proved(quick: list[Chosen]) -> pytest.MarkDecorator:
    """Every set, and those that are not `quick` in `make proofs` only."""
    every = [
        pytest.param(chosen, id=str(chosen), marks=[] if chosen in quick else pytest.mark.slow)
        for chosen in booted()
    ]
    return pytest.mark.parametrize("chosen", every)


by_size = sorted(presets(), key=lambda chosen: len(chosen.patterns))
THE_PRESETS, THE_EXTREMES = proved(by_size), proved([by_size[0], by_size[-1]])


@pytest.fixture
def copy(tree: Tree, tmp_path: Path) -> Path:
    """The service in a folder to write to."""
    return Path(shutil.copytree(tree.path, tmp_path / "demo"))


@pytest.fixture
def urls(
    chosen: Chosen, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """The settings that name the servers which the service needs."""
    needed = {s for name in chosen.enabled for s in CATALOGUE.patterns[name].servers}
    with ExitStack() as stack:
        named = {}
        if "postgresql" in needed:
            server = request.getfixturevalue("postgres")
            named["DATABASE_URL"] = stack.enter_context(servers.database(server))
        if "redis" in needed:
            named["REDIS_URL"] = stack.enter_context(redis.private(tmp_path / "redis")).url
        yield named


@pytest.fixture
def own_tools(chosen: Chosen, tree: Tree) -> Path:
    """The programs of an environment with the service's own development dependencies."""
    return machine.environment(tree.path, chosen.python, dev=True) / "bin"


@THE_PRESETS
def test_lint(chosen: Chosen, tree: Tree, own_tools: Path, proving: Proving) -> None:
    with proving("linted", chosen):
        machine.run(own_tools / "ruff", "check", "--no-cache", ".", cwd=tree.path)
        machine.run(own_tools / "ruff", "format", "--no-cache", "--check", ".", cwd=tree.path)


@THE_PRESETS
def test_types(chosen: Chosen, copy: Path, own_tools: Path, proving: Proving) -> None:
    with proving("typed", chosen):
        machine.run(own_tools / "mypy", "--strict", ".", cwd=copy)


@pytest.mark.parametrize("chosen", [by_size[-1]], ids=str)
def test_types_of_the_oldest_python(copy: Path, own_tools: Path) -> None:
    """What only a newer standard library has, is not used."""
    machine.run(own_tools / "mypy", "--strict", "--python-version", PYTHONS[0], ".", cwd=copy)


@THE_PRESETS
def test_starts_with_its_own_lock_only(
    chosen: Chosen, copy: Path, urls: dict[str, str], tmp_path: Path, proving: Proving
) -> None:
    """Nothing that another pattern or the development tools would bring is installed."""
    python = machine.environment(copy, chosen.python, dev=False) / "bin" / "python"
    with proving("booted", chosen), running(copy, python, urls, tmp_path / "log") as service:
        assert service.get("/health").status == 200
        assert service.get("/nowhere").status == 404
        if "example" in chosen.enabled:
            assert service.get("/items").status == 200
            assert service.get("/users/1").status == 404
        metrics = service.get_internal("/metrics").body
        promised = [
            m for name in chosen.enabled for m in CATALOGUE.patterns[name].traces["metrics"]
        ]
        assert [name for name in promised if name not in metrics] == []


@THE_EXTREMES
def test_passes_its_own_tests(
    chosen: Chosen, copy: Path, own_tools: Path, urls: dict[str, str], proving: Proving
) -> None:
    with proving("tested", chosen), machine.short_folder() as root:
        env = urls | {"PYTEST_DEBUG_TEMPROOT": root}
        command = (own_tools / "python", "-m", "pytest", "-q")
        said = machine.run(*command, cwd=copy, env=env, timeout_s=1500)  # a busy machine's
    closing = said.splitlines()[-1]
    assert re.search(r"\d+ passed", closing), closing
    skipped = [line for line in said.splitlines() if line.startswith("SKIPPED")]
    assert [line for line in skipped if not line.endswith(MISSING_HERE)] == [], said
