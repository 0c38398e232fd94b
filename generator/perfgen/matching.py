"""Whether the answers of a service are those that its files were made with."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from perfgen import contents
from perfgen import git
from perfgen import history
from perfgen import releases
from perfgen.answersfile import how_to_take_back
from perfgen.catalogue import Catalogue
from perfgen.catalogue import Pattern
from perfgen.drift import Drift
from perfgen.drift import moves
from perfgen.questions import Values
from perfgen.recorded import newest_first
from perfgen.scratch import Entry
from perfgen.scratch import Tree
from perfgen.service import ANSWERS
from perfgen.service import Service
from perfgen.sources import Source

_LARGEST = 64 * 1024  # bytes of a file in which answers are looked for
_NEAR = 20  # versions that a service may really be of are tried, the newest first
_EXPRESSION = re.compile(r"<<(.*?)>>")


@dataclass(frozen=True)
class Matcher:
    """A service, the render of its answers, and what both came from."""

    service: Service
    drift: Drift
    source: Source
    catalogue: Catalogue
    values: Values

    def mismatches(self) -> list[str]:
        """What in the answers the files contradict, a sentence each."""
        other = self._other_version()
        if other:
            return [other]
        return [*self._lacking(), *self._left(), *self._scalars()]

    @property
    def _enabled(self) -> list[str]:
        return self.catalogue.enabled(self.values.get("patterns", []))

    def _lacking(self) -> list[str]:
        """Patterns whose own files are not there. One file of many may be gone: that is the user's."""
        ours = self.drift.ours.keys() | moves(self.drift, self.drift.ours).keys()
        found = []
        for name in self._enabled:
            pattern = self.catalogue.patterns[name]
            own = [path for path in self.drift.base if contents.belongs(path, pattern)]
            given = [place for place in _folders(pattern) if any(_in(path, place) for path in own)]
            gone = [place for place in given if not any(_in(path, place) for path in ours)]
            listed = [path for path in own if contents.listed(path, pattern)]
            if listed and not ours.intersection(listed):
                gone.append(pattern.files[0].lstrip("/"))
            found += [
                f"{name} is among the answers, and there is no {place}:"
                f" bring it back, or run `perfgen remove {name}`"
                for place in gone
            ]
        return found

    def _left(self) -> list[str]:
        """Folders of patterns that the answers do not have. A folder of the user's that has only the name is none."""
        raw = {contents.relative(path) for path in _listed(self.source, self.source.ref)}
        off = [pattern for pattern in self.catalogue if pattern.name not in self._enabled]
        return [
            f"{place} is there, and {pattern.name} is not among the answers:"
            f" remove it, or run `perfgen add {pattern.name}`"
            for pattern in off
            for place in _folders(pattern)
            if _whole(place, raw, self.drift.ours)
        ]

    def _scalars(self) -> list[str]:
        """Answers that stand in lines of the render, and in none of those of the service."""
        sources = {
            contents.relative(path): content.decode("utf-8", "replace")
            for path, content in self.source.files("template").items()
            if path.endswith(".jinja") and len(content) < _LARGEST
        }
        places = moves(self.drift, self.drift.ours)
        base = {path: self._lines(self.drift.base, path) for path in sources}
        lines: set[str] = set()
        for path in sources:
            lines.update(self._lines(self.drift.ours, places.get(path, path)))
        found = []
        for name, value in self.values.items():
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                continue
            told = {
                line
                for path, text in sources.items()
                for line in _lines_of(name, str(value), text, base[path])
            }
            if told and not told & lines:
                found.append(
                    f"{name} is {value!r} in the answers, and in none of the files that it goes into."
                    f" {self._take_back()}; then `perfgen update --set {name}=...`"
                )
        return found

    def _take_back(self) -> str:
        return how_to_take_back(self.service.folder / ANSWERS)

    def _lines(self, tree: Tree, path: str) -> list[str]:
        entry = tree.get(path)
        if entry is None or not entry.mode.startswith("100"):
            return []
        text = self.drift.scratch.read(entry).decode("utf-8", "replace")
        return [line.strip() for line in text.splitlines()]

    def _other_version(self) -> str:
        """Whether the files are all of another version than the recorded; told from those that are plain files."""
        recorded = _listed(self.source, self.source.ref)
        known = releases.tags(self.source.repository)
        off = [pattern for pattern in self.catalogue if pattern.name not in self._enabled]
        for tag in newest_first(known)[:_NEAR]:
            names = self._only_as_in(tag, recorded, off)
            # who copied a file from there by hand, did so in a commit
            if names and not names & (history.touched(self.service) or set()):
                return (
                    f"the files are of template {tag.removeprefix('v')}, and `_commit` says"
                    f" {self.source.version}. {self._take_back()}; then `perfgen update`"
                )
        return ""

    def _only_as_in(self, tag: str, recorded: dict[str, Entry], off: list[Pattern]) -> set[str]:
        """The plain files that another version has otherwise, when all of them are as there; else none."""
        other = _listed(self.source, tag)
        found: set[str] = set()
        for path in recorded.keys() | other.keys():
            before, after = recorded.get(path), other.get(path)
            name = contents.relative(path)
            if before == after or any(contents.belongs(name, pattern) for pattern in off):
                continue
            if path.endswith(".jinja") or "<<" in name:
                continue
            ours = self.drift.ours.get(name)
            if ours is None and before is None:
                continue  # perhaps of a pattern that the recorded version has not got
            if ours != after:
                return set()
            if before and after:  # a file that is only gone tells nothing
                found.add(name)
        return found


def _listed(source: Source, ref: str) -> dict[str, Entry]:
    """The files of the service in the template, as they lie there."""
    listed = git.raw("ls-tree", "-r", "-z", ref, "--", "template", cwd=source.repository)
    found = {}
    for line in filter(None, listed.split(b"\0")):
        meta, path = line.split(b"\t", 1)
        mode, _, sha = meta.decode().split()
        found[path.decode("utf-8", "surrogateescape")] = Entry(mode, sha)
    return found


def _folders(pattern: Pattern) -> list[str]:
    name = pattern.name
    return [f"app/{name}", f"migrations/versions/{name}", f"deploy/components/{name}"]


def _in(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


def _whole(folder: str, raw: Iterable[str], ours: Tree) -> bool:
    """Whether at least half of what the template has in `folder` is in the service: one file may have been kept."""
    given = [path for path in raw if _in(path, folder) and PurePosixPath(path).name != ".gitkeep"]
    there = [path for path in given if path in ours]
    return bool(there) and 2 * len(there) >= len(given)


def _lines_of(name: str, value: str, text: str, rendered: list[str]) -> list[str]:
    """The rendered lines that come from a line of the template's that names the answer, and hold its value."""
    forms = {value, json.dumps(value, ensure_ascii=False)[1:-1]}
    found = []
    for line in text.splitlines():
        parts = _EXPRESSION.split(line.strip())
        # the answer itself, perhaps quoted by a filter; not what is computed from it
        itself = re.compile(rf"\s*{re.escape(name)}\s*(\|.*)?")
        if not any(itself.fullmatch(part) for part in parts[1::2]):
            continue
        shape = re.compile(".*".join(re.escape(part) for part in parts[::2]))
        found += [
            one
            for one in rendered
            if shape.fullmatch(one) and any(_holds(one, form) for form in forms)
        ]
    return found


def _holds(line: str, value: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(value)}(?![\w])", line) is not None
