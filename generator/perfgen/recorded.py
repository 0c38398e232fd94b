"""What a service's answers file says, held against the questions of the version that it names."""

from collections.abc import Callable
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from typing import TypeVar

from packaging.version import InvalidVersion
from packaging.version import Version

from perfgen import versions
from perfgen.answering import answer
from perfgen.change import rendered
from perfgen.errors import Refused
from perfgen.output import Output
from perfgen.questions import UNANSWERED
from perfgen.questions import Form
from perfgen.questions import Question
from perfgen.questions import Values
from perfgen.service import ANSWERS
from perfgen.service import Service
from perfgen.sources import Source

T = TypeVar("T")
Progress = Callable[[str], AbstractContextManager[None]]


def form_of(source: Source) -> Form:
    """The questions of that version."""
    return Form(source.files("copier.yml", "patterns"))


def filled(form: Form, answers: Values) -> tuple[Values, list[str]]:
    """All answers, and the names of those that are not recorded and have the template's default.

    Refused when a recorded one is wrong.
    """
    for name in answers:
        form.question(name)
    missing: list[str] = []

    def ask(question: Question, default: Any, _: Values) -> Any:
        missing.append(question.name)
        return UNANSWERED if question.required else default

    return form.fill(answers, ask), missing


def require_valid(form: Form, service: Service) -> None:
    """Refuse answers that cannot be rendered."""
    try:
        values, _ = filled(form, service.answers)
    except Refused as error:
        raise Refused(f"In {ANSWERS}: {error.sentence}", "`perfgen check` tells more.") from error
    if lacking := [name for name, value in values.items() if value is UNANSWERED]:
        raise Refused(f"In {ANSWERS}: {', '.join(lacking)} is missing.", "Write it there again.")


def newest_first(tags: Iterable[str]) -> list[str]:
    """Versions in order; names that are none come last."""

    def order(tag: str) -> tuple[bool, Version]:
        try:
            return True, Version(tag)
        except InvalidVersion:
            return False, Version("0")

    return sorted(tags, key=order, reverse=True)


def with_newest(
    service: Service, work: Callable[[Source, Source | None, str], T], progress: Progress
) -> T:
    """Call `work` with the recorded version and the newest one; or None for that, and why it cannot be had."""
    begun = False

    def both(recorded: Source, newest: Source) -> T:
        nonlocal begun
        begun = True
        return work(recorded, newest, "")

    try:
        return versions.at_both(service, None, both, progress)
    except Refused as error:
        if begun:
            raise
        why = error.sentence
    return versions.at_recorded(service, lambda recorded: work(recorded, None, why), progress)


def render_newest(service: Service, newest: Source, target: Path) -> None:
    """Render the newest version with the recorded answers; Refused when they are not enough for it."""
    answers = answer(form_of(newest), service.answers, None, [], Output(quiet=True))
    rendered(service, newest, answers.changed, target)
