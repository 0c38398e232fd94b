"""How `perfgen source` goes: where a service's template comes from is shown, or changed."""

from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

import yaml

from perfgen import git
from perfgen import landing
from perfgen import releases
from perfgen import sources
from perfgen import unfinished
from perfgen import versions
from perfgen.change import Change
from perfgen.change import FileChange
from perfgen.errors import DONE
from perfgen.errors import Refused
from perfgen.output import Output
from perfgen.recorded import in_temporary
from perfgen.recorded import newest_first
from perfgen.recorded import with_newest
from perfgen.resources import PARTS
from perfgen.scratch import Scratch
from perfgen.service import ANSWERS
from perfgen.service import Service
from perfgen.sources import Source

EMBEDDED = "embedded"
Facts = dict[str, object]
_UNDO = "or, to have everything as it was: perfgen update --abort"
_SHOWN = 3  # files that are named when two templates differ


def show(project: Path, output: Output) -> int:
    """Tell what is recorded, where that is on this machine, and what there is."""
    service = Service.open(project)
    facts: Facts = {
        "path": str(service.folder),
        "source": service.source,
        "embedded": service.source == sources.STORE,
        "version": service.version.removeprefix("v"),
    }
    output.say(f"source    {service.source}{_meaning(service)}")
    output.say(f"version   {facts['version']}")
    try:
        facts |= with_newest(
            service,
            lambda recorded, newest, why: _at_hand(service, recorded, newest, why, output),
            output.progress,
        )
    except Refused as error:
        output.say("here      it cannot be had")
        output.note(f"{error.sentence} {error.hint}")
        facts |= {"here": None, "versions": [], "newest": None, "newer": False}
        facts |= {"problem": error.sentence}
    output.result(facts)
    return DONE


def _at_hand(
    service: Service, recorded: Source, newest: Source | None, why: str, output: Output
) -> Facts:
    """What there is of the source: where, its versions, and the newest, unless there is a reason `why` not."""
    known = [tag.removeprefix("v") for tag in newest_first(releases.tags(recorded.repository))]
    place = None if sources.is_url(service.source) else str(_place(service, recorded))
    output.say(f"here      {place or 'nowhere: it is fetched each time'}")
    output.say(f"versions  {', '.join(known) or 'none by name'}")
    later = newest is not None and newest.ref != recorded.ref
    if newest:
        hint = ": `perfgen update` brings it in" if later else ", which the service is of"
        output.say(f"newest    {newest.version}{hint}")
    else:
        output.note(why)
    version = newest.version if newest else None
    return {"here": place, "versions": known, "newest": version, "newer": later, "problem": why}


def _meaning(service: Service) -> str:
    return " (embedded: what perfgen itself brings)" if service.source == sources.STORE else ""


def _place(service: Service, source: Source) -> Path:
    """A bundle is cloned for the while, so it is what the service records."""
    if service.source.endswith(".bundle"):
        return Path(service.source).expanduser()
    return source.repository


@dataclass
class Move:
    """One run of `perfgen source NEW`."""

    project: Path
    new: str
    unchecked: bool
    dry_run: bool
    output: Output

    def run(self) -> int:
        """Record the new source; the exit code."""
        service = Service.open(self.project)
        with service.locked():
            unfinished.require_none(service)
            if not self.dry_run:
                unfinished.clear(service)
            service.require_clean()
            template = None if self.new == EMBEDDED else self.new
            return sources.with_source(
                template, None, lambda new: self._move(service, new), self.output.progress
            )

    def _move(self, service: Service, newest: Source) -> int:
        new = self._same_version(service, newest)
        self._compare(service, new)
        return in_temporary(lambda folder: self._record(service, new, folder))

    def _same_version(self, service: Service, newest: Source) -> Source:
        """The service's version in the new source; refused where it is not."""
        ref = f"{service.version}^{{commit}}"
        found = git.says(
            "rev-parse", "--verify", "-q", "--end-of-options", ref, cwd=newest.repository
        )
        if not found:
            raise Refused(
                f"{self.new} has no template {service.version.removeprefix('v')}, which the service is of.",
                "Fetch it there (git fetch --tags), or update the service from its present source first.",
            )
        return replace(newest, ref=service.version)

    def _compare(self, service: Service, new: Source) -> None:
        """Refuse a source whose template of that version is another one."""
        if self.unchecked:
            return

        def compare(old: Source) -> None:
            before, after = _template(old), _template(new)
            paths = sorted(before.keys() | after.keys())
            differ = [path for path in paths if before.get(path) != after.get(path)]
            if differ:
                more = f" and {len(differ) - _SHOWN} more" if len(differ) > _SHOWN else ""
                raise Differs(
                    f"{self.new} has another template {new.version}:"
                    f" it differs in {', '.join(differ[:_SHOWN])}{more}.",
                    "A version that is out never changes; the new source must have the same one.",
                )

        try:
            versions.at_recorded(service, compare, self.output.progress)
        except Differs:
            raise
        except Refused as error:
            raise Refused(
                f"The present source cannot be had to compare with: {error.sentence}",
                f"If you know that {self.new} has the same template: add --unchecked.",
            ) from error

    def _record(self, service: Service, new: Source, folder: Path) -> int:
        change = _change(service, new.recorded, folder)
        message = f"Template from {new.recorded}"
        written = not change.empty and not self.dry_run
        if written:
            landing.land(service, change, "perfgen source", message)
        following = [f'git commit -m "{message}"', _UNDO] if written else []
        with self.output.best_effort():
            self._tell(service, new, change, following)
            self.output.result(
                {
                    "path": str(service.folder),
                    "from": service.source,
                    "source": new.recorded,
                    "version": new.version,
                    "written": written,
                    "diff": change.diff(),
                    "next": following,
                }
            )
        return DONE

    def _tell(self, service: Service, new: Source, change: Change, following: list[str]) -> None:
        if change.empty:
            self.output.say(f"The service's template is from {new.recorded} already.")
        else:
            self.output.say(f"{service.source} → {new.recorded}")
        if self.dry_run:
            self.output.say(f"\n{change.diff()}")
            self.output.note("Nothing was written.")
        elif following:
            self.output.say("\nNext:\n" + "\n".join(f"  {line}" for line in following))


class Differs(Refused):
    """Two sources have different templates by one name."""


def _template(source: Source) -> dict[str, str]:
    """Every file of the template with its mode and content's name."""
    listed = git.raw("ls-tree", "-r", "-z", source.ref, "--", *PARTS, cwd=source.repository)
    fields = (line.split(b"\t", 1) for line in listed.split(b"\0") if line)
    return {path.decode("utf-8", "surrogateescape"): meta.decode() for meta, path in fields}


def _change(service: Service, recorded: str, folder: Path) -> Change:
    """The change of the answers file by which the template comes from `recorded`; all else in it stays."""
    scratch = Scratch(folder, service.objects, service.object_format)
    ours = scratch.tree(service.head, service.prefix)
    entry = ours[ANSWERS]
    text = scratch.read(entry).decode("utf-8")
    changed = with_source_recorded(text, recorded)
    result = dict(ours)
    if changed != text:
        result[ANSWERS] = scratch.write(changed.encode("utf-8"), entry.mode)
    change = Change(scratch, ours, ours, result, result)
    change.files = [FileChange(ANSWERS, "changed")] if changed != text else []
    return change


def with_source_recorded(text: str, recorded: str) -> str:
    """The answers file with another `_src_path`; everything else in it, comments too, as it was."""
    before = yaml.safe_load(text)
    if before["_src_path"] == recorded:
        return text
    node = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)  # noqa: S101 (it was loaded as one)
    place = next(value for key, value in node.value if key.value == "_src_path")
    value = yaml.safe_dump(recorded, width=10**6, allow_unicode=True)
    start, end = place.start_mark.index, place.end_mark.index
    changed = text[:start] + value.removesuffix("\n").removesuffix("\n...") + text[end:]
    if yaml.safe_load(changed) != before | {"_src_path": recorded}:
        raise Refused(
            f"{ANSWERS} is written in a way that cannot be changed in one place.",
            f"Write `_src_path: {recorded}` into it by hand, and commit.",
        )
    return changed
