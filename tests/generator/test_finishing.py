"""A change with conflicts is finished or undone; nothing that the user wrote meanwhile is lost."""

import json
import shutil
from pathlib import Path

import pytest

from tests.generator.killing import files
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import BINARY
from tests.generator.shelf import GONE
from tests.generator.shelf import changed
from tests.generator.shelf import status


@pytest.fixture(scope="module")
def conflicting(
    fresh: Path, run: Run, git: Git, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, bytes]]:
    """A service in the middle of an update with three conflicts, and how it was before."""
    service = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("conflicting") / "shop"))
    (service / "text.txt").write_text(changed(5, "mine\n"))
    (service / "gone.txt").write_text(GONE + "mine\n")
    (service / "image.bin").write_bytes(BINARY + b"mine")
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    before = files(service)
    done = run("update", cwd=service)
    assert done.returncode == 2
    assert "Conflicts: 3" in done.stdout
    assert "perfgen update --continue" in done.stdout
    for word in ("theirs", "--ours", "checkout", "discard", "git rm"):
        assert word not in done.stdout, "no guidance sends anybody's side away"
    return service, before


@pytest.fixture
def service(conflicting: tuple[Path, dict[str, bytes]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(conflicting[0], tmp_path / "shop"))


def test_continue_wants_every_conflict_decided(
    service: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    done = within("update", "--continue", cwd=service)
    assert done.returncode == 2
    assert "text.txt still has conflict markers." in done.stderr
    (service / "text.txt").write_text(changed(5, "both\n"))
    done = within("update", "--continue", cwd=service)
    assert done.returncode == 2
    assert "gone.txt is not decided yet." in done.stderr
    git("add", "gone.txt", cwd=service)
    done = within("update", "--continue", cwd=service)
    assert done.returncode == 2
    assert "image.bin is not decided yet." in done.stderr
    (service / "image.bin").write_bytes(b"another")
    done = within("update", "--continue", "--json", cwd=service)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["next"] == ['git commit -m "Template 1.1.0"']
    assert within("update", "--continue", cwd=service).returncode == 0  # as often as one likes
    now = status(service, env)
    assert {now[path] for path in ("text.txt", "image.bin")} == {"M "}
    assert "gone.txt" not in now
    git("commit", "-q", "-m", "updated", cwd=service)
    assert within("update", cwd=service).returncode == 0
    assert not (service / ".git" / "perfgen").exists()


def test_markers_that_were_added_to_the_index_are_found(
    service: Path, within: Run, git: Git
) -> None:
    git("add", "-A", cwd=service)
    done = within("update", "--continue", cwd=service)
    assert done.returncode == 2
    assert "text.txt still has conflict markers." in done.stderr


def test_a_removed_file_is_decided(
    service: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    (service / "gone.txt").unlink()
    git("add", "image.bin", cwd=service)
    (service / "text.txt").write_text(changed(5, "both\n"))
    assert within("update", "--continue", cwd=service).returncode == 0
    assert status(service, env)["gone.txt"] == "D "


def test_abort_restores_all_and_keeps_what_was_written_since(
    service: Path,
    conflicting: tuple[Path, dict[str, bytes]],
    within: Run,
    git: Git,
    env: dict[str, str],
) -> None:
    (service / "own.txt").write_text("own\n")
    (service / "added.txt").write_text("typed into a new file\n")
    (service / "text.txt").write_text("half resolved\n")
    (service / "other.txt").write_text("staged meanwhile\n")
    git("add", "other.txt", cwd=service)
    done = within("update", "--abort", cwd=service)
    assert done.returncode == 0, done.stderr
    now = files(service)
    assert now.pop("own.txt")[1:] == b"own\n"
    assert now.pop("other.txt")[1:] == b"staged meanwhile\n"
    assert now == conflicting[1]
    assert status(service, env) == {"own.txt": "??", "other.txt": "A "}
    kept = service / ".git" / "perfgen-kept"
    assert (kept / "added.txt").read_text() == "typed into a new file\n"
    assert (kept / "text.txt").read_text() == "half resolved\n"
    assert f"What you wrote into added.txt since is kept as {kept / 'added.txt'}." in done.stderr
    assert not (service / ".git" / "perfgen").exists()


def test_an_unfinished_change_is_in_the_way_of_another(service: Path, within: Run) -> None:
    before = files(service)
    for command in (["update"], ["add", "tracing"], ["remove", "cache", "--dry-run"]):
        done = within(*command, cwd=service)
        assert done.returncode == 1
        assert "An earlier change is not finished." in done.stderr
        assert "--continue" in done.stderr
    assert files(service) == before
    looked = within("doctor", "--json", cwd=service)
    assert looked.returncode == 1
    wrong = [one for one in json.loads(looked.stdout)["findings"] if not one["sound"]]
    assert "An earlier change is not finished." in [one["says"] for one in wrong]


def test_what_was_committed_or_reset_is_over(service: Path, within: Run, git: Git) -> None:
    git("reset", "-q", "--hard", cwd=service)
    assert within("update", "--abort", cwd=service).returncode == 1
    done = within("add", "tracing", cwd=service)
    assert done.returncode == 0, done.stderr
    again = within("add", "limit", cwd=service)
    assert "The earlier change is not committed." in again.stderr
    git("commit", "-q", "-m", "tracing", cwd=service)
    undone = within("update", "--abort", cwd=service)
    assert undone.returncode == 1
    assert "A committed one is undone with `git revert`;" in undone.stderr
    assert within("add", "limit", cwd=service).returncode == 0


def test_a_change_without_conflicts_is_undone_too(
    fresh: Path, tmp_path: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    other = Path(shutil.copytree(fresh, tmp_path / "other"))
    before = files(other)
    assert within("add", "tracing", cwd=other).returncode == 0
    assert files(other) != before
    assert within("update", "--abort", cwd=other).returncode == 0
    assert files(other) == before
    assert status(other, env) == {}
