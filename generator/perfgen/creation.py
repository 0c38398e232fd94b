"""How `perfgen new` goes: everything is found to be right, then the service is there at once, or not at all."""

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfgen import git
from perfgen import pythons
from perfgen.answers import Flags
from perfgen.answers import flag
from perfgen.answers import gather
from perfgen.checks import check_lock
from perfgen.checks import check_name
from perfgen.checks import check_place
from perfgen.errors import Refused
from perfgen.output import Output
from perfgen.output import terminal
from perfgen.questions import UNANSWERED
from perfgen.questions import Form
from perfgen.questions import Question
from perfgen.questions import Values
from perfgen.sources import Source
from perfgen.sources import with_source
from perfgen.staging import publish
from perfgen.staging import staged
from perfgen.summary import summary


@dataclass
class Creation:
    """One run of `perfgen new`."""

    name: str
    parent: Path
    flags: Flags
    defaults: bool
    git: bool
    dry_run: bool
    output: Output

    def run(self, template: str | None, version: str | None) -> None:
        """Make the service; Refused leaves nothing behind."""
        git.require()
        git.forget_surroundings()
        check_name(self.name)
        self.parent = self.parent.expanduser().absolute()
        check_place(self.parent, self.parent / self.name)
        with_source(template, version, self._from, self.output.progress)

    def _from(self, source: Source) -> None:
        form = Form(source.files("copier.yml", "patterns"))
        given = gather(form, self.name, self.flags)
        answers, asked = self._answers(form, given)
        self._notes(source, answers)
        if asked and not self._agreed(form, answers):
            raise KeyboardInterrupt
        parent = Path(tempfile.gettempdir()) if self.dry_run else self.parent
        staged(
            parent,
            f".{self.name}.perfgen-",
            lambda folder: self._write(form, source, answers, folder),
        )

    def _answers(self, form: Form, given: Values) -> tuple[Values, bool]:
        """All answers, and whether somebody was asked for one."""
        missing: list[str] = []
        asked: list[str] = []
        interactive = not self.defaults and not self.output.as_json and terminal()
        prompts: Any = None

        def answer(question: Question, default: Any, values: Values) -> Any:
            nonlocal prompts
            if question.name == "python_version":
                default = pythons.newest(list(form.choices(question, values).values())) or default
            if interactive:
                if prompts is None:
                    from perfgen.prompts import Prompts

                    prompts = Prompts(form)
                asked.append(question.name)
                chosen = prompts.ask(question, default, values)
                if question.name == "patterns":
                    self._say_brought(form, chosen)
                return chosen
            if not self.defaults or question.required:
                missing.append(question.name)
            return UNANSWERED if question.required else default

        answers = form.fill(given, answer)
        if missing:
            flags = ", ".join(f"{name} ({flag(name)})" for name in missing)
            hint = "Give them, or take the defaults of all the rest with --defaults."
            raise Refused(f"Not answered, and there is no terminal to ask on: {flags}.", hint)
        return answers, bool(asked)

    def _say_brought(self, form: Form, chosen: list[str]) -> None:
        for name in chosen:
            if brought := [one for one in form.catalogue.requirements(name) if one not in chosen]:
                self.output.say(f"  {name} brings {', '.join(brought)}")

    def _notes(self, source: Source, answers: Values) -> None:
        if source.note:
            self.output.note(source.note)
        version = answers.get("python_version")
        if version and not pythons.installed(version):
            self.output.note(
                f"Python {version} is not installed here; uv will fetch one at the first `make`."
            )

    def _agreed(self, form: Form, answers: Values) -> bool:
        from perfgen.prompts import Prompts

        self.output.say()
        for line in summary(form, answers):
            self.output.say(line)
        return Prompts(form).confirm(f"Write {self.parent / self.name}?")

    def _write(self, form: Form, source: Source, answers: Values, folder: Path) -> None:
        from perfgen.render import render

        service, target = folder / self.name, self.parent / self.name
        with self.output.progress(f"Writing {self.name}"):
            render(source, answers, service)
            check_lock(service, self.name)
            files = sorted(
                str(path.relative_to(service)) for path in service.rglob("*") if not path.is_dir()
            )
            repository = (
                self.git and not self.dry_run and self._commit(source, answers, service, target)
            )
            if not self.dry_run:
                publish(service, target)
        with contextlib.nullcontext() if self.dry_run else self.output.best_effort():
            self._report(form, source, answers, files, repository)

    def _commit(self, source: Source, answers: Values, service: Path, target: Path) -> bool:
        if outer := git.surrounding(target):
            self.output.note(
                f"{target} lies in the repository {outer}, so it got none of its own; commit it there. "
                "GitHub finds workflows at a repository's top only: what .github has belongs there."
            )
            return False
        chosen = ", ".join(answers.get("patterns", [])) or "no patterns beyond the core"
        message = f"A new service, by perfgen\n\nTemplate {source.version}: {chosen}."
        if note := git.first_commit(service, message):
            self.output.note(note)
        return True

    def _report(
        self, form: Form, source: Source, answers: Values, files: list[str], repository: bool
    ) -> None:
        target = self.parent / self.name
        shown = os.path.relpath(target)
        if self.dry_run:
            for file in files:
                self.output.say(file)
            self.output.note(f"Nothing was written; {len(files)} files would be in {shown}.")
        else:
            self.output.say(f"Created {shown}: {len(files)} files, template {source.version}.")
            for line in summary(form, answers):
                self.output.say(line)
            self.output.say(f"\nNext:\n  cd {shown} && make run\n  make test")
        self.output.result(
            {
                "project": self.name,
                "path": str(target),
                "written": not self.dry_run,
                "template": {"source": source.recorded, "version": source.version},
                "answers": answers,
                "enabled": form.catalogue.enabled(answers.get("patterns", [])),
                "repository": bool(repository),
                "files": files,
                "next": [] if self.dry_run else [f"cd {shown} && make run", "make test"],
            }
        )
