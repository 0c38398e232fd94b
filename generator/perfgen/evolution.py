"""How `add`, `remove` and `update` go: the change is worked out, told, and brought in at once, or not at all."""

from collections.abc import Callable
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

from perfgen import landing
from perfgen import telling
from perfgen import unfinished
from perfgen import versions
from perfgen.answering import Answers
from perfgen.answering import answer
from perfgen.catalogue import Catalogue
from perfgen.change import Change
from perfgen.change import work_out
from perfgen.errors import CONFLICTS
from perfgen.errors import DONE
from perfgen.notices import notices
from perfgen.output import Output
from perfgen.recorded import form_of
from perfgen.selection import Selection
from perfgen.service import Service
from perfgen.sources import Source
from perfgen.staging import in_temporary


@dataclass
class Evolution:
    """One run of `perfgen add`, `remove` or `update`."""

    command: str  # as the user typed it, for messages
    project: Path
    settings: list[str]
    dry_run: bool
    output: Output

    def select(self, choose: Callable[[Catalogue, list[str]], Selection]) -> int:
        """Change which patterns the service has, at the version it is of; the exit code."""
        service = Service.open(self.project)
        with unfinished.ready(service, dry_run=self.dry_run):
            return versions.at_recorded(
                service,
                lambda source: self._evolve(service, source, source, choose),
                self.output.progress,
            )

    def update(self, to: str | None) -> int:
        """Go to another version, the newest when None; the exit code."""
        service = Service.open(self.project)
        with unfinished.ready(service, dry_run=self.dry_run):
            return versions.at_both(
                service,
                to,
                lambda recorded, wanted: self._evolve(
                    service, recorded, wanted, None, newest=not to
                ),
                self.output.progress,
            )

    def _evolve(
        self,
        service: Service,
        recorded: Source,
        wanted: Source,
        choose: Callable[[Catalogue, list[str]], Selection] | None,
        *,
        newest: bool = False,
    ) -> int:
        if wanted.note:
            self.output.note(wanted.note)
        form = form_of(wanted)
        patterns = None
        if choose:
            selection = choose(form.catalogue, _patterns(service))
            for note in selection.notes:
                self.output.note(note)
            patterns = selection.patterns
            if selection.unchanged and not self.settings:
                return self._nothing(service, recorded, wanted, selection.notes)
        answers = answer(form, service.answers, patterns, self.settings, self.output)
        if recorded.ref == wanted.ref and not answers.changed:
            template = (
                f"the newest template, {wanted.version},"
                if newest
                else f"template {wanted.version}"
            )
            answers_too = " and has these answers" if self.settings else ""
            self.output.say(f"The service is of {template} already{answers_too}.")
            return self._nothing(service, recorded, wanted, [])

        def work(folder: Path) -> int:
            with self.output.progress("Working out the change"):
                change = work_out(service, recorded, wanted, answers.changed, folder)
            return self._finish(service, change, recorded, wanted, answers)

        return in_temporary(work)

    def _nothing(self, service: Service, recorded: Source, wanted: Source, notes: list[str]) -> int:
        self.output.result(
            _facts(service, recorded, wanted) | {"written": False, "files": [], "notes": notes}
        )
        return DONE

    def _finish(
        self, service: Service, change: Change, recorded: Source, wanted: Source, answers: Answers
    ) -> int:
        """Bring the change in, unless it is a dry run, and tell of it."""
        notes = change.notes + answers.notes
        told = notices(change, recorded, wanted)
        message = self._message(recorded, wanted)
        written = not self.dry_run and not change.empty
        if written:
            landing.land(service, change, self.command, message, told.to_run())
        following = telling.following(change, message) if written else []
        with self.output.best_effort():
            telling.tell_files(change.files, self.output, whole=self.dry_run)
            for line in notes + told.lines():
                self.output.say(line)
            diff = telling.tell_end(change, following, self.output, dry_run=self.dry_run)
            facts = _facts(service, recorded, wanted) | {
                "written": written,
                "answers": answers.values,
                "files": [telling.file_facts(file) for file in change.files],
                "conflicts": change.conflicts,
                "notes": notes,
                "notices": asdict(told),
                "next": following,
            }
            self.output.result(facts | ({"diff": diff} if self.dry_run else {}))
        return CONFLICTS if change.conflicts else DONE

    def _message(self, recorded: Source, wanted: Source) -> str:
        if recorded.ref != wanted.ref:
            return f"Template {wanted.version}"
        return self.command


def _patterns(service: Service) -> list[str]:
    recorded = service.answers.get("patterns")
    return [str(name) for name in recorded] if isinstance(recorded, list) else []


def _facts(service: Service, recorded: Source, wanted: Source) -> dict[str, object]:
    return {
        "path": str(service.folder),
        "source": service.source,
        "from": recorded.version,
        "to": wanted.version,
    }
