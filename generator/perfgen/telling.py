"""How a change is told: its files by class, what each is for machines, and what to do next."""

from dataclasses import asdict

from perfgen.change import KINDS
from perfgen.change import Change
from perfgen.change import FileChange
from perfgen.output import Output

_TITLES = {
    "conflict": "Conflicts",
    "merged": "Merged with your changes",
    "changed": "Changed",
    "renamed": "Renamed",
    "new": "New",
    "removed": "Removed",
    "kept": "Left as you have them",
}
_SHOWN = 8  # files of a class that are listed; --dry-run and --json have all


def tell_files(files: list[FileChange], output: Output, *, whole: bool) -> None:
    """List the files by class; long lists end early unless the `whole` is wanted."""
    for kind in KINDS:
        found = [file for file in files if file.kind == kind]
        if not found:
            continue
        output.say(f"{_TITLES[kind]}: {len(found)}")
        limit = len(found) if whole or kind in ("conflict", "merged", "kept") else _SHOWN
        for file in found[:limit]:
            output.say(f"  {_line(file)}")
        if len(found) > limit:
            output.say(f"  and {len(found) - limit} more")


def tell_end(change: Change, following: list[str], output: Output, *, dry_run: bool) -> str:
    """The end of what people read: the diff of a dry run, else what to do next; the diff, for machines."""
    diff = change.diff() if dry_run else ""
    if dry_run:
        output.say(f"\n{diff}")
        output.note("Nothing was written.")
    elif following:
        output.say("\nNext:\n" + "\n".join(f"  {line}" for line in following))
    return diff


def file_facts(file: FileChange) -> dict[str, str]:
    """One file for machines; what is empty is left out."""
    return {
        name: value for name, value in asdict(file).items() if value or name in ("path", "kind")
    }


def _line(file: FileChange) -> str:
    path = f"{file.origin} → {file.path}" if file.origin else file.path
    return f"{path} ({file.note})" if file.note else path


def following(change: Change, message: str) -> list[str]:
    """The commands to go on with."""
    if change.conflicts:
        return [
            "resolve the conflicts: say in each file what both sides meant, then `git add` it",
            "perfgen update --continue",
            "or, to have everything as it was: perfgen update --abort",
        ]
    return [
        f'git commit -m "{message}"',
        "or, to have everything as it was: perfgen update --abort",
    ]
