"""The presets and a covering array of sets: linted, typed, started as in production, tested.

The presets belong to `make test`; the whole array to `make proofs`.
"""

from __future__ import annotations

import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.template import machine
from tests.template import servers
from tests.template.report import Proving
from tests.template.running import running
from tests.template.sets import CATALOGUE
from tests.template.sets import Chosen
from tests.template.sets import booted
from tests.template.sets import presets
from tests.template.tree import Tree

MISSING_HERE = "there is no pgbouncer on this machine"  # .ci/run installs it

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.parametrize(
        "chosen",
        [
            pytest.param(
                chosen, id=str(chosen), marks=[] if chosen in presets() else pytest.mark.slow
            )
            for chosen in booted()
        ],
    ),
]


@pytest.fixture
def copy(tree: Tree, tmp_path: Path) -> Path:
    """The service in a folder to write to."""
    return Path(shutil.copytree(tree.path, tmp_path / "demo"))


@pytest.fixture
def own_tools(chosen: Chosen, tree: Tree) -> Path:
    """The programs of an environment with the service's own development dependencies."""
    return machine.environment(tree.path, chosen.python, dev=True) / "bin"


def test_lint(chosen: Chosen, tree: Tree, own_tools: Path, proving: Proving) -> None:
    with proving("linted", chosen):
        machine.run(own_tools / "ruff", "check", "--no-cache", ".", cwd=tree.path)
        machine.run(own_tools / "ruff", "format", "--no-cache", "--check", ".", cwd=tree.path)


def test_types(chosen: Chosen, copy: Path, own_tools: Path, proving: Proving) -> None:
    with proving("typed", chosen):
        machine.run(own_tools / "mypy", "--strict", ".", cwd=copy)


def test_starts_with_its_own_lock_only(
    chosen: Chosen, copy: Path, tools: Path, tmp_path: Path, proving: Proving
) -> None:
    """Nothing that another pattern or the development tools would bring is installed."""
    python = machine.environment(copy, chosen.python, dev=False) / "bin" / "python"
    with ExitStack() as stack, proving("booted", chosen):
        urls = _urls(chosen, stack, tools, tmp_path)
        service = stack.enter_context(running(copy, python, urls, tmp_path / "log"))
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


def _urls(chosen: Chosen, stack: ExitStack, tools: Path, folder: Path) -> dict[str, str]:
    needed = {s for name in chosen.enabled for s in CATALOGUE.patterns[name].servers}
    urls = {}
    if "postgresql" in needed:
        urls["DATABASE_URL"] = stack.enter_context(servers.database(tools))
    if "redis" in needed:
        urls["REDIS_URL"] = stack.enter_context(servers.redis(folder))
    return urls


def test_passes_its_own_tests(
    chosen: Chosen, copy: Path, own_tools: Path, tools: Path, tmp_path: Path, proving: Proving
) -> None:
    with ExitStack() as stack, proving("tested", chosen):
        urls = _urls(chosen, stack, tools, tmp_path)
        env = urls | {"PYTEST_DEBUG_TEMPROOT": stack.enter_context(machine.short_folder())}
        said = machine.run(own_tools / "python", "-m", "pytest", "-q", cwd=copy, env=env)
    closing = said.splitlines()[-1]
    assert re.search(r"\d+ passed", closing), closing
    skipped = [line for line in said.splitlines() if line.startswith("SKIPPED")]
    assert [line for line in skipped if not line.endswith(MISSING_HERE)] == [], said
