"""Where a service may lie and how git may be set: it just works, or is refused in a sentence with nothing written."""

import shutil
from pathlib import Path

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import changed
from tests.generator.shelf import everything
from tests.generator.shelf import status

MINE = changed(35, "mine\n")
BOTH = MINE.replace("line 5\n", "template\n")


def edit(service: Path, git: Git) -> None:
    (service / "text.txt").write_text(MINE)
    git("add", "-A", cwd=service)
    git("commit", "-q", "-m", "mine", cwd=service)


def updates(service: Path, within: Run, env: dict[str, str], git: Git) -> None:
    """The update comes whole, is undone whole, comes again, and can be committed."""
    before = {k: v for k, v in everything(service).items() if k.split("/")[0] != ".git"}
    for _ in range(2):
        done = within("update", cwd=service)
        assert done.returncode == 0, done.stderr
        assert (service / "text.txt").read_text() == BOTH
        assert (service / "deep" / "er" / "added.txt").is_file()
        assert not (service / "gone.txt").exists()
        assert "v1.1.0" in (service / ".copier-answers.yml").read_text()
        changes = status(service, env)
        assert {code[1] for code in changes.values() if code != "??"} == {" "}, changes
        if _ == 0:
            assert within("update", "--abort", cwd=service).returncode == 0
            now = {k: v for k, v in everything(service).items() if k.split("/")[0] != ".git"}
            assert now == before
    git("commit", "-q", "--no-verify", "-m", "updated", cwd=service)
    assert within("update", cwd=service).returncode == 0
    assert not list(Path(git("rev-parse", "--absolute-git-dir", cwd=service)).glob("perfgen*"))


def test_subfolder_of_a_monorepo(
    fresh: Path, tmp_path: Path, within: Run, git: Git, env: dict[str, str]
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
    done = within("update", cwd=inside)  # found from a subfolder
    assert done.returncode == 0, done.stderr
    assert (service / "text.txt").read_text() == BOTH
    shown = status(top, env)
    assert shown["staged.txt"] == "M "
    assert shown["other.txt"] == " M"
    assert shown["services/é shop/text.txt"] == "M "
    assert shown["services/é shop/gone.txt"] == "D "
    assert (top / "gone.txt").exists()
    assert within("update", "--abort", "--project", str(service), cwd=tmp_path).returncode == 0
    assert status(top, env) == {"staged.txt": "M ", "other.txt": " M", "untracked.txt": "??"}
    (service / "text.txt").write_text(changed(5, "mine\n"))
    git("commit", "-q", "-m", "conflict", "--", service / "text.txt", cwd=top)
    assert within("update", cwd=service).returncode == 2
    assert status(top, env)["services/é shop/text.txt"] == "UU"
    (service / "text.txt").write_text(changed(5, "both\n"))
    assert within("update", "--continue", cwd=service).returncode == 0
    assert status(top, env)["services/é shop/text.txt"] == "M "


def test_a_service_that_was_moved_before_its_change_was_committed(
    fresh: Path, tmp_path: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    """The change is of the files where they were; it is told, and undone or committed once they are back."""
    top = tmp_path / "mono"
    shutil.copytree(fresh, top / "shop", ignore=shutil.ignore_patterns(".git"))
    git("init", "-q", cwd=top)
    git("add", "-A", cwd=top)
    git("commit", "-q", "-m", "first", cwd=top)
    assert within("add", "tracing", cwd=top / "shop").returncode == 0
    git("mv", "shop", "store", cwd=top)
    for words in ("update --abort", "update --continue", "add limit", "doctor --fix", "check"):
        done = within(*words.split(), cwd=top / "store")
        assert done.returncode == 1
        assert f"{top / 'store'} was {top / 'shop'} when perfgen changed it" in done.stderr
        assert "Move it back" in done.stderr
    git("mv", "store", "shop", cwd=top)
    assert within("update", "--abort", cwd=top / "shop").returncode == 0
    assert status(top, env) == {}


def test_work_tree(
    service: Path, tmp_path: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    edit(service, git)
    git("worktree", "add", "-q", "-b", "side", tmp_path / "tree", cwd=service)
    updates(tmp_path / "tree", within, env, git)
    assert status(service, env) == {}


def test_detached_head(service: Path, within: Run, git: Git, env: dict[str, str]) -> None:
    edit(service, git)
    git("checkout", "-q", "--detach", cwd=service)
    updates(service, within, env, git)


def test_submodules_beside_and_inside(
    service: Path, tmp_path: Path, within: Run, git: Git, env: dict[str, str]
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
    done = within("update", cwd=service)
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
    updates(outer / "shop", within, env, git)


def test_hooks_and_signing_are_left_out(
    service: Path, within: Run, git: Git, env: dict[str, str]
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
    done = within("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert not (service / "hooked").exists()
    assert (service / "text.txt").read_text() == BOTH
