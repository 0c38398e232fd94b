"""Where a template comes from: perfgen's own releases, or a git repository that the user names."""

import contextlib
import fcntl
import io
import re
import tarfile
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import TypeVar

from packaging.version import InvalidVersion
from packaging.version import Version

from perfgen import git
from perfgen import releases
from perfgen import resources
from perfgen.errors import Fault
from perfgen.errors import Refused
from perfgen.resources import STORE
from perfgen.staging import in_temporary

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """One version of one template, at hand in a local repository."""

    recorded: str  # what copier is given and the service remembers
    ref: str
    repository: Path
    settings: dict[str, str] = field(default_factory=dict)  # git configuration that copier needs
    cache: Path | None = None  # where copier may keep its copy, instead of the user's cache
    note: str = ""

    @property
    def version(self) -> str:
        """The version as people say it: without the tag's v."""
        return self.ref.removeprefix("v")

    def files(self, *paths: str) -> dict[str, bytes]:
        """The files under `paths` in this version."""
        try:
            asked = ("archive", "--format=tar", self.ref, *paths)
            archive = git.raw(*asked, cwd=self.repository, env=git.configured(git.PLAIN))
        except git.GitError as error:
            if self.recorded == STORE:
                raise
            raise Refused(
                f"{self.recorded} is not a perfgen template: {error.words.splitlines()[-1]}.",
                "A template has copier.yml, patterns/ and template/.",
            ) from error
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            members = [(member.name, tar.extractfile(member)) for member in tar if member.isfile()]
            return {name: content.read() for name, content in members if content}


def with_source(
    template: str | None,
    version: str | None,
    work: Callable[[Source], T],
    progress: Callable[[str], AbstractContextManager[None]],
) -> T:
    """Call `work` with the wanted version of `template` (perfgen's own when None); `progress` shows what takes long."""
    if not template:
        with _sound_store():
            return work(embedded(version))
    if is_url(template) or template.endswith(".bundle"):

        def fetched(folder: Path) -> T:
            with progress(f"Fetching {template}"):
                source = _cloned(template, version, folder)
            return work(source)

        return in_temporary(fetched)
    return work(_local(template, version))


def embedded(version: str | None) -> Source:
    """perfgen's own template, from the repository that its releases are collected in."""
    store = _store()
    carried = releases.bundled(resources.root() / "releases")
    checkout = resources.checkout()
    try:
        with _sound_store():
            _refresh(store, carried)
            known = releases.tags(store)
            if checkout and (checkout / ".git").exists() and not version:
                return _development(checkout, store)
    except OSError as error:
        raise Refused(
            f"{STORE} cannot be written to: {error.strerror}.",
            "perfgen keeps its templates there; make it writable, or name another template with --template.",
        ) from error
    if not version and not carried:
        raise Refused("This build of perfgen carries no template.", "Install a released one.")
    return Source(STORE, _chosen(version, known) if version else carried[-1].tag, store)


@contextmanager
def _sound_store() -> Iterator[None]:
    """What fails because the store is damaged is said to."""
    try:
        yield
    except git.Untrusted:
        raise
    except Fault as error:
        try:
            git.run("fsck", "--connectivity-only", "--no-dangling", cwd=_store())
        except git.GitError:
            raise Refused(
                f"{STORE}, where perfgen keeps its templates, is damaged.",
                "Move it away and run the command again: perfgen makes it anew.",
            ) from error
        raise


def with_stored(ref: str, work: Callable[[Source], T]) -> T:
    """Call `work` with that version of perfgen's own template, be it there or not."""
    with _sound_store():
        refresh()
        return work(Source(STORE, ref, _store()))


def refresh() -> None:
    """Put the releases of this perfgen where `copier update` finds them."""
    _refresh(_store(), releases.bundled(resources.root() / "releases"))


def _store() -> Path:
    return Path(STORE).expanduser().absolute()


def _refresh(store: Path, carried: list[releases.Release]) -> None:
    """Bring the releases that this perfgen carries into the store; a second perfgen waits meanwhile."""
    with contextlib.suppress(Refused):  # another perfgen may be at it: the lock will tell
        there = (store / ".git" / "refs").is_dir()
        if there and not releases.missing(carried, store) and releases.pointed(store):
            return
    store.parent.mkdir(parents=True, exist_ok=True)
    with _locked(store):
        releases.create(store)
        releases.load(carried, store)


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    """Within, no other perfgen writes into the store."""
    with (store.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in (store / ".git").rglob("*.lock"):  # git's own, of a perfgen that was killed
            left.unlink()
        yield


def _development(checkout: Path, store: Path) -> Source:
    with _locked(store):
        tag, dirty = releases.development(checkout, store)
    note = (
        f"The template in {checkout} has uncommitted changes; they are in, as {tag}."
        if dirty
        else ""
    )
    return Source(STORE, tag, store, note=note)


def _local(template: str, version: str | None) -> Source:
    path = Path(template).expanduser().resolve()
    if not path.is_dir():
        raise Refused(
            f"There is no template at {template}.",
            "Give a git repository: a folder, a bundle or a URL.",
        )
    git.forget_surroundings()
    top = _top(path)
    if not top or Path(top).resolve() != path:
        raise Refused(
            f"{template} is not the top of a git repository, so services made from it could never be updated.",
            "Run `git init` there and commit it.",
        )
    return Source(str(path), _version(path, version), path)


def _top(path: Path) -> str:
    try:
        return git.run("rev-parse", "--show-toplevel", cwd=path)
    except git.Untrusted:
        raise
    except git.GitError:
        return ""


def _cloned(template: str, version: str | None, folder: Path) -> Source:
    """A clone that copier is led to as well, so that the template is fetched once and leaves nothing behind."""
    recorded, url = _addresses(template)
    clone, quietly = folder / "template", {"GIT_TERMINAL_PROMPT": "0"}
    repository = clone / ".git"
    try:
        git.run("clone", "-q", "--bare", "--", url, repository, cwd=folder, env=quietly)
        # all branches as in a bare one, and yet none, where the user forbids these (safe.bareRepository)
        git.run("config", "--file", repository / "config", "core.bare", "false", cwd=folder)
    except git.GitError as error:
        words = (
            error.words.splitlines()[-1].removeprefix("fatal: ")
            if error.words
            else "no reason given"
        )
        raise Refused(
            f"{template} could not be fetched: {words}.", "Check the address and your access."
        ) from error
    settings = {} if recorded.endswith(".bundle") else {f"url.{clone}.insteadOf": url}
    return Source(recorded, _version(clone, version), clone, settings, cache=folder / "cache")


def is_url(template: str) -> bool:
    """Whether `template` is fetched from elsewhere."""
    return "://" in template or bool(re.match(r"(gh:|gl:|git\+|[\w.-]+@[\w.-]+:)", template))


def _addresses(template: str) -> tuple[str, str]:
    """What to record, so that copier knows it for git; and what git itself is to fetch."""
    if not is_url(template):
        path = Path(template).expanduser().resolve()
        return str(path), str(path)
    for short, host in (("gh:", "https://github.com/"), ("gl:", "https://gitlab.com/")):
        if template.startswith(short):
            template = host + template.removeprefix(short).removesuffix(".git").lstrip("/") + ".git"
    if template.endswith(".git") or template.startswith(("git+", "git@", "git://")):
        return template, template.removeprefix("git+")
    return f"git+{template}", template


def _version(repository: Path, wanted: str | None) -> str:
    """The wanted version, else the newest release, else the newest commit."""
    known = releases.tags(repository)
    if wanted:
        commit = git.says("rev-parse", "--verify", "-q", f"{wanted}^{{commit}}", cwd=repository)
        return wanted if commit and wanted not in known else _chosen(wanted, known)
    released = [tag for tag in known if _is_release(tag)]
    return max(released, key=Version) if released else git.run("rev-parse", "HEAD", cwd=repository)


def _is_release(tag: str) -> bool:
    try:
        return not Version(tag).is_prerelease
    except InvalidVersion:
        return False


def _chosen(wanted: str, known: dict[str, str]) -> str:
    for tag in (wanted, f"v{wanted}"):
        if tag in known:
            return tag
    names = (tag.removeprefix("v") for tag in sorted(known))
    raise Refused(
        f"The template has no version {wanted}.", f"Known are {', '.join(names) or 'none'}."
    )
