"""Updates that are killed on the way, and how the service must be found afterwards."""

import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.generator.kinds import Run
from tests.generator.shelf import status

SEED = random.randrange(10**6)
PERFGEN = [sys.executable, "-m", "perfgen"]
# Kills itself before the n-th step that changes the user's files or git's, once the change is prepared.
DYING = """
import os, signal, sys
from pathlib import Path
from perfgen import __main__
last, number = int(sys.argv.pop(1)), int(sys.argv.pop(1))
state, count = Path(".git/perfgen"), 0
def dying(name):
    original = getattr(os, name)
    def step(*args, **options):
        global count
        if (state / "draft").exists() or list(state.glob("*.json")):
            count += 1
            if count == last:
                os.kill(os.getpid(), number)
        return original(*args, **options)
    setattr(os, name, step)
for name in ("rename", "replace", "link", "unlink", "mkdir", "rmdir"):
    dying(name)
__main__.main()
"""
WHOLE, NOTHING = "an update is whole or has not been", "no byte"  # for the table
STEPS = 130  # more than there are


@dataclass(frozen=True)
class Edited:
    """A service with edits, one of which will be a conflict, as it is before the update and after it."""

    folder: Path
    before: dict[str, bytes]
    after: dict[str, bytes]
    status: dict[str, str]


def files(service: Path) -> dict[str, bytes]:
    """Every file but git's: its executable bit and content."""
    return {
        str(path.relative_to(service)): bytes([path.stat().st_mode >> 6 & 1]) + path.read_bytes()
        for path in sorted(service.rglob("*"))
        if path.is_file() and path.relative_to(service).parts[0] != ".git"
    }


def settled(
    service: Path, edited: Edited, run: Run, env: dict[str, str], said: str
) -> dict[str, int]:
    """After `doctor --fix` all is as before or as after: which of them, and whether there was something to clear.

    No other command works until then.
    """
    left = (service / ".git" / "perfgen").exists() and status(service, env) != edited.status
    killed = (service / ".git" / "perfgen" / "swapping.json").exists()
    if killed and random.random() < 0.3:  # these take their time
        refused = run("add", "tracing", cwd=service)
        assert refused.returncode == 1, said
        assert "An earlier change was killed while it wrote." in refused.stderr, said
        looked = run("doctor", cwd=service)
        assert looked.returncode == 1, said
        assert "doctor --fix" in looked.stdout, said
    run("doctor", "--fix", cwd=service)
    assert not (service / ".git" / "index.lock").exists(), said
    now, shown = files(service), status(service, env)
    before = now == edited.before
    if before:
        assert shown == {"untracked.txt": "??"}, (said, shown)
        assert not (service / ".git" / "perfgen").exists(), said
        assert run("doctor", cwd=service).returncode == 0, said
    else:
        assert now == edited.after, (said, sorted(now.items() ^ edited.after.items()))
        assert shown == edited.status, said
        undone = run("update", "--abort", cwd=service)
        assert undone.returncode == 0, (said, undone.stderr)
        assert files(service) == edited.before, said
    return {
        "tries": 1,
        "as before": int(before),
        "as after": int(not before),
        "with a leftover that `doctor --fix` put right": int(left or killed),
    }


def copied(edited: Edited, tmp_path: Path) -> Path:
    return Path(shutil.copytree(edited.folder, tmp_path / "shop", symlinks=True))


def die(service: Path, env: dict[str, str], step: int, number: int, *more: str) -> int:
    """`perfgen update` that gets the signal `number` before that step which changes a file; its exit code."""
    command = [sys.executable, "-c", DYING, str(step), str(number), "update", *more]
    return subprocess.run(command, cwd=service, env=env, capture_output=True, timeout=60).returncode
