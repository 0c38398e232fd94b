"""Killed or interrupted at any moment: the tree is as before or as after, and `doctor` clears the rest."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.generator.killing import NOTHING
from tests.generator.killing import PERFGEN
from tests.generator.killing import SEED
from tests.generator.killing import STEPS
from tests.generator.killing import WHOLE
from tests.generator.killing import Edited
from tests.generator.killing import copied
from tests.generator.killing import die
from tests.generator.killing import files
from tests.generator.killing import settled
from tests.generator.kinds import Run
from tests.generator.shelf import status
from tests.proofs.harness.table import Table

pytestmark = pytest.mark.proof


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(number, marks=[] if number in (3, 8) else pytest.mark.slow)
        for number in range(20)
    ],
)
def test_kill_before_every_step(
    edited: Edited, tmp_path: Path, run: Run, env: dict[str, str], first: int, table: Table
) -> None:
    """Every twentieth of the steps of one run, other ones each time."""
    found = []
    for step in range(1 + first, STEPS, 20):
        service = copied(edited, tmp_path)
        code = die(service, env, step, signal.SIGKILL)
        if code != -signal.SIGKILL:
            assert code == 2
            assert files(service) == edited.after
            break
        found.append(settled(service, edited, run, env, f"step {step}"))
        shutil.rmtree(service)
    assert len(found) > 1
    assert found[0]["as before"]
    for one in found:
        table.tally(WHOLE, "kill -9 before each step that changes a file", one, NOTHING)


@pytest.mark.parametrize(
    "first",
    [pytest.param(number, marks=[] if number == 3 else pytest.mark.slow) for number in range(10)],
)
def test_kill_before_every_step_of_undoing(
    edited: Edited, tmp_path: Path, run: Run, env: dict[str, str], first: int, table: Table
) -> None:
    """Undone again, every byte is as it was; by `--abort` and by `doctor --fix` in turn."""
    landed = copied(edited, tmp_path)
    assert run("update", cwd=landed).returncode == 2
    found = []
    for step in range(1 + first, STEPS, 10):
        service = Path(shutil.copytree(landed, tmp_path / "undone", symlinks=True))
        code = die(service, env, step, signal.SIGKILL, "--abort")
        if code == -signal.SIGKILL:
            left = (service / ".git" / "perfgen" / "aborting.json").exists()
            again = ("doctor", "--fix") if left and step % 2 else ("update", "--abort")
            assert run(*again, cwd=service).returncode == 0 or not left, step
        assert files(service) == edited.before, step
        assert status(service, env) == {"untracked.txt": "??"}, step
        shutil.rmtree(service)
        if code == 0:
            break
        found.append({"tries": 1, "undone again": int(left)})
    assert len(found) > 1
    for one in found:
        table.tally(WHOLE, "kill -9 before each step of `--abort`", one, NOTHING)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_signals_wait_for_the_last_step(
    edited: Edited, tmp_path: Path, env: dict[str, str], kind: signal.Signals
) -> None:
    service = copied(edited, tmp_path)
    assert die(service, env, 20, kind) in (2, 130)
    assert files(service) == edited.after


KINDS = {"kill": "kill -9", "term": "SIGTERM", "ctrl-c": "Ctrl-C"}
QUICK, ALL = 6, 40


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=[] if n < QUICK else pytest.mark.slow) for n in range(ALL)],
)
@pytest.mark.parametrize("kind", KINDS)
def test_random_moments(
    edited: Edited,
    tmp_path: Path,
    run: Run,
    env: dict[str, str],
    kind: str,
    number: int,
    table: Table,
) -> None:
    service, temporary = copied(edited, tmp_path), tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [*PERFGEN, "update"],
        cwd=service,
        env=env | {"TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    said = f"seed {SEED}, {kind} {number}"
    _wait(process, service, random.Random(said))
    if process.poll() is None:
        if kind == "kill":
            process.kill()
        elif kind == "term":
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    said += f": {process.returncode}\n{errors}"
    if kind != "kill":
        assert list(temporary.iterdir()) == [], said
        expected = edited.after if process.returncode == 2 else edited.before
        assert files(service) == expected, said
        assert process.returncode in (2, 130, -signal.SIGINT, -signal.SIGTERM) or (
            "KeyboardInterrupt" in errors
        ), said
    found = settled(service, edited, run, env, said)
    table.tally(WHOLE, f"{KINDS[kind]} at a random moment", found, NOTHING)


def _wait(process: "subprocess.Popen[str]", service: Path, chance: random.Random) -> None:
    """Until a random moment: for half of the tries one after it has begun to write."""
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0.02, 2.0))
        return
    while process.poll() is None and not (service / ".git" / "perfgen").exists():
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.08))
