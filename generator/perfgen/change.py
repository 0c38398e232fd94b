"""A change of a service, worked out in memory: two renders and the service itself, merged by git."""

import shutil
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from perfgen import lineends
from perfgen import markers
from perfgen import policies
from perfgen.questions import Values
from perfgen.render import render
from perfgen.scratch import Scratch
from perfgen.scratch import Stages
from perfgen.scratch import Tree
from perfgen.service import ANSWERS
from perfgen.service import Service
from perfgen.sources import Source

# The classes of files, in the order in which they are told.
KINDS = ("conflict", "merged", "changed", "renamed", "new", "removed", "kept")


@dataclass(frozen=True)
class FileChange:
    """What becomes of one file."""

    path: str
    kind: str  # one of KINDS
    origin: str = ""  # the earlier path of a renamed one
    note: str = ""


@dataclass
class Change:
    """The trees before and after, by path in the service; nothing of it is in the user's folder yet."""

    scratch: Scratch
    base: Tree  # what the template gave: the recorded version and answers, rendered
    ours: Tree  # what is committed
    theirs: Tree  # the wanted version and answers, rendered
    result: Tree = field(default_factory=dict)  # conflicting files with their markers
    stages: Stages = field(default_factory=dict)
    files: list[FileChange] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)  # left as the user has them: why
    notes: list[str] = field(default_factory=list)

    @property
    def conflicts(self) -> list[str]:
        """The files that wait for a decision."""
        return sorted(self.stages)

    @property
    def empty(self) -> bool:
        """Whether nothing would be written."""
        return not self.stages and self.result == self.ours

    def of(self, kind: str) -> list[FileChange]:
        """The files of one class."""
        return [file for file in self.files if file.kind == kind]

    @property
    def touched(self) -> set[str]:
        """The paths whose entry in the index becomes another."""
        return {
            path
            for path in self.ours.keys() | self.result.keys()
            if self.ours.get(path) != self.result.get(path)
        } | self.stages.keys()

    def diff(self) -> str:
        """What would change in the service's files, as text."""
        return self.scratch.diff(self.ours, self.result)


def work_out(
    service: Service, recorded: Source, wanted: Source, changed: Values, folder: Path
) -> Change:
    """The change that brings `service` from `recorded` to `wanted`, with the answers in `changed` others.

    Everything is done in `folder`, which is to last as long as the result; the service is only read.
    """
    base, target = folder / "base", folder / "target"
    rendered(service, recorded, {}, base)
    rendered(service, wanted, changed, target)
    return merged(service, base, target, folder, wanted.version, moved=recorded.ref != wanted.ref)


def merged(
    service: Service, base: Path, target: Path, folder: Path, version: str, *, moved: bool
) -> Change:
    """The change from the rendered folder `base` to `target`, brought into what the service has committed.

    `version` names the template in conflict markers; `moved` says whether it is another one. Works in `folder`
    as `work_out` does, and may rewrite line ends in the two renders.
    """
    scratch = Scratch(folder, service.objects, service.object_format, service.conflict_style)
    change = Change(scratch, *lineends.kept(service, scratch, base, target))
    names = _names(base, target)
    policies.require_no_submodule(change.ours, names)
    ignored = policies.ignored(service, names)
    scratch.size_markers(markers.unusual(service.folder, [*change.ours, *change.theirs]))
    for path in sorted(ignored):
        before, after = change.base.pop(path, None), change.theirs.pop(path, None)
        if before != after:
            change.notes.append(f"{path} is left as it is: your .gitignore ignores it.")
    _merge(change, version, moved=moved)
    policies.apply(change)
    change.files = policies.classify(change, moved=moved)
    return change


def rendered(service: Service, source: Source, changed: Values, target: Path) -> None:
    """Render `source` for `service` into the new folder `target`, with the recorded answers but for `changed`.

    The answers file lies there beforehand, as with `copier update`: so a default may look at the earlier answer.
    """
    target.mkdir(parents=True)
    shutil.copyfile(service.folder / ANSWERS, target / ANSWERS)
    render(source, changed, target, again=True)


def _names(*folders: Path) -> list[str]:
    """The files in any of `folders`, by their path in it."""
    found = {
        path.relative_to(folder).as_posix()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    return sorted(found)


def _merge(change: Change, label: str, *, moved: bool) -> None:
    """Let git merge what the template changed into the service.

    Between versions renames are followed. With other answers files only come and go, and git must not take
    one pattern's file for another's: what comes is merged by itself then, after what goes.
    """
    scratch, base, theirs = change.scratch, change.base, change.theirs
    first = scratch.commit(base)
    ours = scratch.commit(change.ours, first)
    come = [path for path in theirs if path not in base]
    go = [path for path in base if path not in theirs]
    if not moved and come and go:
        fewer = {path: entry for path, entry in theirs.items() if path in base}
        less = scratch.commit(fewer, first)
        merged, stages = scratch.merge(ours, less, label)
        first, ours = less, scratch.commit(merged, ours, less)
    else:
        stages = {}
    change.result, more = scratch.merge(ours, scratch.commit(theirs, first), label)
    change.stages = stages | more
