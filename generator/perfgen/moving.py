"""How `perfgen source NEW` goes: what the template renders otherwise for the new source is merged, as any change."""

from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

import yaml

from perfgen import git
from perfgen import landing
from perfgen import policies
from perfgen import sources
from perfgen import telling
from perfgen import unfinished
from perfgen import versions
from perfgen.change import Change
from perfgen.change import work_out
from perfgen.errors import CONFLICTS
from perfgen.errors import DONE
from perfgen.errors import Refused
from perfgen.notices import Notices
from perfgen.notices import notices
from perfgen.output import Output
from perfgen.recorded import form_of
from perfgen.recorded import require_valid
from perfgen.resources import PARTS
from perfgen.scratch import Scratch
from perfgen.service import ANSWERS
from perfgen.service import Service
from perfgen.sources import Source
from perfgen.staging import in_temporary

EMBEDDED = "embedded"
_SHOWN = 3  # files that are named when two templates differ
_RECORD_ONLY = (
    "Only what is recorded changes: what the template writes by its source does not come. Once this is committed,"
    " `perfgen diff` names such files, and `perfgen diff --restore FILE` brings one."
)


@dataclass
class Move:
    """One run of `perfgen source NEW`."""

    project: Path
    new: str
    unchecked: bool
    dry_run: bool
    output: Output

    def run(self) -> int:
        """Go over to the new source; the exit code."""
        service = Service.open(self.project)
        with unfinished.ready(service, dry_run=self.dry_run):
            template = None if self.new == EMBEDDED else self.new
            return sources.with_source(
                template, None, lambda new: self._move(service, new), self.output.progress
            )

    def _move(self, service: Service, newest: Source) -> int:
        new = self._same_version(service, newest)
        if new.recorded == service.source:
            self.output.say(f"The service's template is from {new.recorded} already.")
            self.output.result(_facts(service, new) | {"written": False, "files": [], "diff": ""})
            return DONE
        if self.unchecked:
            return in_temporary(lambda folder: self._record_only(service, new, folder))
        return self._merge(service, new)

    def _record_only(self, service: Service, new: Source, folder: Path) -> int:
        change = _recording(service, new.recorded, folder)
        change.notes.append(_RECORD_ONLY)
        return self._finish(service, new, change, Notices())

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
        return replace(newest, ref=service.version, note="")

    def _merge(self, service: Service, new: Source) -> int:
        """The same version from both sources, merged into the service."""
        begun = False

        def merge(old: Source) -> int:
            nonlocal begun
            begun = True
            self._require_same(old, new)
            require_valid(form_of(new), service)
            return in_temporary(lambda folder: self._evolve(service, old, new, folder))

        try:
            return versions.at_recorded(service, merge, self.output.progress)
        except Refused as error:
            if begun:
                raise
            raise Refused(
                f"The present source cannot be had to compare with: {error.sentence}",
                f"If you know that {self.new} has the same template: add --unchecked.",
            ) from error

    def _require_same(self, old: Source, new: Source) -> None:
        """Refuse a source whose template of that version is another one."""
        before, after = _template(old), _template(new)
        paths = sorted(before.keys() | after.keys())
        differ = [path for path in paths if before.get(path) != after.get(path)]
        if differ:
            more = f" and {len(differ) - _SHOWN} more" if len(differ) > _SHOWN else ""
            raise Refused(
                f"{self.new} has another template {new.version}:"
                f" it differs in {', '.join(differ[:_SHOWN])}{more}.",
                "A version that is out never changes; the new source must have the same one.",
            )

    def _evolve(self, service: Service, old: Source, new: Source, folder: Path) -> int:
        with self.output.progress("Working out the change"):
            change = work_out(service, old, new, {}, folder)
        record(change, new.recorded)
        return self._finish(service, new, change, notices(change, old, new))

    def _finish(self, service: Service, new: Source, change: Change, told: Notices) -> int:
        """Bring the change in, unless it is a dry run, and tell of it."""
        message = f"Template from {new.recorded}"
        if not self.dry_run:
            landing.land(service, change, "perfgen source", message)
        following = [] if self.dry_run else telling.following(change, message)
        with self.output.best_effort():
            self.output.say(f"{service.source} → {new.recorded}")
            telling.tell_files(change.files, self.output, whole=self.dry_run)
            for line in told.lines():
                self.output.say(line)
            for line in change.notes:
                self.output.note(line)
            diff = telling.tell_end(change, following, self.output, dry_run=self.dry_run)
            facts = {
                "written": not self.dry_run,
                "files": [telling.file_facts(file) for file in change.files],
                "conflicts": change.conflicts,
                "notes": change.notes,
                "notices": asdict(told),
                "diff": diff or change.diff(),
                "next": following,
            }
            self.output.result(_facts(service, new) | facts)
        return CONFLICTS if change.conflicts else DONE


def _facts(service: Service, new: Source) -> dict[str, object]:
    return {
        "path": str(service.folder),
        "from": service.source,
        "source": new.recorded,
        "version": new.version,
    }


def _template(source: Source) -> dict[str, str]:
    """Every file of the template with its mode and content's name."""
    listed = git.raw("ls-tree", "-r", "-z", source.ref, "--", *PARTS, cwd=source.repository)
    fields = (line.split(b"\t", 1) for line in listed.split(b"\0") if line)
    return {path.decode("utf-8", "surrogateescape"): meta.decode() for meta, path in fields}


def _recording(service: Service, recorded: str, folder: Path) -> Change:
    """The change of the answers file alone."""
    scratch = Scratch(folder, service.objects, service.object_format)
    ours = scratch.tree(service.head, service.prefix)
    change = Change(scratch, ours, ours, ours, dict(ours))
    record(change, recorded)
    return change


def record(change: Change, recorded: str) -> None:
    """Have the service's own answers file in the result, with another source; all else in it stays."""
    entry = change.ours[ANSWERS]
    text = with_source_recorded(change.scratch.read(entry).decode("utf-8"), recorded)
    change.result[ANSWERS] = change.scratch.write(text.encode("utf-8"), entry.mode)
    change.files = policies.classify(change, moved=False)


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
