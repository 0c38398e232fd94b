"""A service that cannot be changed now: refused in a sentence that says what to do, with nothing written."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import changed
from tests.generator.shelf import everything
from tests.generator.test_surroundings import edit

STORED = "_src_path: ~/.local/share/perfgen/template\n_commit: "


def _broken(text: str) -> Callable[[Path, Git], None]:
    def spoil(service: Path, git: Git) -> None:
        (service / ".copier-answers.yml").write_text(text)
        git("commit", "-q", "-a", "-m", "broken", cwd=service)

    return spoil


def _dirty(service: Path, git: Git) -> None:
    (service / "text.txt").write_text("mine\n")


def _staged(service: Path, git: Git) -> None:
    (service / "own.txt").write_text("mine\n")
    git("add", "own.txt", cwd=service)


def _unborn(service: Path, git: Git) -> None:
    shutil.rmtree(service / ".git")
    git("init", "-q", cwd=service)


def _merging(service: Path, git: Git) -> None:
    git("checkout", "-q", "-b", "side", cwd=service)
    edit(service, git)
    git("checkout", "-q", "-", cwd=service)
    (service / "text.txt").write_text(changed(35, "other\n"))
    git("commit", "-q", "-a", "-m", "other", cwd=service)
    # The machine's git may not know who its user is, and then begins no merge.
    who = ("-c", "user.name=x", "-c", "user.email=x@localhost")
    subprocess.run(["git", *who, "merge", "-q", "side"], cwd=service, capture_output=True)


def _stopped_rebase(service: Path, git: Git) -> None:
    (service / ".git" / "rebase-merge").mkdir()


def _not_answered(service: Path, git: Git) -> None:
    (service / ".copier-answers.yml").unlink()
    git("commit", "-q", "-a", "-m", "gone", cwd=service)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_dirty, "text.txt has changes that are not committed."),
        (_staged, "own.txt has changes that are not committed."),
        (_unborn, "has no commit yet."),
        (lambda service, _: shutil.rmtree(service / ".git"), "is not in a git repository"),
        (_merging, "A merge is under way"),
        (_stopped_rebase, "A rebase is under way"),
        (_not_answered, "There is no .copier-answers.yml"),
        (lambda service, _: (service / ".copier-answers.yml").unlink(), ".copier-answers.yml is gone."),
        (_broken("a: [\n"), ".copier-answers.yml is not YAML (line 2)."),
        (_broken("- a\n"), "does not map names to values."),
        (_broken("project: shop\n"), "no _src_path."),
        (_broken(STORED + "-v1.0.0\n"), "names no version in _commit: '-v1.0.0'."),
        (_broken(STORED + "'--help'\n"), "names no version in _commit: '--help'."),
        (_broken(STORED + "v1.0.0 or so\n"), "names no version in _commit"),
        (_broken("_src_path: /nowhere/at/all\n_commit: v1.0.0\n"), "is not on this machine: /nowhere/at/all."),
        (_broken("_src_path: nowhere\n_commit: v1.0.0\n"), "no absolute path and no URL"),
        (_broken(STORED + "v99.0.0\n"), "this perfgen has not got."),
        (_broken(STORED + "v0.2.0.dev1+gabc\n"), "a development build that this machine has not got."),
        (_broken("_src_path: https://127.0.0.1:9/x.git\n_commit: v1.0.0\n"), "could not be fetched"),
    ],
)  # fmt: skip
def test_refused_with_nothing_written(
    service: Path, within: Run, git: Git, spoil: Callable[[Path, Git], None], words: str
) -> None:
    spoil(service, git)
    before = everything(service)
    done = within("add", "tracing", cwd=service)
    assert done.returncode == 1, done.stdout
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2, done.stderr  # what is wrong, and what to do
    assert everything(service) == before


@pytest.mark.parametrize("committed", [False, True])
def test_how_damaged_answers_come_back(
    service: Path, within: Run, git: Git, *, committed: bool
) -> None:
    """The command that is printed does it, also when the damage is committed."""
    _dirty(service, git)
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    before = (service / ".copier-answers.yml").read_text()
    assert within("add", "cache", "--set", "max_replicas=2", cwd=service).returncode == 0
    git("commit", "-q", "-m", "less", cwd=service)
    less = (service / ".copier-answers.yml").read_text()
    assert less != before
    (service / ".copier-answers.yml").write_text("a: [\n")
    if committed:
        git("commit", "-q", "-a", "-m", "broken", cwd=service)
    done = within("update", cwd=service)
    assert done.returncode == 1
    command = done.stderr.rpartition(": ")[2].partition(" &&")[0].split()
    assert command[:2] == ["git", "checkout"]
    git(*command[1:], cwd=service)
    assert (service / ".copier-answers.yml").read_text() == less


def test_a_current_folder_that_is_gone(service: Path, env: dict[str, str]) -> None:
    """As after `perfgen remove` in the folder of what goes."""
    import sys

    for words in ("update", "check", "diff text.txt", "update --abort", "new other --defaults"):
        script = (
            f"mkdir lost && cd lost && rmdir ../lost && exec {sys.executable} -m perfgen {words}"
        )
        done = subprocess.run(
            ["sh", "-c", script], cwd=service, env=env, capture_output=True, text=True
        )
        assert done.returncode == 1, done.stdout
        assert done.stderr == (
            f"Error: The current folder does not exist any more.\nFirst: cd {service}\n"
        )
    script = f"mkdir lost && cd lost && rmdir ../lost && exec {sys.executable} -m perfgen --version"
    assert subprocess.run(["sh", "-c", script], cwd=service, env=env).returncode == 0
