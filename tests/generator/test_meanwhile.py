"""Others are at work on the service at the same time: another perfgen, git, an editor."""

import fcntl
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from perfgen import landing
from tests.generator.kinds import Run
from tests.generator.shelf import everything
from tests.generator.shelf import status


def test_two_at_once(service: Path, within: Run) -> None:
    handle = os.open(service / ".git", os.O_RDONLY)  # as another perfgen does
    fcntl.flock(handle, fcntl.LOCK_EX)
    before = everything(service)
    done = within("update", cwd=service)
    os.close(handle)
    assert done.returncode == 1
    assert "Another perfgen is at work" in done.stderr
    assert everything(service) == before


def test_a_git_at_work_is_not_disturbed(service: Path, within: Run, env: dict[str, str]) -> None:
    (service / ".git" / "index.lock").write_text("")
    before = everything(service)
    done = within("update", cwd=service)
    assert done.returncode == 1
    assert "Another git is at work" in done.stderr
    kept = {k: v for k, v in everything(service).items() if not k.startswith(".git/objects")}
    assert kept == {k: v for k, v in before.items() if not k.startswith(".git/objects")}


def test_a_file_that_changes_meanwhile_is_not_lost(
    service: Path, within: Run, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    locking = landing._lock

    def lock(*args: Any) -> None:
        (service / "text.txt").write_text("typed at the last moment\n")
        locking(*args)

    monkeypatch.setattr(landing, "_lock", lock)
    done = within("update", cwd=service)
    assert done.returncode == 1
    assert "text.txt was changed while perfgen was at work." in done.stderr
    assert (service / "text.txt").read_text() == "typed at the last moment\n"
    assert status(service, env) == {"text.txt": " M"}
    assert not (service / ".git" / "perfgen").exists()


def test_an_index_that_is_renewed_meanwhile(
    service: Path, within: Run, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by an editor's own `git status`: what it staged elsewhere stays."""
    taking, times = landing._take, 0

    def take(lock: Path, prepared: Path) -> None:
        nonlocal times
        times += 1
        if times == 1:
            (service / "own.txt").write_text("own\n")
            subprocess.run(["git", "add", "-N", "own.txt"], cwd=service, env=env, check=True)
            subprocess.run(["git", "reset", "-q"], cwd=service, env=env, check=True)
        taking(lock, prepared)

    monkeypatch.setattr(landing, "_take", take)
    assert within("update", cwd=service).returncode == 0
    assert times == 2
    assert status(service, env)["text.txt"] == "M "
