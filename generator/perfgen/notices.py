"""What a change means for the user: what is new in the template, which settings came and went, what to run."""

import re
from dataclasses import dataclass
from dataclasses import field

from packaging.version import InvalidVersion
from packaging.version import Version

from perfgen import settingsfile
from perfgen.change import Change
from perfgen.policies import LOCK
from perfgen.policies import SETTINGS
from perfgen.scratch import Tree
from perfgen.sources import Source

_HEADING = re.compile(r"^## \[?v?(\d[^\s\]]*)\]?.*$", re.MULTILINE)


@dataclass(frozen=True)
class Notices:
    """In the order in which they are told."""

    changelog: str = ""
    new_settings: list[str] = field(default_factory=list)
    removed_settings: list[str] = field(default_factory=list)
    migrations: list[str] = field(default_factory=list)
    lock: bool = False  # whether uv.lock has to be made anew

    def lines(self) -> list[str]:
        """The same for people."""
        told = [f"What is new in the template:\n\n{self.changelog}\n"] if self.changelog else []
        if self.new_settings:
            told.append(f"New settings, see .env.example: {', '.join(self.new_settings)}")
        if self.removed_settings:
            told.append(f"Settings that are gone: {', '.join(self.removed_settings)}")
        return told + self.to_run()

    def to_run(self) -> list[str]:
        """What is left to be run, for people."""
        told = []
        if self.migrations:
            told.append(f"New migrations, run `make migrate`: {', '.join(self.migrations)}")
        if self.lock:
            told.append("uv.lock is as you had it: run `make lock` (uv lock)")
        return told


def notices(change: Change, recorded: Source, wanted: Source) -> Notices:
    """What there is to tell about `change`."""
    before, after = (_settings(change, tree) for tree in (change.base, change.theirs))
    migrations = [
        path
        for path in sorted(change.theirs)
        if path.startswith("migrations/versions/")
        and path.endswith(".py")
        and path not in change.base
        and path not in change.ours
    ]
    return Notices(
        _changelog(recorded, wanted) if recorded.ref != wanted.ref else "",
        [key for key in after if key not in before],
        [key for key in before if key not in after],
        migrations,
        LOCK in change.kept and LOCK in change.ours,
    )


def entries(text: str, after: str, until: str) -> str:
    """The entries of a changelog for the versions after `after`, up to and with `until`, as they stand there."""
    headings = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    try:
        first, last = Version(after), Version(until)
    except InvalidVersion:
        return ""
    told = []
    for heading, end in zip(headings, ends, strict=False):
        try:
            version = Version(heading[1])
        except InvalidVersion:
            continue
        # A development build is on the way to the version it is called after, whose entry tells of it already.
        if version > first and version <= Version(last.base_version):
            told.append(text[heading.start() : end].strip())
    return "\n\n".join(told)


def _changelog(recorded: Source, wanted: Source) -> str:
    # Git fails when a path is not in that version, and an older one has no changelog.
    from perfgen import git

    name = f"{wanted.ref}:CHANGELOG.md"
    text = git.says("cat-file", "blob", name, cwd=wanted.repository)
    return entries(text, recorded.version, wanted.version)


def _settings(change: Change, tree: Tree) -> list[str]:
    entry = tree.get(SETTINGS)
    if entry is None:
        return []
    return settingsfile.keys(change.scratch.read(entry).decode("utf-8", "replace"))
