"""`perfgen check`: each thing that can be unsound is told in a line, and a sound service passes as CI has it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import Shelf
from tests.generator.shelf import everything
from tests.generator.shelf import new

ANSWERS = ".copier-answers.yml"
CONFLICT = "<<<<<<< HEAD\none\n=======\ntwo\n>>>>>>> other\n"
Edit = Callable[[Path], object]


def problems(run: Run, service: Path) -> list[str]:
    """The lines that say a problem; the exit code is held against them."""
    done = run("check", cwd=service)
    found = [line for line in done.stdout.splitlines() if line.startswith("problem")]
    assert done.returncode == bool(found), done.stdout + done.stderr
    return [line.removeprefix("problem").strip() for line in found]


def answers(old: str, new: str) -> Edit:
    """The answers file with a text replaced."""

    def edit(service: Path) -> None:
        text = (service / ANSWERS).read_text()
        assert old in text
        (service / ANSWERS).write_text(text.replace(old, new))

    return edit


def write(path: str, text: str) -> Edit:
    def edit(service: Path) -> None:
        (service / path).parent.mkdir(parents=True, exist_ok=True)
        (service / path).write_text(text)

    return edit


def remove(folder: str) -> Edit:
    return lambda service: shutil.rmtree(service / folder)


ROWS: dict[str, tuple[Edit, list[str]]] = {
    "a pattern that is none": (answers("- cache\n", "- cahce\n"), ["did you mean cache?"]),
    "a setting that is none": (
        answers("project:", "pythn_version: x\nproject:"),
        ["did you mean python_version?"],
    ),
    "a number out of range": (
        answers("max_replicas: 3", "max_replicas: 0"),
        ["answers: max_replicas (0): a number from 1 to 1000."],
    ),
    "an answer taken out": (
        answers("max_replicas: 3\n", ""),
        ["answers: max_replicas is not answered; the template would take 3"],
    ),
    "a pattern taken out": (
        answers("- cache\n", ""),
        ["app/cache is there, and cache is not", "app/redis is there, and redis is not"],
    ),
    "a pattern put in": (
        answers("- example\n", "- example\n- tracing\n"),
        ["tracing is among the answers, and there is no app/tracing"],
    ),
    "a pattern's folder deleted": (
        remove("migrations/versions/database"),
        ["database is among the answers, and there is no migrations/versions/database"],
    ),
    "a version that there is not": (
        answers("_commit: v1.0.0", "_commit: v7.0.0"),
        ["template: The service is of template 7.0.0, which is not in"],
    ),
    "a version that it is not of": (
        answers("_commit: v1.0.0", "_commit: v1.1.0"),
        ["files: the files are of template 1.0.0, and `_commit` says 1.1.0"],
    ),
    "a source that is not here": (
        answers("_src_path: ", "_src_path: /nowhere"),
        ["template: The template that the service was made from is not on this machine"],
    ),
    "answers in conflict": (
        answers("_commit: v1.0.0\n", CONFLICT.replace("one", "_commit: v1.0.0")),
        ["conflicts: .copier-answers.yml has conflict markers", "is not YAML"],
    ),
    "a conflict": (
        write("app/cache/__init__.py", CONFLICT),
        ["conflicts: app/cache/__init__.py has conflict markers"],
    ),
    "what is left of one": (
        write("app/cache/__init__.py", "one = 1\n=======\none = 2\n"),
        ["conflicts: app/cache/__init__.py has conflict markers"],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_each_row_is_told_in_its_lines(within: Run, service: Path, git: Git, name: str) -> None:
    edit, words = ROWS[name]
    edit(service)
    git("add", "-A", cwd=service)
    before = everything(service)
    found = problems(within, service)
    assert len(found) == len(words), found
    for line, word in zip(found, words, strict=True):
        assert word in line
    assert everything(service) == before


def test_a_version_that_it_is_no_more_of(
    run: Run, within: Run, shelf: Shelf, tmp_path: Path
) -> None:
    service = new(run, shelf, tmp_path, "--template-version", "v1.1.0")
    (service / "added.txt").unlink()  # as if of a pattern that only the newer version has
    assert problems(within, service) == []
    answers("_commit: v1.1.0", "_commit: v1.0.0")(service)
    (line,) = problems(within, service)
    assert "the files are of template 1.1.0, and `_commit` says 1.0.0" in line


def test_what_an_owner_may_do_is_no_problem(within: Run, service: Path, git: Git) -> None:
    (service / "app" / "tracing").mkdir()
    (service / "app" / "tracing" / "own.py").write_text("a folder that only has a pattern's name")
    (service / "migrations" / "versions" / "database" / "0001_first.py").write_text("edited")
    (service / "stays.txt").rename(service / "moved.txt")
    (service / "gone.txt").unlink()
    (service / "text.txt").write_text("It begins with <<<<<<< HEAD\nand ends with >>>>>>> other\n")
    git("add", "-A", cwd=service)
    assert problems(within, service) == []


def test_a_checkout_of_ci_is_enough(
    run: Run, fresh: Path, git: Git, tmp_path: Path, env: dict[str, str]
) -> None:
    """Shallow, detached, nobody known to git, and nothing written."""
    (tmp_path / "home").mkdir()
    git("clone", "-q", "--depth", "1", fresh.as_uri(), "shop", cwd=tmp_path)
    git("checkout", "-q", "--detach", cwd=tmp_path / "shop")
    before = everything(tmp_path / "shop")
    alone = {"HOME": str(tmp_path / "home")}
    done = run("check", "--json", cwd=tmp_path / "shop", env_more=alone)
    told = json.loads(done.stdout)
    assert (done.returncode, told["sound"]) == (0, True), done.stdout
    assert {one["what"] for one in told["findings"]} == {
        "change",
        "conflicts",
        "lock",
        "template",
        "answers",
        "files",
    }
    assert everything(tmp_path / "shop") == before


def test_an_unmerged_file_and_a_change_that_waits(run: Run, service: Path, git: Git) -> None:
    done = run("add", "tracing", cwd=service)
    assert done.returncode == 0, done.stderr
    assert [line.split(".")[0] for line in problems(run, service)] == [
        "change: The earlier change is not committed"
    ]
    git("commit", "-q", "-m", "tracing", cwd=service)
    assert problems(run, service) == []
    blob = git("rev-parse", "HEAD:text.txt", cwd=service)
    entries = "".join(f"100644 {blob} {stage}\ttext.txt\n" for stage in (1, 2, 3))
    (service / "entries").write_text(entries)
    git("update-index", "--force-remove", "text.txt", cwd=service)
    with (service / "entries").open() as file:
        import subprocess

        subprocess.run(["git", "update-index", "--index-info"], cwd=service, stdin=file, check=True)
    assert problems(run, service) == [
        "conflicts: text.txt is unmerged: decide it, then `git add` it"
    ]


@pytest.mark.parametrize("committed", [False, True])
def test_what_it_says_of_edited_answers_helps(
    within: Run, service: Path, git: Git, *, committed: bool
) -> None:
    answers("max_replicas: 3", "max_replicas: 2")(service)
    git("commit", "-q", "-a", "-m", "as they were", cwd=service)
    answers("_commit: v1.0.0", "_commit: v1.1.0")(service)
    if committed:
        git("commit", "-q", "-a", "-m", "by hand", cwd=service)
    (line,) = problems(within, service)
    assert line.endswith("; then `perfgen update`")
    command = line.partition("git ")[2].split(" &&")[0].split(";")[0]
    git(*command.split(), cwd=service)
    assert problems(within, service) == []
    assert "max_replicas: 2" in (service / ANSWERS).read_text()
