"""Whether machine and service are fit for a change: each fact as sound, or with what to do about it."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

from perfgen import git
from perfgen import releases
from perfgen import resources
from perfgen import signals
from perfgen import sources
from perfgen import unfinished
from perfgen import versions
from perfgen.errors import DONE
from perfgen.errors import MISTAKE
from perfgen.errors import Fault
from perfgen.errors import Refused
from perfgen.output import Output
from perfgen.service import Service

OLDEST_GIT = (2, 34)  # from which on its merge is the one we count on


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    sound: bool
    says: str
    remedy: str = ""


def examine(project: Path, *, fix: bool, output: Output) -> int:
    """Look at all, put right what was left behind when `fix`, and tell; the exit code."""
    fixed = _fix(project) if fix else []
    findings = [*_machine(), *_service(project, output)]
    for line in fixed:
        output.say(f"fixed    {line}")
    for finding in findings:
        output.say(f"{'ok' if finding.sound else 'problem':8} {finding.what}: {finding.says}")
        if finding.remedy:
            output.say(f"{'':8} → {finding.remedy}")
    sound = all(finding.sound for finding in findings)
    output.result(
        {"sound": sound, "fixed": fixed, "findings": [asdict(finding) for finding in findings]}
    )
    return DONE if sound else MISTAKE


def _look(what: str, work: Callable[[], str]) -> Finding:
    """What `work` says is sound; what it refuses is not."""
    try:
        return Finding(what, True, work())
    except Refused as error:
        return Finding(what, False, error.sentence, error.hint)
    except OSError as error:
        return Finding(what, False, f"{error.filename}: {error.strerror}")


def _machine() -> Iterator[Finding]:
    yield _look("git", _git)
    version = sys.version_info
    yield Finding("Python", True, f"{version.major}.{version.minor}.{version.micro}")
    yield _look("uv", _uv)
    if shutil.which("git"):
        yield _look("store", _store)


def _git() -> str:
    git.require()
    words = git.run("--version", cwd=Path("/"))
    found = re.search(r"(\d+)\.(\d+)", words)
    if found and (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise Refused(f"{words} is too old for `perfgen update`.", "Install git 2.34 or newer.")
    return words.removeprefix("git version ")


def _uv() -> str:
    path = shutil.which("uv")
    if path is None:
        return "not on PATH; a service's own `make` installs it into the service"
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"{path} does not start.", "Install uv again.")
    return done.stdout.strip().removeprefix("uv ")


def _store() -> str:
    """perfgen's templates: the carried bundles are whole, and so is the repository that collects them."""
    store = Path(resources.STORE).expanduser()
    sources.refresh()
    known = releases.tags(store)
    try:
        git.run("fsck", "--no-dangling", "--no-progress", cwd=store)
    except git.GitError as error:
        raise Refused(
            f"{resources.STORE}, where perfgen keeps its templates, is damaged.",
            "Move it away and run the command again: perfgen makes it anew.",
        ) from error
    return f"{resources.STORE}, {len(known)} versions"


def _service(project: Path, output: Output) -> Iterator[Finding]:
    if not shutil.which("git"):
        return
    try:
        place = Service.open(project, broken=True)
    except Refused as error:
        yield Finding("service", False, error.sentence, error.hint)
        return
    yield _look("earlier change", lambda: _unfinished(place))
    yield from _leftovers(place)
    try:
        service = Service.open(project)
    except Refused as error:
        yield Finding("service", False, error.sentence, error.hint)
        return
    yield Finding("service", True, str(service.folder))
    yield _look("template", lambda: _template(service, output))
    yield _look("tree", lambda: _tree(service))


def _unfinished(service: Service) -> str:
    found = unfinished.left(service)
    if found is not None and found.kind == "prepared":
        raise Refused(
            f"A change was killed before it began to write; it left {service.state}.",
            "`perfgen doctor --fix` removes it.",
        )
    unfinished.require_none(service)
    return "none waits"


def _leftovers(service: Service) -> Iterator[Finding]:
    lock = service.git_dir / "index.lock"
    if lock.exists() and unfinished.left(service) is None:
        yield Finding(
            "lock",
            False,
            f"{lock} is there: a git is at work, or one was killed.",
            "Where none runs, remove the file.",
        )
    for path in _abandoned(service):
        yield Finding(
            "leftover",
            False,
            f"{path} is of a `perfgen new` that was killed, or is still at work.",
            "`perfgen doctor --fix` removes it when it is a day old; remove it yourself when none runs.",
        )


def _abandoned(service: Service) -> list[Path]:
    """The folders that a killed `perfgen new` left beside the service."""
    return sorted(path for path in service.folder.parent.glob(".*.perfgen-*") if path.is_dir())


def _template(service: Service, output: Output) -> str:
    return versions.at_recorded(
        service, lambda source: f"{source.version} of {source.recorded}", output.progress
    )


def _tree(service: Service) -> str:
    service.require_clean()
    return "clean"


def _fix(project: Path) -> list[str]:
    """Put right what killed commands left, and say what was done."""
    service = Service.open(project, broken=True)
    fixed = []
    kept: list[str] = []
    with service.locked(), signals.waiting():
        done = unfinished.recover(service, kept)
    if done:
        fixed.append(f"the earlier change is {done}")
    fixed += kept
    for path in _abandoned(service):
        if _is_old(path):
            shutil.rmtree(path, ignore_errors=True)
            fixed.append(f"removed {path}")
    return fixed


def _is_old(path: Path) -> bool:
    """A day: no `perfgen new` takes that long."""
    import time

    try:
        return time.time() - path.stat().st_mtime > 24 * 3600
    except OSError as error:
        raise Fault(f"{path} cannot be looked at: {error.strerror}.") from error
