"""How `perfgen update --continue` and `--abort` go."""

from pathlib import Path

from perfgen import signals
from perfgen import unfinished
from perfgen.errors import DONE
from perfgen.output import Output
from perfgen.service import Service


def proceed(project: Path, output: Output) -> int:
    """Finish the change: what was resolved is staged, the commit is the user's."""
    service = Service.open(project)
    with service.locked(), signals.waiting():
        made = unfinished.proceed(service)
    command = f'git commit -m "{made.message}"'
    output.say("\n".join(["All conflicts are resolved.", *made.reminders]))
    output.say(f"\nNext:\n  {command}")
    output.result({"path": str(service.folder), "notes": made.reminders, "next": [command]})
    return DONE


def abort(project: Path, output: Output) -> int:
    """Undo the change; what the user wrote since is kept."""
    service = Service.open(project, broken=True)
    kept: list[str] = []
    try:
        with service.locked(), signals.waiting():
            unfinished.abort(service, kept)
        output.say("Everything is as it was before the change.")
    finally:
        for line in kept:
            output.note(line)
    output.result({"path": str(service.folder), "notes": kept})
    return DONE
