"""How `perfgen diff --restore` goes: the user sees the difference before anything is written."""

import os
from dataclasses import dataclass
from pathlib import Path

from perfgen import drift as drifts
from perfgen import landing
from perfgen import telling
from perfgen import unfinished
from perfgen import versions
from perfgen.change import Change
from perfgen.change import FileChange
from perfgen.comparing import inside
from perfgen.drift import Drift
from perfgen.errors import DONE
from perfgen.errors import Refused
from perfgen.errors import suggestion
from perfgen.output import Output
from perfgen.output import terminal
from perfgen.service import Service
from perfgen.sources import Source
from perfgen.staging import in_temporary


@dataclass
class Restoring:
    """One run of `perfgen diff --restore`."""

    project: Path
    names: list[str]
    yes: bool
    dry_run: bool
    output: Output

    def run(self) -> int:
        """Bring the files back; the exit code."""
        service = Service.open(self.project)
        paths = list(dict.fromkeys(inside(service, name) for name in self.names))
        with unfinished.ready(service, dry_run=self.dry_run):
            return versions.at_recorded(
                service,
                lambda source: in_temporary(
                    lambda folder: self._restore(service, source, paths, folder)
                ),
                self.output.progress,
            )

    def _restore(self, service: Service, source: Source, paths: list[str], folder: Path) -> int:
        with self.output.progress("Comparing with the template"):
            drift, _ = drifts.trees(service, source, None, folder)
        moved = drifts.moves(drift, drift.ours)
        for path in paths:
            _require_given(drift, path, moved)
        change = _change(drift, paths)
        _require_tracked(service, change)
        notes = [
            f"{path} comes back; yours stays as {moved[path]}: remove it when it is not needed."
            for path in paths
            if path in moved
        ]
        message = f"Restore {', '.join(paths)} from template {source.version}"
        written = not change.empty and not self.dry_run
        text = change.diff()
        self.output.say(text if text else "As the template gave it already.")
        for note in notes:
            self.output.note(note)
        if written:
            self._require_agreed(len(change.files))
            landing.land(service, change, "perfgen diff --restore", message)
        with self.output.best_effort():
            self._report(service, source, change, message, text, written=written, notes=notes)
        return DONE

    def _require_agreed(self, count: int) -> None:
        """Ask on a terminal; refused where nobody can answer, unless told so beforehand."""
        if self.yes:
            return
        if self.output.as_json or self.output.quiet or not terminal():
            raise Refused(
                "Restoring replaces what you have, and there is no terminal to ask on.",
                "Give --yes, or --dry-run to see the difference only.",
            )
        import questionary

        what = "this file" if count == 1 else f"these {count} files"
        if not questionary.confirm(f"Bring {what} back?", default=False).unsafe_ask():
            raise KeyboardInterrupt

    def _report(
        self,
        service: Service,
        source: Source,
        change: Change,
        message: str,
        diff: str,
        *,
        written: bool,
        notes: list[str],
    ) -> None:
        following = []
        if written:
            following = telling.following(change, message)
            self.output.say("Restored and staged.\n\nNext:")
            for line in following:
                self.output.say(f"  {line}")
        elif self.dry_run:
            self.output.note("Nothing was written.")
        self.output.result(
            {
                "path": str(service.folder),
                "source": service.source,
                "version": source.version,
                "written": written,
                "files": [{"path": file.path, "kind": file.kind} for file in change.files],
                "notes": notes,
                "diff": diff,
                "next": following,
            }
        )


def _require_given(drift: Drift, path: str, moved: dict[str, str]) -> None:
    """Refuse a file that the template does not give."""
    if path in drift.base:
        return
    origins = [old for old, new in moved.items() if new == path]
    if origins:
        hint = f"It is {origins[0]} there: perfgen diff --restore {origins[0]}"
    elif any(one.startswith(f"{path}/") for one in drift.base):
        raise Refused(
            f"{path} is a folder.", "Name the files; `perfgen diff` lists those that differ."
        )
    else:
        hint = suggestion(path, drift.base, "`perfgen diff` lists what differs.")
    raise Refused(f"The template gives no {path}, or your .gitignore ignores it.", hint)


def _require_tracked(service: Service, change: Change) -> None:
    """Refuse to write over what git does not know: no commit has it."""
    tracked = set(service.git("ls-files", "-z").split(b"\0"))
    for file in change.of("changed"):
        if os.fsencode(file.path) not in tracked:
            raise Refused(
                f"{file.path} is in the way: git does not track yours, so it would be lost.",
                "Commit it first, or move it away.",
            )


def _change(drift: Drift, paths: list[str]) -> Change:
    """The change that brings `paths` back as the template gave them."""
    result = drift.ours | {path: drift.base[path] for path in paths}
    change = Change(drift.scratch, drift.base, drift.ours, result, result)
    change.files = [
        FileChange(path, "changed" if path in drift.ours else "new")
        for path in paths
        if drift.ours.get(path) != drift.base[path]
    ]
    return change
