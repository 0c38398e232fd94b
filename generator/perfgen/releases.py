"""Released templates: one immutable git bundle each, and the repository that collects them.

Only the standard library, packaging and git: the wheel's build hook uses it as well.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from perfgen import __version__
from perfgen import git
from perfgen.errors import Fault
from perfgen.errors import Refused
from perfgen.resources import PARTS

# The same content is the same bytes: one thread, no deltas of earlier packs (see `write`).
_EXACT = (
    "-c",
    "pack.threads=1",
    "-c",
    "core.compression=9",
    "-c",
    "pack.window=50",
    "-c",
    "pack.depth=50",
)


@dataclass(frozen=True)
class Release:
    """One version of the template in a bundle file."""

    path: Path
    tag: str
    commit: str

    @property
    def version(self) -> Version:
        """The tag as a version, for sorting."""
        return Version(self.tag)


def read(path: Path) -> Release:
    """What a bundle holds, from the few lines of text at its start."""
    with path.open("rb") as bundle:
        for line in iter(bundle.readline, b"\n"):
            commit, _, name = line.decode("utf-8", "replace").strip().partition(" ")
            if name.startswith("refs/tags/v"):
                return Release(path, name.removeprefix("refs/tags/"), commit)
            if not line:
                break
    raise Fault(f"{path} holds no release.", "Install perfgen again.")


def bundled(folder: Path) -> list[Release]:
    """The releases in `folder`, oldest first."""
    return sorted(
        (read(path) for path in folder.glob("*.bundle")), key=lambda release: release.version
    )


def tags(repository: Path) -> dict[str, str]:
    """Every version in `repository` with its commit."""
    return _refs(repository, "%(objectname)")


def _refs(repository: Path, what: str) -> dict[str, str]:
    lines = git.run(
        "for-each-ref", f"--format=%(refname:strip=2) {what}", "refs/tags", cwd=repository
    )
    return dict(line.split(" ", 1) for line in lines.splitlines())


def create(repository: Path) -> None:
    """An empty repository: with a work tree, or copier would not know it for one."""
    repository.mkdir(parents=True, exist_ok=True)
    options = ("--template=", "--initial-branch=main", "--object-format=sha1")
    git.run("init", "-q", *options, cwd=repository, env=git.ALONE)


def missing(releases: list[Release], repository: Path) -> list[Release]:
    """The releases that `repository` has not got; refused when it has another by one of their names."""
    present = tags(repository)
    for release in releases:
        if present.get(release.tag, release.commit) != release.commit:
            raise Refused(
                f"{repository} holds another template by the name of {release.tag}.",
                f"A released version never changes: move {repository} away and run the command again.",
            )
    return [release for release in releases if release.tag not in present]


def load(releases: list[Release], repository: Path) -> None:
    """Bring what is missing into `repository`; nothing in it is ever replaced or removed."""
    for release in missing(releases, repository):
        ref = f"refs/tags/{release.tag}"
        options = ("-q", "--no-auto-gc", "--no-write-fetch-head", "--no-tags")
        words = ("fetch", *options, release.path.resolve(), f"{ref}:{ref}")
        try:
            git.run(*words, cwd=repository, env=git.ALONE)
        except git.GitError as error:
            if _disk_is_full(error):
                raise
            raise Fault(
                f"{release.path} is damaged: {error.words.splitlines()[-1] if error.words else 'unreadable'}.",
                "Install perfgen again.",
            ) from error
        if tags(repository).get(release.tag) != release.commit:
            raise Fault(f"{release.path} does not hold what it says.", "Install perfgen again.")
    point(repository)


def _disk_is_full(error: git.GitError) -> bool:
    return "No space left" in error.words


def pointed(repository: Path) -> bool:
    """Whether HEAD is the newest version in `repository`, or there is none yet."""
    return git.says("rev-parse", "--verify", "-q", "HEAD", cwd=repository) == _newest(repository)


def point(repository: Path) -> None:
    """Let HEAD be the newest version: what `copier update` takes while there are only prereleases.

    The index says that no file of it is to be in the work tree: copier would take missing ones for deleted.
    """
    if pointed(repository):
        return
    commit, index = _newest(repository), repository / ".git" / "index"
    draft = index.with_name("index.perfgen")
    draft.unlink(missing_ok=True)
    env = git.ALONE | {"GIT_INDEX_FILE": str(draft)}
    git.run("read-tree", commit, cwd=repository, env=env)
    paths = git.raw("ls-files", "-z", cwd=repository, env=env)
    git.raw("update-index", "-z", "--skip-worktree", "--stdin", cwd=repository, env=env, data=paths)
    git.run("symbolic-ref", "HEAD", "refs/heads/main", cwd=repository, env=git.ALONE)
    git.run("update-ref", "refs/heads/main", commit, cwd=repository, env=git.ALONE)
    os.replace(draft, index)


def _newest(repository: Path) -> str:
    known = tags(repository)
    return known[max(known, key=Version)] if known else ""


def add(repository: Path, tag: str, tree: str, date: str, parent: str = "") -> str:
    """Commit `tree` under `tag` and return the commit: the same for the same arguments, by whomever it is made."""
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (
            ("NAME", "perfgen"),
            ("EMAIL", "perfgen@localhost"),
            ("DATE", f"{date} +0000"),
        )
    }
    parents = ["-p", parent] if parent else []
    message = ("-m", f"template {tag}")
    commit = git.run("commit-tree", tree, *parents, *message, cwd=repository, env=git.ALONE | who)
    git.run("update-ref", f"refs/tags/{tag}", commit, cwd=repository, env=git.ALONE)
    return commit


def working_tree(checkout: Path, repository: Path) -> str:
    """The template as it lies in `checkout`, written into `repository` as a tree."""
    with tempfile.TemporaryDirectory() as temporary:
        env = git.ALONE | {
            "GIT_DIR": str(repository / ".git"),
            "GIT_WORK_TREE": str(checkout),
            "GIT_INDEX_FILE": str(Path(temporary) / "index"),
        }
        # What is tracked or would be: an index of its own does not know what is tracked although it is ignored.
        listed = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS)
        paths = git.raw(*listed, cwd=checkout)
        git.raw(
            "update-index", "-z", "--add", "--remove", "--stdin", cwd=checkout, env=env, data=paths
        )
        return git.run("write-tree", cwd=checkout, env=env)


def development(checkout: Path, repository: Path) -> tuple[str, bool]:
    """The tag of the template in `checkout`, added to `repository` if need be; and whether it has uncommitted changes.

    A template that equals a release goes by the release's name. Any other is `vX.Y.Z.devN+g<commit>`, before the next
    release in order, where N counts the commits of the template; with uncommitted changes `.d<tree>` follows.
    """
    known = tags(repository)
    released = sorted((tag for tag in known if not Version(tag).is_prerelease), key=Version)
    tree = working_tree(checkout, repository)
    trees = _refs(repository, "%(tree)")
    for tag in reversed(released):
        if trees[tag] == tree:
            return tag, False
    last = git.says("log", "-1", "--format=%h %ct", "--abbrev=8", "--", *PARTS, cwd=checkout)
    if not last:
        raise Refused(
            "This checkout of perfgen has no commit yet.", "Commit the template, then run it again."
        )
    commit, date = last.split()
    count = git.run("rev-list", "--count", "HEAD", "--", *PARTS, cwd=checkout)
    dirty = bool(git.run("status", "--porcelain", "--", *PARTS, cwd=checkout))
    tag = f"v{_next(released)}.dev{count}+g{commit}" + (f".d{tree[:8]}" if dirty else "")
    if tag not in known:
        add(repository, tag, tree, date, known[released[-1]] if released else "")
        point(repository)
    return tag, dirty


def _next(released: list[str]) -> str:
    """The version that unreleased work leads to."""
    if not released or Version(__version__) > Version(released[-1]):
        return __version__
    last = Version(released[-1])
    return f"{last.major}.{last.minor}.{last.micro + 1}"


def write(repository: Path, tag: str, bundle: Path) -> None:
    """Write what `tag` adds to the earlier versions in `repository` as a bundle."""
    # Packing everything anew makes deltas that do not depend on how the objects came here.
    git.run(*_EXACT, "repack", "-q", "-a", "-d", "-F", cwd=repository, env=git.ALONE)
    earlier = [f"^{name}" for name in tags(repository) if name != tag]
    bundle.parent.mkdir(exist_ok=True, parents=True)
    draft = bundle.with_suffix(".new")
    git.run(
        *_EXACT,
        "bundle",
        "create",
        "-q",
        draft.absolute(),
        f"refs/tags/{tag}",
        *earlier,
        cwd=repository,
    )
    os.replace(draft, bundle)


def cut(root: Path, version: str = __version__) -> str:
    """Write `releases/<version>.bundle` from the committed template; say what was done.

    Refused when the version is out with another template, or the template has uncommitted changes.
    """
    tag = f"v{version}"
    if git.run("status", "--porcelain", "--", *PARTS, cwd=root):
        raise Refused("The template has uncommitted changes.", "Commit them, then release.")
    with tempfile.TemporaryDirectory() as temporary:
        repository = Path(temporary)
        create(repository)
        load(bundled(root / "releases"), repository)
        known = tags(repository)
        tree = working_tree(root, repository)
        if tag in known:
            if _refs(repository, "%(tree)")[tag] != tree:
                raise Refused(
                    f"{tag} is released and never changes.",
                    "Raise the version in generator/perfgen.",
                )
            return f"{tag} is released already, with this very template."
        newest = max(known, key=Version, default="")
        if newest and Version(newest) > Version(tag):
            raise Refused(
                f"{newest} is released already.", f"{tag} would come before it: raise the version."
            )
        date = git.run("log", "-1", "--format=%ct", "--", *PARTS, cwd=root)
        add(repository, tag, tree, date, known.get(newest, ""))
        write(repository, tag, root / "releases" / f"{version}.bundle")
    return f"Wrote releases/{version}.bundle; commit it."


def main() -> None:
    """`python -m perfgen.releases`: cut the release of the checkout in the working directory."""
    try:
        print(cut(Path.cwd()))
    except Refused as error:
        raise SystemExit(f"{error.sentence} {error.hint}") from error


if __name__ == "__main__":
    main()
