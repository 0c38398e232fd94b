"""The files of a change put back as they were, whatever has happened to them since."""

import os
from pathlib import Path

from perfgen import plan
from perfgen.plan import Plan
from perfgen.service import Service


def undo_files(service: Service, made: Plan, kept: list[str]) -> None:
    """Put every file back as it was; where somebody wrote into one since, that is kept, and told by lines in `kept`.

    May be called at any state of the files, and again after it was interrupted or failed.
    """
    for path in made.come:
        here, earlier = service.top / path, service.state / "old" / path
        _drop_draft(here)
        found = plan.fingerprint(here)
        if not found:
            continue
        if found == made.landed[path]:
            here.unlink()
        elif _came(service, made, path) or plan.fingerprint(earlier) not in ("", found):
            kept.append(_keep(service, path))
    plan.remove_empty(service.top, made.folders)
    for path in made.leave:
        earlier = service.state / "old" / path
        _drop_draft(earlier)
        _bring_back(service, earlier, path, kept)
    for path in made.stays:
        _bring_back(service, service.state / "stays" / path, path, kept)


def _bring_back(service: Service, earlier: Path, path: str, kept: list[str]) -> None:
    """Have the `earlier` file, where there is one, at its place again."""
    found = plan.fingerprint(earlier)
    # On another disk, where moving is copying, the file may not have gone from here yet.
    if not found or found == plan.fingerprint(service.top / path):
        return
    _make_room(service, path, kept)
    plan.move(earlier, service.top / path)


def _make_room(service: Service, path: str, kept: list[str]) -> None:
    """Keep what the user has put where a file is to come back: at its place, or where its folder was."""
    for place in (*reversed(plan.parents(path)), path):
        here = service.top / place
        folder = here.is_dir() and not here.is_symlink()
        if os.path.lexists(here) and not (folder and place != path):
            kept.append(_keep(service, place))
            return


def _came(service: Service, made: Plan, path: str) -> bool:
    """Whether the new file, which was not there before, had come to its place."""
    return path not in made.leave and not os.path.lexists(service.state / "new" / path)


def _drop_draft(path: Path) -> None:
    draft = path.with_name(f".{path.name}{plan.DRAFT}")
    # Looked for first: to remove what is not there fails too, where nothing can be written.
    if os.path.lexists(draft):
        draft.unlink()


def _keep(service: Service, path: str) -> str:
    """Move what was written since out of the way, and say where it is."""
    common = service.objects.parent  # a linked work tree's own folder goes with it
    place = common / "perfgen-kept" / path
    number = 1
    while os.path.lexists(place):
        number += 1
        place = common / f"perfgen-kept-{number}" / path
    plan.move(service.top / path, place)
    return f"What you wrote into {path} since is kept as {place}."
