"""How a service differs from what its recorded template and answers render, and from the newest template."""

from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from perfgen import history
from perfgen import lineends
from perfgen import policies
from perfgen import worktree
from perfgen.change import rendered
from perfgen.errors import Refused
from perfgen.recorded import form_of
from perfgen.recorded import render_newest
from perfgen.recorded import require_valid
from perfgen.scratch import Entry
from perfgen.scratch import Scratch
from perfgen.scratch import Tree
from perfgen.service import ANSWERS
from perfgen.service import Service
from perfgen.sources import Source

# The classes of files, in the order in which they are told.
KINDS = ("yours", "diverged", "both", "newer")


@dataclass(frozen=True)
class Lines:
    """How many lines came and went; None for what has no lines."""

    added: int | None = 0
    removed: int | None = 0


@dataclass
class FileDrift:
    """One file that is not the same everywhere."""

    path: str  # in the service; where the template had it when it is gone
    kind: str  # one of KINDS
    yours: str  # edited, deleted, moved, added; empty when it is as the template gave it
    newer: str  # changed, removed, moved, new; empty when the newest template has it the same
    origin: str = ""  # where the template had it, when the user moved it
    target: str = ""  # where the newest template has it, when that moved it
    lines: Lines = field(default_factory=Lines)  # of the user's
    newer_lines: Lines = field(default_factory=Lines)

    @property
    def before(self) -> str:
        """Its path in the recorded template."""
        return self.origin or self.path


@dataclass
class Drift:
    """All files that are not the same everywhere; trees are by path in the service."""

    scratch: Scratch
    base: Tree  # the recorded version and answers, rendered
    ours: Tree  # what lies in the work tree
    theirs: Tree  # the newest version, rendered; `base` when it cannot be had
    files: list[FileDrift] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, kind: str) -> list[FileDrift]:
        """The files of one class."""
        return [file for file in self.files if file.kind == kind]

    @property
    def differs(self) -> bool:
        """Whether the service differs from what its template gave."""
        return any(file.yours for file in self.files)

    def edits(self, file: FileDrift) -> str:
        """What the user made of a file, as text."""
        return self._diff(file.before, self.base, file.path, self.ours) if file.yours else ""

    def newer(self, file: FileDrift) -> str:
        """What the newest template made of it, as text."""
        after = file.target or file.before
        return self._diff(file.before, self.base, after, self.theirs) if file.newer else ""

    def _diff(self, old: str, before: Tree, new: str, after: Tree) -> str:
        return self.scratch.diff(_only(before, old), _only(after, new))


def trees(
    service: Service, recorded: Source, newest: Source | None, folder: Path
) -> tuple[Drift, bool]:
    """The three trees, not compared yet, and whether the newest version is in.

    Everything is done in `folder`, which is to last as long as the result; the service is only read.
    """
    require_valid(form_of(recorded), service)
    base = target = folder / "base"
    rendered(service, recorded, {}, base)
    notes = []
    if newest and newest.ref != recorded.ref:
        try:
            render_newest(service, newest, folder / "target")
            target = folder / "target"
        except Refused as error:
            notes.append(f"The newest template is not compared: {error.sentence}")
    scratch = Scratch(folder, service.objects, service.object_format)
    given = {*scratch.add(base), *scratch.add(target)} - {ANSWERS}
    ours = worktree.lying(service, scratch, sorted(given), folder)
    before, ours, after = lineends.kept(service, scratch, base, target, ours)
    away = {ANSWERS} | policies.ignored(service, sorted(given - ours.keys()))
    kept = [{path: tree[path] for path in tree if path not in away} for tree in (before, after)]
    return Drift(scratch, kept[0], ours, kept[1], notes=notes), target != base


def find(service: Service, recorded: Source, newest: Source | None, folder: Path) -> Drift:
    """Every file of the template's that is not the same in it, in the service and in the newest template."""
    drift, _ = trees(service, recorded, newest, folder)
    drift.files = _compared(drift)
    _tell_diverged(service, drift)
    _count(drift)
    drift.files.sort(key=lambda file: file.path)
    return drift


def _compared(drift: Drift) -> list[FileDrift]:
    """The files that differ, before those that diverged are told from the user's."""
    mine, template = moves(drift, drift.ours), moves(drift, drift.theirs)
    found = []
    for path in sorted(drift.base.keys() | drift.theirs.keys()):
        if path in drift.base:
            found.append(_known(drift, path, mine.get(path, path), template.get(path, path)))
        elif path not in template.values():
            found.append(_new(drift, path))
    return [file for file in found if file]


def moves(drift: Drift, after: Tree) -> dict[str, str]:
    """The files of the template's that are elsewhere in `after`: the new path of each old one."""
    if drift.base.keys() <= after.keys():
        return {}
    before, now = drift.scratch.commit(drift.base), drift.scratch.commit(after)
    return {old: new for new, old in drift.scratch.renames(before, now).items()}


def _known(drift: Drift, path: str, place: str, target: str) -> FileDrift | None:
    """A file that the recorded template gives; the user has it at `place`, the newest template at `target`."""
    before, ours, theirs = drift.base[path], drift.ours.get(place), drift.theirs.get(target)
    yours = "moved" if place != path else _how(before, ours, "edited", "deleted")
    newer = "moved" if target != path else _how(before, theirs, "changed", "removed")
    if ours == theirs and (place == target or ours is None):
        newer = ""  # the user has it so already
    if not yours and not newer:
        return None
    kind = "both" if yours and newer else "yours" if yours else "newer"
    moved, origin = target if newer == "moved" else "", path if place != path else ""
    return FileDrift(place, kind, yours, newer, origin, moved)


def _how(before: Entry, after: Entry | None, changed: str, gone: str) -> str:
    if after is None:
        return gone
    return "" if after == before else changed


def _new(drift: Drift, path: str) -> FileDrift | None:
    """A file that only the newest template gives."""
    ours = drift.ours.get(path)
    if ours is None:
        return FileDrift(path, "newer", "", "new")
    return None if ours == drift.theirs[path] else FileDrift(path, "both", "added", "new")


def _tell_diverged(service: Service, drift: Drift) -> None:
    """Mark the files that differ although no edit of the user's says why."""
    edited = [file for file in drift.files if file.yours and file.before in drift.base]
    if not edited:
        return
    touched = history.touched(service)
    if touched is None:
        drift.notes.append(
            "The history is not all here (a shallow clone), so files that diverged count as yours."
        )
        return
    committed = drift.scratch.tree(service.head, service.prefix)
    for file in edited:
        paths = {file.path, file.before}
        here = all(drift.ours.get(path) == committed.get(path) for path in paths)
        if here and not paths & touched:
            file.kind = "diverged"


def _count(drift: Drift) -> None:
    """Count the lines of every file at once: each under one name before and after."""
    names = {str(number): file for number, file in enumerate(drift.files)}
    before = {name: drift.base.get(file.before) for name, file in names.items()}
    ours = {
        name: drift.ours.get(file.path) if file.yours else before[name]
        for name, file in names.items()
    }
    theirs = {
        name: drift.theirs.get(file.target or file.before) if file.newer else before[name]
        for name, file in names.items()
    }
    mine, template = _numbers(drift, before, ours), _numbers(drift, before, theirs)
    for name, file in names.items():
        file.lines, file.newer_lines = mine.get(name, Lines()), template.get(name, Lines())


def _numbers(
    drift: Drift, before: dict[str, Entry | None], after: dict[str, Entry | None]
) -> dict[str, Lines]:
    trees = [{name: entry for name, entry in tree.items() if entry} for tree in (before, after)]
    commits = [drift.scratch.commit(tree) for tree in trees]
    counted = drift.scratch.git("diff-tree", "-r", "--numstat", "--no-renames", *commits).decode()
    found = {}
    for line in counted.splitlines():
        added, removed, name = line.split("\t")
        found[name] = Lines(*(None if word == "-" else int(word) for word in (added, removed)))
    return found


def _only(tree: Tree, path: str) -> Tree:
    return {path: tree[path]} if path in tree else {}
