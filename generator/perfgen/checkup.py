"""How `perfgen check` goes: whether a service is sound, a line for each thing that was looked at."""

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

from perfgen import drift as drifts
from perfgen import lockfit
from perfgen import markers
from perfgen import unfinished
from perfgen import versions
from perfgen.errors import DONE
from perfgen.errors import MISTAKE
from perfgen.errors import Refused
from perfgen.matching import Matcher
from perfgen.output import Output
from perfgen.questions import UNANSWERED
from perfgen.questions import Form
from perfgen.recorded import filled
from perfgen.recorded import form_of
from perfgen.service import Service
from perfgen.sources import Source
from perfgen.staging import in_temporary


@dataclass(frozen=True)
class Verdict:
    """One thing that was looked at: what is wrong with it, or that it is sound."""

    what: str
    sound: bool
    says: str


def check(project: Path, output: Output) -> int:
    """Look at all and tell; the exit code. Nothing is written into the service or its repository."""
    place = Service.open(project, broken=True)
    verdicts = [
        *_look("change", lambda: _unfinished(place), "none waits"),
        *_look("conflicts", lambda: _conflicts(place), "none"),
        *_look("lock", lambda: _lock(place), "uv.lock says nothing else than pyproject.toml"),
        *_template(project, output),
    ]
    for verdict in verdicts:
        output.say(f"{'ok' if verdict.sound else 'problem':8} {verdict.what}: {verdict.says}")
    sound = all(verdict.sound for verdict in verdicts)
    output.result(
        {
            "path": str(place.folder),
            "sound": sound,
            "findings": [asdict(verdict) for verdict in verdicts],
        }
    )
    return DONE if sound else MISTAKE


def _look(what: str, work: Callable[[], list[str]], fine: str) -> list[Verdict]:
    """A verdict for each problem that `work` finds, or one that says it is `fine`."""
    try:
        problems = work()
    except Refused as error:
        problems = [" ".join(word for word in (error.sentence, error.hint) if word)]
    if not problems:
        return [Verdict(what, True, fine)]
    return [Verdict(what, False, problem) for problem in problems]


def _unfinished(service: Service) -> list[str]:
    unfinished.require_none(service)
    return []


def _conflicts(service: Service) -> list[str]:
    unmerged = service.unmerged()
    marked = [name for name in markers.marked(service) if name not in unmerged]
    return [f"{name} is unmerged: decide it, then `git add` it" for name in unmerged] + [
        f"{name} has conflict markers: say in it what both sides meant" for name in marked
    ]


def _lock(service: Service) -> list[str]:
    folder = service.folder
    if not (folder / "pyproject.toml").exists():
        return []  # taken out by the user, as `perfgen diff` tells, or never given
    shared = [parent for parent in folder.parents if parent.is_relative_to(service.top)]
    if not (folder / "uv.lock").exists() and any((one / "uv.lock").exists() for one in shared):
        return []  # of a workspace, whose lock is not the service's affair
    return [f"{misfit}: run `make lock` (uv lock)" for misfit in lockfit.misfits(folder)]


def _template(project: Path, output: Output) -> list[Verdict]:
    """The template, the answers to its questions, and whether the files are made with them."""
    try:
        service = Service.open(project)
    except Refused as error:
        return [Verdict("answers", False, f"{error.sentence} {error.hint}")]
    try:
        return versions.at_recorded(
            service, lambda source: list(_against(service, source, output)), output.progress
        )
    except Refused as error:
        return [Verdict("template", False, f"{error.sentence} {error.hint}".strip())]


def _against(service: Service, source: Source, output: Output) -> Iterator[Verdict]:
    yield Verdict("template", True, f"{source.version} of {source.recorded}")
    form = form_of(source)
    answers = _look("answers", lambda: _answers(form, service), f"valid for {source.version}")
    yield from answers
    if not all(verdict.sound for verdict in answers):
        return  # nothing can be rendered with them

    def compare(folder: Path) -> list[str]:
        with output.progress("Comparing with the template"):
            drift, _ = drifts.trees(service, source, None, folder)
        values, _ = filled(form, service.answers)
        return Matcher(service, drift, source, form.catalogue, values).mismatches()

    yield from _look("files", lambda: in_temporary(compare), "made with these answers")


def _answers(form: Form, service: Service) -> list[str]:
    """What is wrong with the recorded answers: every unknown name, and the first wrong value or all missing ones."""
    problems, known = [], {}
    for name, value in service.answers.items():
        try:
            form.question(name)
        except Refused as error:
            problems.append(error.sentence)
        else:
            known[name] = value
    try:
        values, missing = filled(form, known)
    except Refused as error:
        return [*problems, error.sentence]
    for name in missing:
        default = values[name]
        taken = "" if default is UNANSWERED else f"; the template would take {default!r}"
        problems.append(f"{name} is not answered{taken}")
    return problems
