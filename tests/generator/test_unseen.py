"""Edits that git, or the plan of a change, could overlook: none of them is lost, and nobody else's file is touched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perfgen import plan
from tests.generator.killing import files
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import status

# Dies when all files have moved, before the index becomes the new one.
DYING = """
import os, signal
from perfgen import __main__
original = os.replace
def replace(source, target):
    if str(source).endswith("index.lock"):
        os.kill(os.getpid(), signal.SIGKILL)
    original(source, target)
os.replace = replace
__main__.main()
"""


def nested(fresh: Path, top: Path, git: Git) -> tuple[Path, Path]:
    """A service, and another one in a folder of it."""
    inner = top / "services" / "b"
    for folder in (top, inner):
        shutil.copytree(fresh, folder, ignore=shutil.ignore_patterns(".git"))
    git("init", "-q", cwd=top)
    git("add", "-A", cwd=top)
    git("commit", "-q", "-m", "first", cwd=top)
    return top, inner


def test_an_edit_in_the_second_of_the_commit_stays_visible(
    fresh: Path, tmp_path: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    """Of equal size, so that only its time can tell git to look again: the new index keeps it."""
    outside = tmp_path / "mono"
    shutil.copytree(fresh, outside / "shop", ignore=shutil.ignore_patterns(".git"))
    (outside / "own.txt").write_text("value=2\n")
    git("init", "-q", cwd=outside)
    git("config", "core.trustctime", "false", cwd=outside)
    os.utime(outside / "own.txt", (10**9, 10**9))
    git("add", "-A", cwd=outside)
    git("commit", "-q", "-m", "first", cwd=outside)
    with (outside / "own.txt").open("r+") as file:
        file.write("value=3\n")
    os.utime(outside / "own.txt", (10**9, 10**9))
    os.utime(outside / ".git" / "index", (10**9, 10**9))
    # A plain `git status` would write the index anew.
    assert git("--no-optional-locks", "status", "--short", cwd=outside).strip() == "M own.txt"
    assert within("update", cwd=outside / "shop").returncode == 0
    assert status(outside, env)["own.txt"] == " M"


def test_a_file_that_git_is_told_not_to_see_is_not_removed(
    fresh: Path, tmp_path: Path, within: Run, git: Git
) -> None:
    service = Path(shutil.copytree(fresh, tmp_path / "shop"))
    git("update-index", "--skip-worktree", "gone.txt", cwd=service)
    (service / "gone.txt").unlink()
    done = within("update", cwd=service)
    assert done.returncode == 1
    assert "gone.txt is marked so that git does not see your edits of it" in done.stderr


def test_a_write_between_the_last_look_and_the_move(
    service: Path, within: Run, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = plan.move
    text = service / "text.txt"

    def move(source: Path, target: Path) -> None:
        if source == text and target.parent.name == "old":
            text.write_text("typed at the last moment\n")
        moving(source, target)

    monkeypatch.setattr(plan, "move", move)
    done = within("update", cwd=service)
    assert done.returncode == 1
    assert "text.txt was changed while perfgen was at work." in done.stderr
    assert text.read_text() == "typed at the last moment\n"
    assert status(service, env) == {"text.txt": " M"}


def test_a_lock_that_the_user_removed_after_a_kill(
    fresh: Path, tmp_path: Path, run: Run, env: dict[str, str]
) -> None:
    service = Path(shutil.copytree(fresh, tmp_path / "shop"))
    before = files(service)
    dead = subprocess.run([sys.executable, "-c", DYING, "update"], cwd=service, env=env)
    assert dead.returncode == -9
    (service / ".git" / "index.lock").unlink()
    done = run("doctor", "--fix", cwd=service)
    assert "undone: the tree is as it was" in done.stdout
    assert files(service) == before
    assert status(service, env) == {}


def test_another_conflict_is_not_staged(
    fresh: Path, tmp_path: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    service = Path(shutil.copytree(fresh, tmp_path / "shop"))
    for name in ("text.txt", "notes.txt"):
        (service / name).write_text("mine\n")
    git("add", "-A", cwd=service)
    git("commit", "-q", "-m", "mine", cwd=service)
    (service / "notes.txt").write_text("one\n")
    git("stash", "-q", cwd=service)
    (service / "notes.txt").write_text("other\n")
    git("commit", "-q", "-a", "-m", "other", cwd=service)
    assert within("update", cwd=service).returncode == 2
    (service / "text.txt").write_text("both\n")
    git("add", "text.txt", cwd=service)
    subprocess.run(["git", "stash", "pop", "-q"], cwd=service, env=env, capture_output=True)
    assert status(service, env)["notes.txt"] == "UU"
    done = within("update", "--continue", cwd=service)
    assert done.returncode == 2
    assert "notes.txt is in a conflict that is not of this change." in done.stderr
    assert status(service, env)["notes.txt"] == "UU"


def test_a_service_in_a_folder_of_another(
    fresh: Path, tmp_path: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    """What its owner deleted is not looked for in the other one."""
    outer, inner = nested(fresh, tmp_path / "outer", git)
    git("rm", "-q", "text.txt", cwd=outer)
    git("commit", "-q", "-m", "needs none", cwd=outer)
    before = files(inner)
    assert within("update", cwd=outer).returncode == 0
    assert files(inner) == before
    assert not any(path.startswith("services/") for path in status(outer, env))


@pytest.mark.parametrize("command", [("update",), ("diff",)])
def test_a_submodule_where_the_template_has_files(
    fresh: Path, tmp_path: Path, within: Run, git: Git, command: tuple[str, ...]
) -> None:
    service = Path(shutil.copytree(fresh, tmp_path / "shop"))
    git("rm", "-rq", "app", cwd=service)
    allow = ("-c", "protocol.file.allow=always")
    git(*allow, "submodule", "add", "-q", fresh, "app", cwd=service)
    git("commit", "-q", "-m", "a submodule", cwd=service)
    done = within(*command, cwd=service)
    assert done.returncode == 1
    assert "app is a submodule, and the template has files there" in done.stderr
