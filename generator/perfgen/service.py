"""A service that is there already: where it lies, what it was made from, and whether it can be changed now."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfgen import answersfile
from perfgen import git
from perfgen import plan
from perfgen.errors import Refused

ANSWERS = ".copier-answers.yml"
# Reading must not write: `git status` would renew the index by the way.
READING = {"GIT_OPTIONAL_LOCKS": "0"}
# What git keeps in its folder while something of its own is under way, and how one ends it.
_UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}


@dataclass(frozen=True)
class Service:
    """One service in a git repository."""

    folder: Path  # with the answers file
    top: Path  # of the work tree
    prefix: str  # of `folder` in it: empty, or ending in a slash
    git_dir: Path  # of this work tree
    objects: Path  # the object store of the repository
    object_format: str
    head: str  # the commit that is checked out
    source: str  # as it is recorded
    version: str  # as it is recorded: a tag or a commit
    answers: dict[str, Any]  # without copier's own keys

    @classmethod
    def open(cls, folder: Path, *, broken: bool = False) -> "Service":
        """The service at `folder` or above; refused in a sentence where there is none to change.

        That the tree is clean and no change is under way is the business of `require_clean`. With `broken`,
        answers that cannot be read are empty: an interrupted change may have left the file away.
        """
        git.require()
        git.forget_surroundings()
        found = _find(folder)
        facts = _facts(found)
        top, git_dir = Path(facts[0]), Path(facts[2])
        if not broken:
            plan.require_settled(plan.state_of(git_dir, facts[1]))
        source, version, answers = ("", "", {}) if broken else answersfile.read(found / ANSWERS)
        head = git.says("rev-parse", "--verify", "-q", "HEAD", cwd=found)
        if not head:
            raise Refused(
                f"The repository {top} has no commit yet.",
                "Commit the service first: git add -A && git commit -m 'First commit'",
            )
        prefix = facts[1]
        if not git.says("rev-parse", "--verify", "-q", f"HEAD:{prefix}{ANSWERS}", cwd=found):
            raise _moved(found, top, git_dir) or Refused(
                f"{found / ANSWERS} is not committed.", "Commit the service first, with this file."
            )
        objects = Path(facts[3]) / "objects"
        return cls(found, top, prefix, git_dir, objects, facts[4], head, source, version, answers)

    @property
    def state(self) -> Path:
        """Where a change that is not finished keeps its things: each service of the repository its own."""
        return plan.state_of(self.git_dir, self.prefix)

    @property
    def index(self) -> Path:
        """The index of this work tree."""
        return self.git_dir / "index"

    def git(self, *args: str | Path, data: bytes = b"") -> bytes:
        """Run git in the service without writing anything by the way."""
        return git.raw(*args, cwd=self.folder, env=READING, data=data)

    @property
    def conflict_style(self) -> str:
        """How the user wants git to write conflicts: `diff3` …; empty when nothing is said."""
        return git.says("config", "--get", "merge.conflictStyle", cwd=self.folder)

    def dirty(self) -> list[str]:
        """The tracked files under the service that differ from HEAD, by their path in the service.

        What is dirty elsewhere in the repository, and in submodules, does not matter.
        """
        options = ("--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=all")
        fields = self.git("status", *options, "--no-renames", "--", ".").split(b"\0")
        return [os.fsdecode(field[3:])[len(self.prefix) :] for field in fields if field]

    def unmerged(self) -> list[str]:
        """The files under the service with unmerged entries in the index."""
        lines = self.git("ls-files", "-u", "-z").split(b"\0")
        paths = (os.fsdecode(line.split(b"\t", 1)[1]) for line in lines if line)
        return list(dict.fromkeys(paths))

    def under_way(self) -> str:
        """What git itself has under way here: `merge`, `rebase` …, or nothing."""
        names = (word for name, word in _UNDER_WAY.items() if (self.git_dir / name).exists())
        return next(names, "")

    def require_clean(self) -> None:
        """Refuse when a change of ours could not be told from what is there uncommitted."""
        if word := self.under_way():
            raise Refused(
                f"A {word} is under way in {self.top}.",
                f"Finish it with `git {word} --continue`, or undo it with `git {word} --abort`.",
            )
        if unmerged := self.unmerged():
            raise Refused(
                f"{_some(unmerged)} still {'have' if len(unmerged) > 1 else 'has'} conflicts.",
                "Resolve them, then `git add` and commit.",
            )
        if dirty := self.dirty():
            raise Refused(
                f"{_some(dirty)} {'have' if len(dirty) > 1 else 'has'} changes that are not committed.",
                "Commit them first, or put them aside with `git stash`.",
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Within, no other perfgen works on this work tree; refused when one does. Nothing is written for it."""
        handle = os.open(self.git_dir, os.O_RDONLY)
        try:
            # Not every file system has locks; git's own index.lock is there in any case.
            with contextlib.suppress(OSError):
                if not _taken(handle):
                    raise Refused(
                        f"Another perfgen is at work in {self.folder}.",
                        "Wait for it to end, then run this again.",
                    )
            yield
        finally:
            os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _find(folder: Path) -> Path:
    start = folder.expanduser().absolute()
    if not start.is_dir():
        raise Refused(f"There is no folder {start}.", "Name the service's folder with --project.")
    for place in (start, *start.parents):
        if (place / ANSWERS).exists() or _had_answers(place):
            return place.resolve()
        if (place / ".git").exists():
            break
    raise Refused(
        f"There is no {ANSWERS} in {start} or above it, so this is no service that perfgen made.",
        "Run it in the service's folder, or name that with --project.",
    )


def _had_answers(folder: Path) -> bool:
    """Whether git knows an answers file in `folder`, be it there or not."""
    return bool(git.says("ls-files", "--cached", "--", ANSWERS, cwd=folder))


def _moved(found: Path, top: Path, git_dir: Path) -> Refused | None:
    """Why a service is not committed that a change, which waits to be committed, has left elsewhere."""
    for state in plan.states(git_dir):
        made, _ = plan.load(state)
        if made and not (earlier := top / made.service).exists():
            return Refused(
                f"{found} was {earlier} when perfgen changed it, and that change is not committed.",
                "Move it back, then commit the change, or undo it with `perfgen update --abort`.",
            )
    return None


def _facts(folder: Path) -> list[str]:
    """Work tree, prefix in it, its git folder, the repository's, and the kind of its object names."""
    asked = ("--show-toplevel", "--show-prefix", "--git-dir", "--git-common-dir")
    words = ("rev-parse", "--path-format=absolute", *asked, "--show-object-format")
    try:
        facts = git.raw(*words, cwd=folder, env=READING).decode("utf-8", "surrogateescape")
    except git.Untrusted:
        raise
    except git.GitError as error:
        raise Refused(
            f"{folder} is not in a git repository, so a change could not be undone.",
            "Make it one: git init && git add -A && git commit -m 'First commit'",
        ) from error
    return facts.split("\n")[:-1]


def _some(paths: list[str]) -> str:
    """`a`, `a and b`, `a, b and 3 more`."""
    if len(paths) < 3:
        return " and ".join(paths)
    return f"{paths[0]}, {paths[1]} and {len(paths) - 2} more"
