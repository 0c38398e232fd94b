"""What a user does between a change and its undoing is kept, whatever it is; what git does not see is not touched."""

import shutil
from pathlib import Path

import pytest

from tests.generator.killing import files
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import BINARY
from tests.generator.shelf import GONE
from tests.generator.shelf import status


@pytest.fixture
def service(fresh: Path, tmp_path: Path, git: Git) -> Path:
    """One whose owner edited a file that the template drops, and a binary that it changes."""
    service = Path(shutil.copytree(fresh, tmp_path / "shop"))
    (service / "gone.txt").write_text(GONE + "mine\n")
    (service / "image.bin").write_bytes(BINARY + b"mine")
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    return service


def kept(service: Path) -> dict[str, bytes]:
    """What undoing moved out of the way."""
    return {
        path.name: path.read_bytes()
        for folder in (service / ".git").glob("perfgen-kept*")
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("how", ["edited", "removed", "git rm"])
@pytest.mark.parametrize("path", ["gone.txt", "image.bin"])
def test_a_conflict_that_kept_the_users_file_is_undone(
    service: Path, path: str, how: str, within: Run, git: Git, env: dict[str, str]
) -> None:
    before = files(service)
    assert within("update", cwd=service).returncode == 2
    if how == "edited":
        (service / path).write_bytes(b"typed since")
    elif how == "removed":
        (service / path).unlink()
    else:
        git("rm", "-q", "-f", path, cwd=service)
    done = within("update", "--abort", cwd=service)
    assert done.returncode == 0, done.stderr
    assert files(service) == before
    assert status(service, env) == {}
    assert kept(service) == ({path: b"typed since"} if how == "edited" else {})


@pytest.mark.parametrize("what", ["file", "folder of that name", "file for its folder"])
def test_what_was_written_where_a_file_comes_back_is_kept(
    fresh: Path, what: str, tmp_path: Path, within: Run, git: Git
) -> None:
    service = Path(shutil.copytree(fresh, tmp_path / "shop"))
    before = files(service)
    assert within("update", cwd=service).returncode == 0
    gone = sorted(path for path in before if path not in files(service))
    path = next((path for path in gone if "/" in path), gone[0])
    place = service / path
    if what == "file for its folder":
        if "/" not in path:
            pytest.skip("the template drops no folder")
        place = service / path.split("/")[0]
        if place.exists():
            pytest.skip("the folder is still there")
        place.write_bytes(b"mine")
    elif what == "file":
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"mine")
    else:
        place.mkdir(parents=True)
        (place / "note").write_bytes(b"mine")
    done = within("update", "--abort", cwd=service)
    assert done.returncode == 0, done.stderr
    assert files(service) == before
    assert list(kept(service).values()) == [b"mine"]
    assert "is kept as" in done.stderr


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_what_git_is_told_not_to_see_is_not_overwritten(
    fresh: Path, flag: str, tmp_path: Path, within: Run, git: Git
) -> None:
    service = Path(shutil.copytree(fresh, tmp_path / "shop"))
    git("update-index", flag, "text.txt", cwd=service)
    (service / "text.txt").write_text("local")
    before = files(service)
    done = within("update", cwd=service)
    assert done.returncode == 1
    assert "text.txt is marked so that git does not see your edits of it" in done.stderr
    assert files(service) == before
    assert not (service / ".git" / "perfgen").exists()


def test_a_change_in_a_stash_is_not_forgotten_by_what_writes_nothing(
    fresh: Path, tmp_path: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    service = Path(shutil.copytree(fresh, tmp_path / "shop"))
    before = files(service)
    assert within("update", cwd=service).returncode == 0
    git("stash", "-q", cwd=service)
    assert "already" in within("update", "--to", "1.0.0", cwd=service).stdout
    git("stash", "pop", "-q", "--index", cwd=service)
    done = within("update", "--abort", cwd=service)
    assert done.returncode == 0, done.stderr
    assert files(service) == before
    assert status(service, env) == {}
