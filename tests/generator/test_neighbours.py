"""Two services of one repository do not touch each other's changes."""

import shutil
from pathlib import Path

import pytest

from tests.generator.killing import files
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import changed
from tests.generator.shelf import status


@pytest.fixture
def both(fresh: Path, tmp_path: Path, git: Git) -> tuple[Path, Path]:
    """Two services in subfolders."""
    top = tmp_path / "mono"
    services = top / "a", top / "b"
    for folder in services:
        shutil.copytree(fresh, folder, ignore=shutil.ignore_patterns(".git"))
    git("init", "-q", cwd=top)
    git("add", "-A", cwd=top)
    git("commit", "-q", "-m", "first", cwd=top)
    return services


def test_each_undoes_its_own(
    both: tuple[Path, Path], within: Run, git: Git, env: dict[str, str]
) -> None:
    one, other = both
    (one / "text.txt").write_text(changed(5, "mine\n"))
    git("commit", "-q", "-a", "-m", "mine", cwd=one)
    before = files(one), files(other)
    assert within("update", cwd=one).returncode == 2
    first = files(one)
    undone = within("update", "--abort", cwd=other)
    assert undone.returncode == 1
    assert "There is no change to undo." in undone.stderr
    assert within("add", "tracing", cwd=other).returncode == 0
    assert files(one) == first
    assert within("update", "--abort", cwd=one).returncode == 0
    assert files(one) == before[0]
    assert all(path.startswith("b/") for path in status(one.parent, env))
    assert within("update", "--abort", cwd=other).returncode == 0
    assert files(other) == before[1]
    assert status(one.parent, env) == {}


def test_one_continues_while_the_other_commits(
    both: tuple[Path, Path], within: Run, git: Git
) -> None:
    one, other = both
    (one / "text.txt").write_text(changed(5, "mine\n"))
    git("commit", "-q", "-a", "-m", "mine", cwd=one)
    assert within("update", cwd=one).returncode == 2
    (one / "text.txt").write_text(changed(5, "both\n"))
    assert within("update", "--continue", cwd=one).returncode == 0
    assert within("update", cwd=other).returncode == 0
    git("commit", "-q", "-m", "of the other", "--", ".", cwd=other)
    assert "is not committed." in within("update", cwd=one).stderr
    git("commit", "-q", "-m", "of the one", cwd=one)
    assert within("update", cwd=one).returncode == 0


def test_one_killed_while_it_wrote_is_told_to_the_other(
    both: tuple[Path, Path], within: Run
) -> None:
    one, other = both
    assert within("update", cwd=one).returncode == 0
    (state,) = (one.parent / ".git").glob("perfgen-*")
    (state / "landed.json").rename(state / "swapping.json")
    done = within("update", cwd=other)
    assert done.returncode == 1
    assert "An earlier change was killed while it wrote." in done.stderr
    assert f"perfgen doctor --fix --project {one}" in done.stderr
    within("doctor", "--fix", "--project", str(one), cwd=other)
    assert within("update", cwd=other).returncode == 0
