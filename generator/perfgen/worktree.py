"""The service as it lies in the work tree, with what is not committed, as git would keep it."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from perfgen import git
from perfgen import policies
from perfgen.scratch import Entry
from perfgen.scratch import Scratch
from perfgen.scratch import Tree
from perfgen.service import Service

# Nothing is written into the user's repository: no hook runs, and no index is shared with it.
_APART = {"core.hooksPath": os.devnull, "core.splitIndex": "false", "core.fsmonitor": "false"}


def lying(service: Service, scratch: Scratch, given: Iterable[str], folder: Path) -> Tree:
    """The tracked files, and those of `given` that lie there untracked and are not ignored.

    The user's own filters and line ends apply, as they would at `git add`; what that makes goes into `scratch`,
    and the index that it takes into `folder`.
    """
    index = folder / "lying-index"
    shutil.copy2(service.index, index)  # with its time, as landing.py does
    env = git.configured(_APART) | {
        "GIT_INDEX_FILE": str(index),
        "GIT_OBJECT_DIRECTORY": str(
            scratch.folder / ".git" / "objects"
        ),  # which borrows the user's
    }
    git.raw("add", "-u", "--", ".", cwd=service.folder, env=env)
    tree = _listed(service, env)
    policies.require_no_submodule(tree, given)
    loose = [name for name in given if name not in tree and _is_file(service.folder / name)]
    ignored = policies.ignored(service, loose)
    data = b"".join(os.fsencode(name) + b"\0" for name in loose if name not in ignored)
    if data:
        git.raw("update-index", "-z", "--add", "--stdin", cwd=service.folder, env=env, data=data)
        tree = _listed(service, env)
    return tree


def _is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _listed(service: Service, env: dict[str, str]) -> Tree:
    lines = git.raw("ls-files", "-s", "-z", cwd=service.folder, env=env).split(b"\0")
    tree: Tree = {}
    for line in filter(None, lines):
        meta, path = line.split(b"\t", 1)
        mode, sha, _ = meta.decode().split()
        tree[os.fsdecode(path)] = Entry(mode, sha)
    return tree
