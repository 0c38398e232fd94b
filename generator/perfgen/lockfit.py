"""Whether uv.lock is of the pyproject.toml beside it: told from the two files, without uv."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from perfgen.errors import Refused

Table = dict[str, Any]
# What is asked for: name, extras, and the versions as text in one order.
Wish = tuple[str, frozenset[str], str]


def misfits(folder: Path) -> list[str]:
    """What in the lock is not as pyproject.toml asks for it, a sentence each; none when they fit.

    Refused when a file cannot be read. Markers are not compared: uv writes them otherwise than people do.
    """
    project, lock = _toml(folder / "pyproject.toml"), _toml(folder / "uv.lock")
    own = project.get("project", {})
    root = _root(lock, own)
    if root is None:
        return [f"uv.lock has no package {own.get('name')!r}"]
    found = []
    if _versions(own.get("requires-python", "")) != _versions(lock.get("requires-python", "")):
        found.append(
            f"requires-python is {own.get('requires-python')}, and {lock.get('requires-python')} in uv.lock"
        )
    if "version" in own and "version" in root and own["version"] != root["version"]:
        found.append(f"the version is {own['version']}, and {root['version']} in uv.lock")
    metadata = root.get("metadata", {})
    asked, kept = _dependencies(own), metadata.get("requires-dist", [])
    found += _compared("dependencies", asked, kept, lock)
    groups, locked = _groups(project), metadata.get("requires-dev", {})
    for name in sorted(groups.keys() | locked.keys()):
        found += _compared(f"group {name}", groups.get(name, []), locked.get(name, []), lock)
    return found


def _toml(path: Path) -> Table:
    if not path.is_file():
        raise Refused(f"{path.name} is gone.", "Bring it back: git checkout HEAD -- " + path.name)
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused(f"{path.name} is not TOML: {error}.", "Mend it by hand.") from error


def _root(lock: Table, own: Table) -> Table | None:
    name = canonicalize_name(str(own.get("name", "")))
    for package in lock.get("package", []):
        source = package.get("source", {})
        if package.get("name") == name and {"virtual", "editable", "directory"} & source.keys():
            return dict(package)
    return None


def _dependencies(own: Table) -> list[str]:
    optional = own.get("optional-dependencies", {})
    return [*own.get("dependencies", []), *(one for extra in optional.values() for one in extra)]


def _groups(project: Table) -> dict[str, list[str]]:
    """The dependency groups, each with those that it includes; uv's older `dev-dependencies` are in `dev`."""
    raw = {str(canonicalize_name(k)): v for k, v in project.get("dependency-groups", {}).items()}
    groups = {name: _expanded(raw, name, frozenset()) for name in raw}
    older = project.get("tool", {}).get("uv", {}).get("dev-dependencies", [])
    if older:
        groups["dev"] = [*groups.get("dev", []), *older]
    return groups


def _expanded(groups: dict[str, list[Any]], name: str, seen: frozenset[str]) -> list[str]:
    found: list[str] = []
    for item in groups.get(name, []) if name not in seen else []:
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, dict) and "include-group" in item:
            found += _expanded(groups, canonicalize_name(item["include-group"]), seen | {name})
    return found


def _compared(where: str, asked: Iterable[str], kept: Iterable[Table], lock: Table) -> list[str]:
    """What one list of pyproject.toml and its copy in the lock have otherwise."""
    try:
        wanted = {_wish(Requirement(text)): text for text in asked}
        locked = {_locked(item) for item in kept}
    except (InvalidRequirement, InvalidSpecifier) as error:
        return [f"{where}: {str(error).splitlines()[0]}"]
    # a git, path or index source has no version in one of the two
    elsewhere = {
        item["name"]
        for item in kept
        if {"git", "url", "path", "directory", "editable"} & item.keys()
    }
    found = []
    for wish in sorted(wanted, key=lambda one: one[0]):
        if wish[0] not in elsewhere and wish not in locked:
            found.append(f"{where}: {wanted[wish]} is not in uv.lock")
        elif not _holds(wish, lock):
            found.append(f"{where}: the version of {wish[0]} in uv.lock is not {wish[2]}")
    names = {wish[0] for wish in wanted}
    gone = sorted({one[0] for one in locked if one[0] not in names})
    return found + [f"{where}: {name} is in uv.lock, and not asked for" for name in gone]


def _wish(requirement: Requirement) -> Wish:
    extras = frozenset(canonicalize_name(extra) for extra in requirement.extras)
    return canonicalize_name(requirement.name), extras, _versions(str(requirement.specifier))


def _locked(item: Table) -> Wish:
    extras = frozenset(item.get("extras", []))
    return str(item["name"]), extras, _versions(item.get("specifier", ""))


def _versions(text: str) -> str:
    return ",".join(sorted(str(one) for one in SpecifierSet(text)))


def _holds(wish: Wish, lock: Table) -> bool:
    """Whether a version that was asked for is locked; what has none, as a folder, is."""
    packages = [one for one in lock.get("package", []) if one.get("name") == wish[0]]
    versions = [one["version"] for one in packages if "version" in one]
    try:
        allowed = SpecifierSet(wish[2])
        return not versions or any(allowed.contains(one, prereleases=True) for one in versions)
    except InvalidVersion:
        return True
