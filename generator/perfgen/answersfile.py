"""The answers file as it lies in a service, and how it comes back when it is damaged."""

import re
from pathlib import Path
from typing import Any

import yaml

from perfgen import git
from perfgen.errors import Refused

# What git may take for a tag or commit; a dash in front would make an option of it.
_VERSION = re.compile(r"(?!-)[^\s\x00-\x20\x7f~^:?*\[\\]+")


def read(path: Path) -> tuple[str, str, dict[str, Any]]:
    """Source, version and answers as the file has them."""
    if not path.is_file():
        raise _broken(path, "is gone.")
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (UnicodeDecodeError, ValueError, yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise _broken(path, f"is not YAML{where}.") from error
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise _broken(path, "does not map names to values.")
    for key in ("_src_path", "_commit"):
        if not isinstance(data.get(key), str) or not data[key]:
            raise _broken(path, f"does not say what the service was made from: no {key}.")
    if not _VERSION.fullmatch(data["_commit"]):
        raise _broken(path, f"names no version in _commit: {data['_commit']!r}.")
    answers = {name: value for name, value in data.items() if not name.startswith("_")}
    return data["_src_path"], data["_commit"], answers


def _broken(path: Path, what: str) -> Refused:
    return Refused(f"{path} {what}", how_to_take_back(path))


def how_to_take_back(path: Path) -> str:
    """How the answers file comes back as it was, be the edit of it committed or not."""
    folder, name = path.parent, path.name
    if git.says("--no-optional-locks", "status", "--porcelain", "--", name, cwd=folder):
        return f"Bring it back as it was: git checkout HEAD -- {name}"
    commits = git.says("log", "-2", "--format=%h", "--", name, cwd=folder).split()
    if len(commits) < 2:
        return f"`git log -p -- {name}` shows how it was"
    return (
        f"Bring it back as it was before the commit {commits[0]}:"
        f" git checkout {commits[1]} -- {name} && git commit"
    )
