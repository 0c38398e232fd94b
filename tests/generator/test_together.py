"""Two perfgen processes at work on one service at the same time: one wins, and the other says why it did not."""

import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.kinds import Tree
from tests.generator.shelf import status

SEED = random.randrange(10**6)
NAMES = ("tracing", "limit")
QUICK, ALL = 2, 12
# Why the second one does nothing: while the first is at work, and once it is done.
SENTENCES = ("Another perfgen is at work in ", "The earlier change is not committed.")


@dataclass(frozen=True)
class Expected:
    """What one process alone makes of the service."""

    files: dict[str, tuple[bytes, bool]]
    status: dict[str, str]


@pytest.fixture(scope="module")
def alone(
    fresh: Path, run: Run, tree: Tree, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Expected]:
    found = {}
    for name in NAMES:
        service = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("alone") / "shop"))
        done = run("add", name, cwd=service)
        assert done.returncode == 0, done.stderr
        found[name] = Expected(tree(service), status(service, env))
    return found


def start(name: str, service: Path, env: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "perfgen", "add", name],
        cwd=service,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=[] if n < QUICK else pytest.mark.slow) for n in range(ALL)]
)
def test_one_wins(
    service: Path,
    alone: dict[str, Expected],
    run: Run,
    git: Git,
    tree: Tree,
    env: dict[str, str],
    tmp_path: Path,
    number: int,
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    chance = random.Random(f"{SEED} {number}")
    names = chance.sample(NAMES, 2)
    before = tree(service)
    processes = {names[0]: start(names[0], service, env | {"TMPDIR": str(temporary)})}
    # The first tries start both together, the others the second at any time while the first may be at work.
    time.sleep(chance.uniform(0, 1.5) if number >= QUICK else 0)
    processes[names[1]] = start(names[1], service, env | {"TMPDIR": str(temporary)})
    errors = {name: process.communicate(timeout=60)[1] for name, process in processes.items()}
    codes = {name: process.returncode for name, process in processes.items()}
    said = f"seed {SEED}: {codes} {errors}"
    assert sorted(codes.values()) == [0, 1], said
    winner, loser = sorted(codes, key=lambda name: codes[name])
    assert any(errors[loser].startswith(f"Error: {words}") for words in SENTENCES), said
    assert len(errors[loser].splitlines()) == 2, said
    assert errors[winner] == "", said

    assert tree(service) == alone[winner].files, said
    assert status(service, env) == alone[winner].status, said
    assert not (service / ".git" / "index.lock").exists(), said
    assert os.listdir(temporary) == [], said
    git("fsck", "--no-dangling", cwd=service)
    assert run("update", "--abort", cwd=service).returncode == 0, said
    assert tree(service) == before, said
    assert status(service, env) == {}, said
    assert run("add", loser, cwd=service).returncode == 0, said
    assert tree(service) == alone[loser].files, said
