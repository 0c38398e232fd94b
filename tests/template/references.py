"""What the files of a service say about its other files, for finding what is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.template.tree import Tree

# A path in prose or in a Makefile: `app/cache`, dev/run.py, migrations/versions/example/.
_PATH = re.compile(
    r"(?<![\w./<~-])(?:(?:app|dev|tests|migrations|deploy)/[\w./*-]*\w/?|\w[\w-]*\.(?:py|md|ini|toml|lock)\b)"
)
_LINK = re.compile(r"\]\((?!\w+:|#|/)([^)#\s]+)")
_MODULE = re.compile(r"-m (app|dev|tests)((?:\.\w+)*)")
_TARGET = re.compile(r"`make ([a-z][\w-]*)")


def dangling(tree: Tree) -> list[str]:
    """Each mention of a file, module or make target that the service does not have."""
    problems = []
    for name, text in tree.prose_and_code.items():
        if name.endswith("ignore"):  # may name what is not there yet
            continue
        problems += [
            f"{name} names {mentioned}, which is not there"
            for mentioned in _mentioned(name, text)
            if not _exists(tree, name, mentioned)
        ]
    return problems + _missing_targets(tree)


def _mentioned(name: str, text: str) -> Iterator[str]:
    if name.endswith(".md"):
        yield from _LINK.findall(text)
    for module, below in _MODULE.findall(text):
        yield module + below.replace(".", "/")
    if name.endswith((".md", ".yaml", ".yml", ".toml", ".ini")) or "/" not in name:
        prose = re.sub(r"\w+://\S+", "", text)
        yield from (found.group(0) for found in _PATH.finditer(prose))


def _exists(tree: Tree, name: str, mentioned: str) -> bool:
    """Whether that path, from the service's folder or from the file's, is a file or a folder."""
    if "*" in mentioned or "..." in mentioned:
        return True
    known = tree.files.keys() | tree.folders
    for base in (PurePosixPath(), PurePosixPath(name).parent):
        path = _normal(base / mentioned.rstrip("/."))
        if path in known or f"{path}.py" in known:
            return True
    return False


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            del parts[-1:]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _missing_targets(tree: Tree) -> list[str]:
    rules = "\n".join([tree.files.get("Makefile", ""), *tree.ending(".mk").values()])
    targets = set(re.findall(r"(?m)^([a-z][\w-]*):", rules))
    return [
        f"{name} says `make {target}`, which the Makefile does not have"
        for name, text in tree.prose_and_code.items()
        for target in _TARGET.findall(text)
        if target not in targets
    ]
