"""Undoing that fails or is refused loses nothing: it can be done again, and what it concerns stays known."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from perfgen import plan
from tests.generator.killing import files
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import changed
from tests.generator.shelf import status

Failing = Callable[[int], None]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Make the file move of that number fail, and those after it, as in a folder that cannot be written."""

    def fail(number: int) -> None:
        moves = []

        def move(source: Path, target: Path) -> None:
            moves.append(target)
            if len(moves) >= number:
                raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(target))
            plan_move(source, target)

        monkeypatch.setattr(plan, "move", move)

    plan_move = plan.move
    return fail


@pytest.mark.parametrize("again", ["update --abort", "doctor --fix"])
@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("conflict", [False, True], ids=["clean", "conflict"])
def test_undoing_that_failed_is_known_and_done_again(
    service: Path,
    conflict: bool,
    number: int,
    again: str,
    within: Run,
    git: Git,
    env: dict[str, str],
    failing: Failing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if conflict:
        (service / "text.txt").write_text(changed(5, "mine\n"))
        git("commit", "-q", "-a", "-m", "mine", cwd=service)
    before = files(service)
    assert within("update", cwd=service).returncode == (2 if conflict else 0)
    failing(number)
    done = within("update", "--abort", cwd=service)
    assert done.returncode == 1
    assert "could not be put back: Permission denied." in done.stderr
    monkeypatch.undo()
    for command in (["update", "--continue"], ["update"], ["add", "tracing"], ["check"]):
        done = within(*command, cwd=service)
        assert done.returncode == 1, command
        assert "Undoing the earlier change did not come to its end." in done.stdout + done.stderr
        assert "perfgen update --abort" in done.stdout + done.stderr
    within(*again.split(), cwd=service)
    assert files(service) == before
    assert status(service, env) == {}
    assert within("update", cwd=service).returncode == (2 if conflict else 0)


def test_what_was_kept_is_told_though_undoing_failed(
    service: Path, within: Run, failing: Failing
) -> None:
    assert within("update", cwd=service).returncode == 0
    (service / "added.txt").write_text("typed since")
    failing(2)
    done = within("update", "--abort", cwd=service)
    assert done.returncode == 1
    kept = service / ".git" / "perfgen-kept" / "added.txt"
    assert f"What you wrote into added.txt since is kept as {kept}." in done.stderr
    assert kept.read_text() == "typed since"


def test_a_change_that_is_put_aside_can_still_be_undone(
    service: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    before = files(service)
    assert within("update", cwd=service).returncode == 0
    git("stash", "-q", cwd=service)
    for command in ("--abort", "--continue"):
        done = within("update", command, cwd=service)
        assert done.returncode == 1
        assert "There is no change to" in done.stderr
    git("stash", "pop", "-q", "--index", cwd=service)
    assert within("update", "--abort", cwd=service).returncode == 0
    assert files(service) == before
    assert status(service, env) == {}


def test_a_commit_of_something_else_does_not_end_a_change(
    service: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    before = files(service)
    assert within("update", cwd=service).returncode == 0
    (service / "own.txt").write_text("own")
    git("add", "own.txt", cwd=service)
    git("commit", "-q", "-m", "own", "--", "own.txt", cwd=service)
    again = within("update", cwd=service)
    assert "The earlier change is not committed." in again.stderr
    assert within("update", "--abort", cwd=service).returncode == 0
    now = files(service)
    assert now.pop("own.txt")[1:] == b"own"
    assert now == before
    assert status(service, env) == {}


def test_half_of_a_change_committed_is_not_undone(service: Path, within: Run, git: Git) -> None:
    assert within("update", cwd=service).returncode == 0
    git("commit", "-q", "-m", "half", "--", "text.txt", cwd=service)
    before = files(service)
    done = within("update", "--abort", cwd=service)
    assert done.returncode == 1
    assert "git revert" in done.stderr
    assert files(service) == before
    git("reset", "-q", "--soft", "HEAD~1", cwd=service)
    assert within("update", "--abort", cwd=service).returncode == 0


def test_a_change_that_was_continued_is_undone_until_it_is_committed(
    service: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    (service / "text.txt").write_text(changed(5, "mine\n"))
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    before = files(service)
    assert within("update", cwd=service).returncode == 2
    (service / "text.txt").write_text(changed(5, "both\n"))
    assert within("update", "--continue", cwd=service).returncode == 0
    assert "is not committed." in within("update", cwd=service).stderr
    done = within("update", "--abort", cwd=service)
    assert done.returncode == 0, done.stderr
    assert files(service) == before
    assert status(service, env) == {}
    kept = service / ".git" / "perfgen-kept" / "text.txt"
    assert kept.read_text() == changed(5, "both\n")


@pytest.mark.parametrize("command", ["update", "add tracing", "remove cache"])
@pytest.mark.parametrize("folder", ["lone", "deep", "deep/er", "app", "app/cache", "app/tracing"])
def test_a_link_in_the_place_of_a_folder_is_undone(
    service: Path,
    folder: str,
    command: str,
    tmp_path: Path,
    within: Run,
    git: Git,
    env: dict[str, str],
) -> None:
    elsewhere = tmp_path / "elsewhere"
    for name in ("er", "cache", "tracing"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "__init__.py").write_text("elsewhere\n")
    (elsewhere / "only.txt").write_text("elsewhere\n")
    place = service / folder
    if place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(elsewhere)
    git("add", "-A", cwd=service)
    git("commit", "-q", "-m", "a link where the template has a folder", cwd=service)
    before, there = files(service), files(elsewhere)
    assert within(*command.split(), cwd=service).returncode in (0, 2)
    assert files(elsewhere) == there
    done = within("update", "--abort", cwd=service)
    assert done.returncode == 0, done.stderr
    assert files(service) == before
    assert files(elsewhere) == there
    assert status(service, env) == {}
    assert "is kept as" not in done.stderr
