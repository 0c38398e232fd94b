"""A clone that converts line ends (core.autocrlf=true, as git for Windows sets it) changes nothing."""

import shutil
from pathlib import Path

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.kinds import Tree

CONVERTED = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.autocrlf",
    "GIT_CONFIG_VALUE_0": "true",
}


def test_a_clone_of_this_repository(root: Path, git: Git, tree: Tree, tmp_path: Path) -> None:
    """The same bytes, so that it renders, and releases, the same bytes."""
    mine, clone = tmp_path / "mine", tmp_path / "clone"
    listed = git("ls-files", "-z", "-c", "-o", "--exclude-standard", cwd=root)
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (mine / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, mine / name)
    git("init", "-q", cwd=mine)
    git("add", "-A", "-f", cwd=mine)
    git("commit", "-q", "-m", "all", cwd=mine)
    git("clone", "-q", "-c", "core.autocrlf=true", mine, clone, cwd=tmp_path)
    assert tree(clone) == tree(mine)


def test_a_service_made_where_git_converts(
    run: Run, git: Git, template: Path, tree: Tree, tmp_path: Path
) -> None:
    new = ("new", "shop", "--defaults", "--template", str(template))
    for name, more in (("plain", {}), ("converted", CONVERTED)):
        (tmp_path / name).mkdir()
        done = run(*new, cwd=tmp_path / name, env_more=more)
        assert done.returncode == 0, done.stderr
    expected = tree(tmp_path / "plain" / "shop")
    assert tree(tmp_path / "converted" / "shop") == expected
    git("clone", "-q", tmp_path / "converted" / "shop", "clone", cwd=tmp_path, **CONVERTED)
    assert tree(tmp_path / "clone") == expected
