"""How `perfgen diff` goes and what it tells."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perfgen import drift as drifts
from perfgen import unfinished
from perfgen.drift import KINDS
from perfgen.drift import Drift
from perfgen.drift import FileDrift
from perfgen.drift import Lines
from perfgen.errors import DONE
from perfgen.errors import MISTAKE
from perfgen.errors import Refused
from perfgen.output import Output
from perfgen.recorded import with_newest
from perfgen.service import ANSWERS
from perfgen.service import Service
from perfgen.sources import Source
from perfgen.staging import in_temporary

_TITLES = {
    "yours": "Yours: you changed them, and the template has nothing newer",
    "diverged": "Diverged: they differ though no commit of yours changed them; no update mends that",
    "both": "Both: you changed them, and the template has something newer",
    "newer": "Newer: as the template gave them, and it has something newer",
}


def compare(project: Path, names: list[str], exit_code: bool, output: Output) -> int:
    """Tell the drift of the service at `project`: all of it, or that of the files and folders in `names`."""
    service = Service.open(project)
    asked = [inside(service, name) for name in names]

    def work(recorded: Source, newest: Source | None, why: str) -> int:
        def find(folder: Path) -> int:
            with output.progress("Comparing with the template"):
                drift = drifts.find(service, recorded, newest, folder)
            if why:
                drift.notes.insert(0, f"The newest template is not compared: {why}")
            if (left := unfinished.left(service)) and left.plan:
                drift.notes.append(
                    "An earlier change is not committed; the files are as it left them."
                )
            chosen = _chosen(drift, asked) if names else drift.files
            _tell(service, drift, chosen, asked, recorded, newest, output)
            differs = any(file.yours for file in chosen)
            return MISTAKE if exit_code and differs else DONE

        return in_temporary(find)

    return with_newest(service, work, output.progress)


def inside(service: Service, name: str) -> str:
    """A path as the user gives it, by its path in the service; refused outside of it.

    It is from the current folder, when that is in the service, else from the service's.
    """
    here = Path.cwd().resolve()
    start = here if here.is_relative_to(service.folder) else service.folder
    place = Path(os.path.normpath(start / name))
    place = place.parent.resolve() / place.name  # a link at the end is the file itself
    if not place.is_relative_to(service.folder):
        raise Refused(
            f"{name} is not in the service {service.folder}.", "Name files of the service."
        )
    path = place.relative_to(service.folder).as_posix()
    if path == ANSWERS:
        raise Refused(
            f"{ANSWERS} says what the service was made from, and is not compared.",
            "`perfgen check` tells whether it fits.",
        )
    return path


def shown(service: Service, path: str) -> str:
    """A path of the service as it is from the current folder."""
    here = Path.cwd().resolve()
    if not here.is_relative_to(service.folder):
        return path
    return os.path.relpath(service.folder / path, here)


def _chosen(drift: Drift, asked: list[str]) -> list[FileDrift]:
    """The files that differ among those asked for; refused for one that the template does not have."""
    for path in asked:
        known = drift.base.keys() | drift.theirs.keys() | {file.path for file in drift.files}
        if not any(_under(one, path) for one in known):
            raise Refused(
                f"The template has no {path}.",
                "`perfgen diff` compares only what the template gives.",
            )
    return [
        file
        for file in drift.files
        if any(_under(one, path) for path in asked for one in (file.path, file.before, file.target))
    ]


def _under(path: str, place: str) -> bool:
    return place == "." or path == place or path.startswith(f"{place}/")


def _tell(
    service: Service,
    drift: Drift,
    files: list[FileDrift],
    asked: list[str],
    recorded: Source,
    newest: Source | None,
    output: Output,
) -> None:
    for note in drift.notes:
        output.note(note)
    if asked:
        _show(service, drift, files, output)
    else:
        _list(service, drift, recorded, newest, output)
    output.result(
        {
            "path": str(service.folder),
            "source": service.source,
            "version": recorded.version,
            "newest": newest.version if newest else None,
            "differs": drift.differs,
            "counts": {kind: len(drift.of(kind)) for kind in KINDS},
            "files": [_facts(drift, file, full=bool(asked)) for file in files],
            "notes": drift.notes,
        }
    )


def _facts(drift: Drift, file: FileDrift, *, full: bool) -> dict[str, Any]:
    """A file for machines; with both differences as text when `full`."""
    facts = asdict(file)
    return facts | ({"edits": drift.edits(file), "update": drift.newer(file)} if full else {})


def _list(
    service: Service, drift: Drift, recorded: Source, newest: Source | None, output: Output
) -> None:
    """The files by class, and what to do about them."""
    later = newest is not None and newest.ref != recorded.ref
    also = f"; the newest is {newest.version}" if newest and later else ""
    output.say(f"Template {recorded.version}{also}.")
    if not drift.files:
        output.say("The service is as the template gave it.")
    for kind in KINDS:
        found = drift.of(kind)
        if not found:
            continue
        output.say(f"\n{_TITLES[kind]} ({len(found)})")
        width = max(len(_name(service, file)) for file in found)
        for file in found:
            output.say(f"  {_name(service, file):{width}}  {_says(file)}")
    for number, (command, what) in enumerate(_following(drift, later=later)):
        output.say(("\nNext:\n" if not number else "") + f"  {command:28}  {what}")


def _name(service: Service, file: FileDrift) -> str:
    path = shown(service, file.path)
    return f"{shown(service, file.origin)} → {path}" if file.origin else path


def _says(file: FileDrift) -> str:
    """What happened to a file, in a few words: `+3 -1`, `deleted`, `moved +3 -1; template: +4 -0`."""
    mine = _words(file.yours, file.lines, plain="edited") if file.yours else ""
    newer = _words(file.newer, file.newer_lines, plain="changed") if file.newer else ""
    if file.kind == "diverged" and file.yours == "deleted":
        mine = "missing"
    if file.target:
        newer = f"{newer} to {file.target}"
    return f"{mine}; template: {newer}" if mine and newer else mine or newer


def _words(how: str, lines: Lines, plain: str) -> str:
    if how in ("deleted", "removed"):
        return how
    if lines.added is None or lines.removed is None:
        numbers = "binary"
    elif not lines.added and not lines.removed:
        numbers = "mode" if how == plain else ""
    else:
        numbers = f"+{lines.added} -{lines.removed}"
    return " ".join(word for word in (how if how != plain else "", numbers) if word)


def _following(drift: Drift, *, later: bool) -> list[tuple[str, str]]:
    found = []
    if later and any(file.newer for file in drift.files):
        found.append(("perfgen update", "brings in what is newer; your edits are merged"))
    if drift.files:
        found.append(("perfgen diff FILE", "shows the difference of a file"))
    if drift.differs:
        found.append(("perfgen diff --restore FILE", "brings a file back as the template gave it"))
    return found


def _show(service: Service, drift: Drift, files: list[FileDrift], output: Output) -> None:
    """Both differences of each file, under headings of their own."""
    if not files:
        output.say("As the template gave it.")
    for file in files:
        output.say(f"{_name(service, file)}: {file.kind}, {_says(file)}")
        for title, text in (
            ("Your side, since the template gave it", drift.edits(file)),
            ("The template's side, newer than yours", drift.newer(file)),
        ):
            if text:
                output.say(f"\n{title}:\n\n{text}")
