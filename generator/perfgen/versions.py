"""The version a service was made from and the one that is wanted, both at hand in one repository."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from packaging.version import InvalidVersion
from packaging.version import Version

from perfgen import git
from perfgen import resources
from perfgen import sources
from perfgen.errors import Refused
from perfgen.service import Service
from perfgen.sources import Source

T = TypeVar("T")
Progress = Callable[[str], AbstractContextManager[None]]


def at_recorded(service: Service, work: Callable[[Source], T], progress: Progress) -> T:
    """Call `work` with the version that `service` was made from."""

    def checked(source: Source) -> T:
        return work(_recorded(service, source))

    if service.source == resources.STORE:
        return sources.with_stored(service.version, checked)
    return sources.with_source(_place(service), None, checked, progress)


def at_both(
    service: Service, to: str | None, work: Callable[[Source, Source], T], progress: Progress
) -> T:
    """Call `work` with the recorded version and the one to go `to`: the newest when None.

    An older one than the recorded is refused.
    """

    def checked(wanted: Source) -> T:
        recorded = _recorded(service, wanted)
        wanted = replace(wanted, recorded=service.source)
        if not older(wanted.repository, wanted.ref, recorded.ref):
            return work(recorded, wanted)
        if to:
            raise Refused(
                f"The service is of template {recorded.version}, and {wanted.version} is older.",
                "perfgen never goes back; take your own earlier commit for that.",
            )
        if service.source == resources.STORE:
            raise Refused(
                f"The service is of template {recorded.version}, which is newer than this perfgen has"
                f" ({wanted.version}).",
                "Install a newer perfgen: pip install --upgrade perfgen",
            )
        return work(recorded, recorded)

    template = None if service.source == resources.STORE else _place(service)
    return sources.with_source(template, to, checked, progress)


def older(repository: Path, one: str, other: str) -> bool:
    """Whether the version `one` came before `other`: by number, else by the history of the repository."""
    try:
        # What follows the + names the commit of a development build, and says nothing of its age.
        return Version(Version(one).public) < Version(Version(other).public)
    except InvalidVersion:
        commits = [
            git.says("rev-parse", f"{ref}^{{commit}}", cwd=repository) for ref in (one, other)
        ]
        if commits[0] == commits[1]:
            return False
        base = git.says("merge-base", *commits, cwd=repository)
        return base == commits[0]


def _recorded(service: Service, source: Source) -> Source:
    """The recorded version in the repository of `source`; refused where it is not."""
    ref = f"{service.version}^{{commit}}"
    if git.says("rev-parse", "--verify", "-q", "--end-of-options", ref, cwd=source.repository):
        return replace(source, recorded=service.source, ref=service.version, note="")
    what = f"The service is of template {service.version.removeprefix('v')}, which"
    if service.source != resources.STORE:
        raise Refused(
            f"{what} is not in {service.source}.",
            "Fetch it there: git fetch --tags; `_commit` in .copier-answers.yml names it.",
        )
    if ".dev" in service.version:
        raise Refused(
            f"{what} is a development build that this machine has not got.",
            "Update the service where it was made, from a checkout of perfgen, to a released version.",
        )
    raise Refused(
        f"{what} this perfgen has not got.",
        f"Install perfgen {service.version.removeprefix('v')} or newer: pip install --upgrade perfgen",
    )


def _place(service: Service) -> str:
    """Where the source is, as sources.py takes it; refused where a folder or bundle is not there."""
    place = service.source
    if sources.is_url(place) or Path(place).expanduser().is_absolute():
        path = None if sources.is_url(place) else Path(place).expanduser()
        if path is None or path.exists():
            return place
        sentence = f"The template that the service was made from is not on this machine: {place}."
    else:
        sentence = (
            f"The service records {place!r} as its template, which is no absolute path and no URL."
        )
    raise Refused(
        sentence,
        "Bring it there, or name where it is now: perfgen source NEW --unchecked",
    )
