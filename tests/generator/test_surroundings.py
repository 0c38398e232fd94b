"""Where a service may lie and how git may be set: it just works, or is refused in a sentence with nothing written."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import LINES
from tests.generator.shelf import changed
from tests.generator.shelf import everything
from tests.generator.shelf import status

MINE = changed(35, "mine\n")
STORED = "_src_path: ~/.local/share/perfgen/template\n_commit: "
BOTH = MINE.replace("line 5\n", "template\n")


def edit(service: Path, git: Git) -> None:
    (service / "text.txt").write_text(MINE)
    git("add", "-A", cwd=service)
    git("commit", "-q", "-m", "mine", cwd=service)


def updates(service: Path, run: Run, env: dict[str, str], git: Git) -> None:
    """The update comes whole, is undone whole, comes again, and can be committed."""
    before = {k: v for k, v in everything(service).items() if k.split("/")[0] != ".git"}
    for _ in range(2):
        done = run("update", cwd=service)
        assert done.returncode == 0, done.stderr
        assert (service / "text.txt").read_text() == BOTH
        assert (service / "deep" / "er" / "added.txt").is_file()
        assert not (service / "gone.txt").exists()
        assert "v1.1.0" in (service / ".copier-answers.yml").read_text()
        changes = status(service, env)
        assert {code[1] for code in changes.values() if code != "??"} == {" "}, changes
        if _ == 0:
            assert run("update", "--abort", cwd=service).returncode == 0
            now = {k: v for k, v in everything(service).items() if k.split("/")[0] != ".git"}
            assert now == before
    git("commit", "-q", "--no-verify", "-m", "updated", cwd=service)
    assert run("update", cwd=service).returncode == 0
    assert not list(Path(git("rev-parse", "--absolute-git-dir", cwd=service)).glob("perfgen*"))


def test_subfolder_of_a_monorepo(
    fresh: Path, tmp_path: Path, run: Run, git: Git, env: dict[str, str]
) -> None:
    top = tmp_path / "mono repo"
    service = top / "services" / "é shop"
    shutil.copytree(fresh, service, ignore=shutil.ignore_patterns(".git"))
    git("init", "-q", cwd=tmp_path, GIT_DIR=str(top / ".git"), GIT_WORK_TREE=str(top))
    (top / ".git" / "config").write_text("[core]\nbare = false\n")
    for name in ("other.txt", "staged.txt", "gone.txt"):
        (top / name).write_text("other\n")
    git("add", "-A", cwd=top)
    git("commit", "-q", "-m", "first", cwd=top)
    edit(service, git)
    (top / "other.txt").write_text("dirty\n")
    (top / "staged.txt").write_text("staged\n")
    git("add", "staged.txt", cwd=top)
    (top / "untracked.txt").write_text("new\n")
    inside = service / "app" / "cache"
    done = run("update", cwd=inside)  # found from a subfolder
    assert done.returncode == 0, done.stderr
    assert (service / "text.txt").read_text() == BOTH
    shown = status(top, env)
    assert shown["staged.txt"] == "M "
    assert shown["other.txt"] == " M"
    assert shown["services/é shop/text.txt"] == "M "
    assert shown["services/é shop/gone.txt"] == "D "
    assert (top / "gone.txt").exists()
    assert run("update", "--abort", "--project", str(service), cwd=tmp_path).returncode == 0
    assert status(top, env) == {"staged.txt": "M ", "other.txt": " M", "untracked.txt": "??"}
    (service / "text.txt").write_text(changed(5, "mine\n"))
    git("commit", "-q", "-m", "conflict", "--", service / "text.txt", cwd=top)
    assert run("update", cwd=service).returncode == 2
    assert status(top, env)["services/é shop/text.txt"] == "UU"
    (service / "text.txt").write_text(changed(5, "both\n"))
    assert run("update", "--continue", cwd=service).returncode == 0
    assert status(top, env)["services/é shop/text.txt"] == "M "


def test_work_tree(service: Path, tmp_path: Path, run: Run, git: Git, env: dict[str, str]) -> None:
    edit(service, git)
    git("worktree", "add", "-q", "-b", "side", tmp_path / "tree", cwd=service)
    updates(tmp_path / "tree", run, env, git)
    assert status(service, env) == {}


def test_detached_head(service: Path, run: Run, git: Git, env: dict[str, str]) -> None:
    edit(service, git)
    git("checkout", "-q", "--detach", cwd=service)
    updates(service, run, env, git)


def test_submodules_beside_and_inside(
    service: Path, tmp_path: Path, run: Run, git: Git, env: dict[str, str]
) -> None:
    edit(service, git)
    other = tmp_path / "other"
    other.mkdir()
    git("init", "-q", cwd=other)
    (other / "file").write_text("x\n")
    git("add", "-A", cwd=other)
    git("commit", "-q", "-m", "x", cwd=other)
    allow = ("-c", "protocol.file.allow=always")
    git(*allow, "submodule", "add", "-q", other, "vendor", cwd=service)
    git("commit", "-q", "-m", "vendor", cwd=service)
    (service / "vendor" / "file").write_text("dirty\n")
    done = run("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert (service / "vendor" / "file").read_text() == "dirty\n"
    assert "vendor" in git("submodule", "status", cwd=service)
    assert status(service, env)["vendor"] == " M"
    # and a service that is itself a submodule
    outer = tmp_path / "outer"
    outer.mkdir()
    git("reset", "-q", "--hard", cwd=service)
    git("init", "-q", cwd=outer)
    git(*allow, "submodule", "add", "-q", service, "shop", cwd=outer)
    updates(outer / "shop", run, env, git)


def test_hooks_and_signing_are_left_out(
    service: Path, run: Run, git: Git, env: dict[str, str]
) -> None:
    edit(service, git)
    for hook in (
        "pre-commit",
        "pre-merge-commit",
        "post-checkout",
        "post-index-change",
        "prepare-commit-msg",
    ):
        path = service / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\ntouch hooked\nexit 1\n")
        path.chmod(0o755)
    for key, value in {
        "commit.gpgSign": "true",
        "gpg.program": "false",
        "merge.conflictStyle": "diff3",
        "core.splitIndex": "true",
        "diff.noprefix": "true",
        "core.quotePath": "true",
        "merge.ff": "only",
    }.items():
        git("config", key, value, cwd=service)
    done = run("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert not (service / "hooked").exists()
    assert (service / "text.txt").read_text() == BOTH


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
    subprocess.run(["git", "merge", "-q", "side"], cwd=service, capture_output=True)


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


def test_two_at_once(service: Path, run: Run) -> None:
    import fcntl
    import os

    handle = os.open(service / ".git", os.O_RDONLY)  # as another perfgen does
    fcntl.flock(handle, fcntl.LOCK_EX)
    before = everything(service)
    done = run("update", cwd=service)
    os.close(handle)
    assert done.returncode == 1
    assert "Another perfgen is at work" in done.stderr
    assert everything(service) == before
    assert len(LINES) == 40


def test_a_git_at_work_is_not_disturbed(service: Path, run: Run, env: dict[str, str]) -> None:
    (service / ".git" / "index.lock").write_text("")
    before = everything(service)
    done = run("update", cwd=service)
    assert done.returncode == 1
    assert "Another git is at work" in done.stderr
    kept = {k: v for k, v in everything(service).items() if not k.startswith(".git/objects")}
    assert kept == {k: v for k, v in before.items() if not k.startswith(".git/objects")}


def test_a_file_that_changes_meanwhile_is_not_lost(
    service: Path, within: Run, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from perfgen import landing

    locking = landing._lock

    def lock(*args: Any) -> None:
        (service / "text.txt").write_text("typed at the last moment\n")
        locking(*args)

    monkeypatch.setattr(landing, "_lock", lock)
    done = within("update", cwd=service)
    assert done.returncode == 1
    assert "A file was changed while perfgen was at work." in done.stderr
    assert (service / "text.txt").read_text() == "typed at the last moment\n"
    assert status(service, env) == {"text.txt": " M"}
    assert not (service / ".git" / "perfgen").exists()


def test_an_index_that_is_renewed_meanwhile(
    service: Path, within: Run, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by an editor's own `git status`: what it staged elsewhere stays."""
    from perfgen import landing

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
