"""Versions of the template in a git repository, and services that move between them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from maintain import uv
from tests.template.tree import Tree

NOW = "v1000.0.0"  # the template of this working tree, as a release
# Nobody's configuration, and somebody to commit as.
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", "Tests"), ("EMAIL", "tests@localhost"))
    },
}


def git(*arguments: str | Path, cwd: Path) -> str:
    """Run git with nobody's configuration; what it printed."""
    return subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env=uv.environment() | GIT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def commit(folder: Path, message: str) -> None:
    """Commit all there is, in a repository that is made when there is none."""
    if not (folder / ".git").exists():
        git("init", "--quiet", "--initial-branch=main", cwd=folder)
    git("add", "--all", "--force", cwd=folder)
    git("commit", "--quiet", "--allow-empty", "--no-verify", "-m", message, cwd=folder)


def release(template: Path, tag: str) -> None:
    """Commit the template under this tag."""
    commit(template, tag)
    git("tag", tag, cwd=template)


def copier(*arguments: str | Path, cwd: Path) -> None:
    """Run copier as its users do, in a process of its own and without --trust."""
    done = subprocess.run(
        [sys.executable, "-m", "copier", *arguments],
        cwd=cwd,
        env=uv.environment() | GIT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"copier {arguments}: {done.stdout}\n{done.stderr}"


def _answer(patterns: list[str]) -> str:
    return f"patterns={yaml.safe_dump(patterns, default_flow_style=True, width=10_000).strip()}"


def new(template: Path | str, target: Path, patterns: list[str], tag: str) -> Path:
    """A new service of the template in that folder or at that URL, committed."""
    data = ("--data", "project=demo", "--data", _answer(patterns))
    copier(
        *("copy", "--quiet", "--defaults", "--vcs-ref", tag, *data, template, target),
        cwd=target.parent,
    )
    commit(target, "new")
    return target


def update_as_renovate(service: Path, tag: str) -> None:
    """What Renovate runs, and commit what it did."""
    answers = ("--skip-answered", "--defaults", "--answers-file", ".copier-answers.yml")
    copier("update", *answers, "--vcs-ref", tag, cwd=service)
    commit(service, "updated")


def update(service: Path, patterns: list[str] | None = None, tag: str | None = None) -> None:
    """`copier update`, with other patterns or to another version, and commit what it did."""
    data = [] if patterns is None else ["--data", _answer(patterns)]
    ref = ["--vcs-ref", tag] if tag else []
    copier("update", "--quiet", "--defaults", *data, *ref, cwd=service)
    commit(service, "updated")


def differences(service: Path, fresh: Path) -> list[str]:
    """Where the two services are not the same, byte for byte, folder for folder, mode for mode."""
    one, other = Tree(service), Tree(fresh)
    names = one.files.keys() | other.files.keys()
    found = [name for name in sorted(names) if one.files.get(name) != other.files.get(name)]
    found += sorted(f"{folder}/" for folder in one.folders ^ other.folders if ".git" not in folder)
    return found + [name for name in names if _mode(service / name) != _mode(fresh / name)]


def _mode(path: Path) -> int | None:
    return path.stat().st_mode & 0o111 if path.exists() else None
