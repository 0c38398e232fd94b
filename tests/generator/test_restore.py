"""`perfgen diff --restore`: a file is as the template gave it, seen first, and can be undone."""

import json
import sys
from pathlib import Path

import pexpect
import pytest

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import everything
from tests.generator.shelf import status


@pytest.fixture
def edited(service: Path, git: Git) -> Path:
    """A service with a file edited, one deleted and one moved."""
    with (service / "tool.sh").open("a") as file:
        file.write("mine\n")
    (service / "lone" / "only.txt").rename(service / "own name.txt")
    (service / "with space é.txt").unlink()
    (service / "own.txt").write_text("own\n")
    git("add", "-A", cwd=service)
    git("commit", "-q", "-m", "edits", cwd=service)
    return service


def apart_from_git(service: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path: file for path, file in everything(service).items() if path.split("/")[0] != ".git"
    }


def test_edited_and_deleted_files_come_back_and_can_be_undone(
    run: Run, edited: Path, fresh: Path, env: dict[str, str]
) -> None:
    before = apart_from_git(edited)
    paths = ["tool.sh", "with space é.txt", "lone/only.txt"]
    done = run("diff", "--restore", "--yes", *(f"../{path}" for path in paths), cwd=edited / "app")
    assert done.returncode == 0, done.stderr
    assert "\n-mine\n" in done.stdout
    assert "yours stays as own name.txt" in done.stderr
    for path in paths:
        assert (edited / path).read_bytes() == (fresh / path).read_bytes()
        assert (edited / path).stat().st_mode == (fresh / path).stat().st_mode
    assert status(edited, env) == {
        "tool.sh": "M ",
        "with space é.txt": "A ",
        "lone/only.txt": "A ",
    }
    assert run("update", "--abort", cwd=edited).returncode == 0
    assert apart_from_git(edited) == before
    assert status(edited, env) == {}


def test_without_a_terminal_it_wants_yes(run: Run, edited: Path) -> None:
    before = everything(edited)
    done = run("diff", "--restore", "tool.sh", cwd=edited)
    assert done.returncode == 1
    assert "\n-mine\n" in done.stdout
    assert "Give --yes" in done.stderr
    dry = run("diff", "--restore", "tool.sh", "--dry-run", "--json", cwd=edited)
    told = json.loads(dry.stdout)
    assert (dry.returncode, told["written"]) == (0, False)
    assert told["files"] == [{"path": "tool.sh", "kind": "changed"}]
    assert "\n-mine\n" in told["diff"]
    assert everything(edited) == before


@pytest.mark.parametrize(("answer", "code", "restored"), [("y", 0, True), ("n", 130, False)])
def test_on_a_terminal_it_asks(
    edited: Path, env: dict[str, str], *, answer: str, code: int, restored: bool
) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "perfgen", "diff", "--restore", "tool.sh"],
        cwd=str(edited),
        env={**env, "TERM": "xterm"},
        encoding="utf-8",
        timeout=30,
        dimensions=(40, 120),
    )
    child.expect("-mine")  # the difference first
    child.expect("Bring this file back")
    child.send(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code
    assert ("mine" not in (edited / "tool.sh").read_text()) == restored


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["own.txt"], "The template gives no own.txt"),
        (["own name.txt"], "perfgen diff --restore lone/only.txt"),
        (["tool.hs"], "Did you mean tool.sh?"),
        (["app/wirings.py"], "Did you mean app/wiring.py?"),
        (["XYZ"], "`perfgen diff` lists what differs."),
        (["app"], "app is a folder"),
        ([".copier-answers.yml"], "is not compared"),
        (["/etc/passwd"], "is not in the service"),
        ([], "--restore needs the files"),
        (["tool.sh", "--exit-code"], "--exit-code does not go with --restore"),
    ],
)
def test_what_cannot_be_restored_is_refused(
    within: Run, edited: Path, names: list[str], words: str
) -> None:
    before = everything(edited)
    done = within("diff", "--restore", "--yes", *names, cwd=edited)
    assert done.returncode == 1
    assert words in done.stderr
    assert everything(edited) == before


def test_a_dirty_tree_is_refused(run: Run, edited: Path) -> None:
    (edited / "stays.txt").write_text("not committed\n")
    before = everything(edited)
    done = run("diff", "--restore", "--yes", "tool.sh", cwd=edited)
    assert done.returncode == 1
    assert "stays.txt has changes that are not committed" in done.stderr
    assert everything(edited) == before


def test_a_file_that_is_as_it_was_is_left_alone(run: Run, edited: Path) -> None:
    before = everything(edited)
    done = run("diff", "--restore", "stays.txt", cwd=edited)
    assert done.returncode == 0, done.stderr
    assert "As the template gave it already." in done.stdout
    assert everything(edited) == before


@pytest.mark.parametrize("link", [False, True], ids=["file", "link"])
def test_what_git_does_not_track_is_not_written_over(
    within: Run, edited: Path, *, link: bool
) -> None:
    """No commit has it, so nothing could bring it back; one that is as the template's may stay."""
    place = edited / "with space é.txt"
    place.symlink_to("own.txt") if link else place.write_text("not committed\n")
    before = everything(edited)
    done = within("diff", "--restore", "--yes", "tool.sh", place.name, cwd=edited)
    assert done.returncode == 1, done.stdout
    assert f"{place.name} is in the way: git does not track yours" in done.stderr
    assert everything(edited) == before
    assert within("diff", "--restore", "--yes", "tool.sh", cwd=edited).returncode == 0
    assert place.is_symlink() == link
    assert place.read_text() == ("own\n" if link else "not committed\n")
