"""A repository of our own beside the user's: it borrows the objects, and git merges there, undisturbed."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from perfgen import git

# Bytes stay as they are, whatever the attributes of the service say: its index has them the same way.
_ATTRIBUTES = "* -text !eol !filter !ident !working-tree-encoding\n/uv.lock -merge\n"
_WHO = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (
        ("NAME", "perfgen"),
        ("EMAIL", "perfgen@localhost"),
        ("DATE", "2000-01-01T00:00:00Z"),
    )
}
# How git may write conflicts; the user's configuration says, and nothing else of it comes in.
STYLES = ("merge", "diff3", "zdiff3")
# User and template may both have moved folders: files of the user's own stay where they are.
_MERGE = ("-c", "merge.directoryRenames=false", "merge", "-q", "--no-commit", "--no-ff")
SIMILAR = (
    "60%"  # from which on a file that is gone and one that is new count as one that was renamed
)


GITLINK = "160000"  # the mode of a submodule


class Entry(NamedTuple):
    """What stands at a path in a tree."""

    mode: str
    sha: str


Tree = dict[str, Entry]
Stages = dict[str, dict[int, Entry]]  # per path what git could not merge: 1 base, 2 ours, 3 theirs


class Scratch:
    """The repository; it lives in `folder`, and whoever made that removes it."""

    def __init__(
        self, folder: Path, objects: Path, object_format: str, style: str = STYLES[0]
    ) -> None:
        self.style = style if style in STYLES else STYLES[0]
        self.sizes: dict[str, int] = {}
        self.folder = folder / "scratch"
        self.folder.mkdir()
        self._merges = 0
        form = f"--object-format={object_format}"
        self.git("init", "-q", "--template=", "--initial-branch=service", form)
        self._dir = self.folder / ".git"
        (self._dir / "info").mkdir(exist_ok=True)
        (self._dir / "info" / "attributes").write_text(_ATTRIBUTES)
        alternates = self._dir / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_bytes(_quoted(objects) + b"\n")

    def size_markers(self, sizes: dict[str, int]) -> None:
        """Have markers of these sizes in these files: what says so may be in a folder above the service."""
        self.sizes = sizes
        lines = (
            b"%s conflict-marker-size=%d\n" % (_pattern(path), size) for path, size in sizes.items()
        )
        with (self._dir / "info" / "attributes").open("ab") as file:
            file.writelines(lines)

    def git(self, *args: str | Path, env: dict[str, str] | None = None, data: bytes = b"") -> bytes:
        """Run git here, without the user's configuration."""
        return git.raw(*args, cwd=self.folder, env=git.ALONE | _WHO | (env or {}), data=data)

    def _say(self, *args: str | Path, env: dict[str, str] | None = None) -> str:
        return self.git(*args, env=env).decode().strip()

    def add(self, folder: Path) -> Tree:
        """All files in `folder`, as git would keep them."""
        env = {"GIT_WORK_TREE": str(folder), "GIT_DIR": str(self._dir), **self._index()}
        git.raw("add", "-A", "-f", ".", cwd=folder, env=git.ALONE | env)
        listed = git.raw("ls-files", "-s", "-z", cwd=folder, env=git.ALONE | env)
        return {path: entry for path, _, entry in _staged(listed)}

    def tree(self, commit: str, prefix: str = "") -> Tree:
        """What `commit` has in the folder `prefix`."""
        listed = self.git("ls-tree", "-r", "-z", f"{commit}:{prefix}")
        fields = (line.split(b"\t", 1) for line in listed.split(b"\0") if line)
        return {os.fsdecode(path): _entry(meta.split()[::2]) for meta, path in fields}

    def commit(self, tree: Tree, *parents: str) -> str:
        """Commit `tree`."""
        env = self._index()
        lines = (
            f"{entry.mode} {entry.sha}\t".encode() + os.fsencode(path)
            for path, entry in tree.items()
        )
        self.git(
            "update-index",
            "-z",
            "--index-info",
            env=env,
            data=b"".join(line + b"\0" for line in lines),
        )
        written = self._say("write-tree", "--missing-ok", env=env)
        flags = [word for parent in parents for word in ("-p", parent)]
        return self._say("commit-tree", written, *flags, "-m", "perfgen")

    def merge(self, ours: str, theirs: str, label: str) -> tuple[Tree, Stages]:
        """Merge the commit `theirs` into `ours`: the tree as a user sees it, and what is in conflict.

        Conflicting files stand in the tree as well, with markers; `label` names `theirs` in them.
        """
        env, name = self._index(), re.sub(r"[^\w.+-]|\.(?=\.|lock$|$)", "-", f"template-{label}")
        work = self.folder / f"work-{self._merges}"  # empty: git writes only what changes
        work.mkdir()
        env |= {"GIT_WORK_TREE": str(work), "GIT_DIR": str(self._dir)}
        (self._dir / "MERGE_HEAD").unlink(missing_ok=True)
        (self._dir / "AUTO_MERGE").unlink(missing_ok=True)
        self.git("update-ref", "refs/heads/service", ours)
        self.git("update-ref", f"refs/heads/{name}", theirs)
        self.git("read-tree", ours, env=env)
        self._write_attributes(ours, env)
        style = ("-c", f"merge.conflictStyle={self.style}")
        options = (*style, *_MERGE, "-X", f"find-renames={SIMILAR}", name)
        try:
            git.raw(*options, cwd=work, env=git.ALONE | _WHO | env)
        except git.GitError as error:
            if isinstance(error, git.NoRoom) or not (self._dir / "AUTO_MERGE").exists():
                raise
            merged = self.tree("AUTO_MERGE")  # where git keeps the tree with the markers
        else:
            merged = self.tree(self._say("write-tree", "--missing-ok", env=env))
        stages: Stages = {}
        for path, stage, entry in _staged(self.git("ls-files", "-u", "-z", env=env)):
            stages.setdefault(path, {})[stage] = entry
        return merged, stages

    def _write_attributes(self, commit: str, env: dict[str, str]) -> None:
        """Git reads attributes, as `merge=union`, from files only."""
        listed = self.git("ls-tree", "-r", "-z", "--name-only", commit).split(b"\0")
        names = [name for name in listed if name.split(b"/")[-1] == b".gitattributes"]
        if names:
            data = b"".join(name + b"\0" for name in names)
            work = Path(env["GIT_WORK_TREE"])
            git.raw("checkout-index", "-z", "--stdin", cwd=work, env=git.ALONE | env, data=data)

    def renames(self, before: str, after: str) -> dict[str, str]:
        """The files that are called otherwise in the commit `after`: the old name of each new one."""
        options = ("-r", "-z", f"--find-renames={SIMILAR}", "--diff-filter=R", "--name-status")
        fields = self.git("diff-tree", *options, before, after).split(b"\0")
        pairs = zip(fields[1::3], fields[2::3], strict=True)
        return {os.fsdecode(new): os.fsdecode(old) for old, new in pairs}

    def diff(self, before: Tree, after: Tree) -> str:
        """The difference as text, as `git diff` prints it."""
        commits = (self.commit(before), self.commit(after))
        text = self.git("-c", "core.quotePath=false", "diff", f"--find-renames={SIMILAR}", *commits)
        return text.decode("utf-8", "replace")

    def read(self, entry: Entry) -> bytes:
        """The content of a file."""
        return self.git("cat-file", "blob", entry.sha)

    def write(self, content: bytes, mode: str = "100644") -> Entry:
        """Keep a file's content."""
        sha = self.git("hash-object", "-w", "--stdin", data=content).decode().strip()
        return Entry(mode, sha)

    def pack(self, entries: Iterable[Entry]) -> bytes:
        """The contents of files as a pack, for another repository."""
        names = {entry.sha for entry in entries if entry.mode != GITLINK}
        return self.git(
            "pack-objects", "-q", "--stdout", data="".join(f"{name}\n" for name in names).encode()
        )

    def _index(self) -> dict[str, str]:
        """An index nobody has used yet."""
        self._merges += 1
        return {"GIT_INDEX_FILE": str(self.folder / f"index-{self._merges}")}


def _staged(listed: bytes) -> list[tuple[str, int, Entry]]:
    """Path, stage and entry of each line of `git ls-files -s -z`."""
    fields = (line.split(b"\t", 1) for line in listed.split(b"\0") if line)
    return [
        (os.fsdecode(path), int(meta.split()[2]), _entry(meta.split()[:2])) for meta, path in fields
    ]


def _entry(words: list[bytes]) -> Entry:
    return Entry(words[0].decode(), words[1].decode())


def _quoted(path: Path) -> bytes:
    """A path as a line of `info/alternates`, where a quote would begin a C string."""
    raw = os.fsencode(path)
    return _c_string(raw) if raw.startswith(b'"') else raw


def _pattern(path: str) -> bytes:
    """The pattern in attributes that is for this file alone."""
    return _c_string(b"/" + re.sub(rb"([\\*?[])", rb"\\\1", os.fsencode(path)))


def _c_string(raw: bytes) -> bytes:
    for letter, escaped in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n")):
        raw = raw.replace(letter, escaped)
    return b'"' + raw + b'"'
