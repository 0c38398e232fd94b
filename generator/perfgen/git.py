"""Git as a process, and the first commit of a new service."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from perfgen.errors import MISTAKE
from perfgen.errors import Fault
from perfgen.errors import Refused

# Variables that a surrounding `git` command (a hook, an alias) leaves behind: they point at another repository,
# or have our paths read otherwise.
_REPOSITORY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)
# perfgen's own repositories know nothing of the user's hooks, filters, attributes and signing.
ALONE = {
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "XDG_CONFIG_HOME": os.devnull,  # where git looks for attributes that no configuration names
}
# What a user's configuration may not change in files that perfgen writes.
PLAIN = {
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.safecrlf": "false",
    "core.hooksPath": os.devnull,
    "commit.gpgSign": "false",
    "advice.detachedHead": "false",
    "maintenance.auto": "false",
    "gc.auto": "0",
}
# How git says that a filter of the user's attributes failed, which it must not do without.
_FILTER = re.compile(r"^fatal: (.*): (?:smudge|clean) filter '?(.*?)'? failed$", re.M)
# How git says that a disk is full, where it does.
_FULL = ("No space left on device", "Disk quota exceeded", "Out of diskspace")
_NOT_WRITTEN = re.compile(r"(unable to|failed to|cannot|could not) (write|store|copy|create)", re.I)
_LITTLE = 1024 * 1024  # bytes; a clone that failed for want of room removes what it had written


class GitError(Fault):
    """Git ended with an error; `words` is what it said, `status` its exit code."""

    def __init__(self, command: str, words: str, status: int = 128) -> None:
        self.words, self.status = words.strip(), status
        last = self.words.splitlines()[-1] if self.words else "no reason given"
        super().__init__(f"git {command} failed: {last}")


class NoRoom(GitError):
    """The disk is full."""

    exit_code = MISTAKE

    def __init__(self, command: str, words: str) -> None:
        super().__init__(command, words)
        self.sentence = f"No space left on device: git {command} could not write."
        self.hint = (
            "Make room on the disks of the service and of the temporary folder, and run this again."
        )


class FilterFailed(GitError):
    """A filter of the user's, as that of git-lfs, failed."""

    exit_code = MISTAKE

    def __init__(self, command: str, words: str, status: int = 128) -> None:
        super().__init__(command, words, status)
        found = _FILTER.search(words)
        path, name = found.groups() if found else ("a file", "")
        said = words.strip().splitlines()[0].removeprefix("error: ")
        self.sentence = f"Git's filter {name} failed for {path}: {said}."
        self.hint = (
            f"Install or mend what `git config --get-regexp '^filter[.]{name}[.]'` names,"
            " then run this again."
        )


class Untrusted(GitError):
    """A repository of another user, which git does not touch."""

    exit_code = MISTAKE

    def __init__(self, command: str, words: str, status: int = 128) -> None:
        super().__init__(command, words, status)
        found = re.search(r"repository at '(.*)'", words)
        where = found[1] if found else "The repository"
        self.sentence = f"{where} belongs to another user, so git does not trust it."
        self.hint = f"If you do: git config --global --add safe.directory '{where}'"


def require() -> None:
    """Refuse when there is no git; copier and every update need it."""
    if shutil.which("git") is None:
        raise Refused(
            "git is not installed, or not on PATH.", "Install git and run the command again."
        )


def forget_surroundings() -> None:
    """Work on the folders we are told, whatever repository called us."""
    for name in _REPOSITORY:
        os.environ.pop(name, None)


def configured(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment that gives `settings` the last word in every git below."""
    count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    env = {"GIT_CONFIG_COUNT": str(count + len(settings)), "GIT_ATTR_NOSYSTEM": "1"}
    for number, (key, value) in enumerate(settings.items(), count):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def run(*args: str | Path, cwd: Path, env: Mapping[str, str] | None = None, text: str = "") -> str:
    """Run git in `cwd` with `text` as its input and return what it prints; GitError when it fails."""
    return (
        raw(*args, cwd=cwd, env=env, data=text.encode()).decode("utf-8", "surrogateescape").strip()
    )


def raw(
    *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None, data: bytes = b""
) -> bytes:
    """Like `run`, in bytes and untouched."""
    command = ["git", *map(str, args)]
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **(env or {})}, input=data, capture_output=True
    )
    if done.returncode:
        name = next(
            (str(word) for word in args if not str(word).startswith("-") and "=" not in str(word)),
            "",
        )
        words = done.stderr.decode("utf-8", "replace")
        if full(words, cwd, *(value for key, value in (env or {}).items() if key in _REPOSITORY)):
            raise NoRoom(name, words)
        raise _kind(words)(name, words, done.returncode)
    return done.stdout


def _kind(words: str) -> type[GitError]:
    if _FILTER.search(words):
        return FilterFailed
    return Untrusted if "dubious ownership" in words else GitError


def full(words: str, *places: str | Path) -> bool:
    """Whether git said `words` because a disk is full: often only that it could not write, so the disks are asked.

    `places` are folders and files on them.
    """
    if any(said in words for said in _FULL):
        return True
    return bool(_NOT_WRITTEN.search(words)) and any(map(_has_no_room, places))


def _has_no_room(place: str | Path) -> bool:
    for path in (Path(place), *Path(place).parents):
        if path.exists():
            return shutil.disk_usage(path).free < _LITTLE
    return False


def says(*args: str | Path, cwd: Path) -> str:
    """What git prints, or nothing when it fails."""
    try:
        return run(*args, cwd=cwd)
    except GitError:
        return ""


def surrounding(folder: Path) -> str:
    """The work tree that `folder` would become part of: none when it is outside of one, or ignored there."""
    top = says("rev-parse", "--show-toplevel", cwd=folder.parent)
    if top and says("check-ignore", folder.name, cwd=folder.parent):
        return ""
    return top


def first_commit(folder: Path, message: str) -> str:
    """Make `folder` a repository with one commit of everything in it; a note when an identity was made up."""
    known = says(
        "config", "--get-regexp", r"^(user\.(name|email)|init\.defaultbranch)$", cwd=folder
    ).lower()
    branch = [] if "init.defaultbranch " in known else ["--initial-branch=main"]
    env = configured(PLAIN) | {"LC_ALL": "C"}
    run("init", "-q", *branch, cwd=folder, env=env)
    # -f: a user's global ignore file does not decide what belongs to the service.
    run("add", "-A", "-f", cwd=folder, env=env)
    who, note = _identity(known)
    run("commit", "-q", "--no-verify", "-m", message, cwd=folder, env=env | who)
    return note


def _identity(known: str) -> tuple[dict[str, str], str]:
    """A stand-in for each half of the author's identity that is set neither in git nor in the environment."""
    stand_in, note = {}, ""
    for half, value in (("name", "perfgen"), ("email", "perfgen@localhost")):
        for role in ("AUTHOR", "COMMITTER"):
            variable = f"GIT_{role}_{half.upper()}"
            if f"user.{half} " not in known and not os.environ.get(variable):
                stand_in[variable] = value
                note = (
                    "Git does not know who you are, so the first commit is by perfgen;"
                    " set user.name and user.email before yours."
                )
    return stand_in, note
