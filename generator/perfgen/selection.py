"""Which patterns a service is to have, from those it has and what is added or removed."""

from dataclasses import dataclass

from perfgen.answers import asked
from perfgen.catalogue import Catalogue
from perfgen.errors import Refused


@dataclass(frozen=True)
class Selection:
    """The patterns to have, and what to tell of those that make no difference."""

    patterns: list[str]
    unchanged: bool
    notes: list[str]


def more(catalogue: Catalogue, present: list[str], names: list[str]) -> Selection:
    """The patterns with `names` added; refused for a name that is no choice."""
    had = current(catalogue, present)
    wanted = asked(catalogue, names)
    notes = []
    for name in dict.fromkeys(catalogue.get(name).name for name in names):
        if catalogue.patterns[name].core:
            notes.append(f"{name} is part of every service.")
        elif name in had:
            notes.append(f"{name} is there already.")
    return _selection(had, had | set(wanted), notes)


def less(catalogue: Catalogue, present: list[str], names: list[str]) -> Selection:
    """The patterns without `names`; refused when one that stays needs one that goes."""
    had = current(catalogue, present)
    gone = {catalogue.get(name).name for name in names}
    for name in sorted(gone):
        if catalogue.patterns[name].core:
            raise Refused(f"{name} is part of every service and cannot be removed.")
    left = had - gone
    for name in sorted(gone):  # also one that comes only with others
        users = [user for user in catalogue.dependents(name) if user in left]
        if users:
            verb = "needs" if len(users) == 1 else "need"
            needed = {user for one in gone for user in catalogue.dependents(one) if user in left}
            names = sorted(one for one in gone | needed if one in catalogue.menu)
            raise Refused(
                f"{', '.join(users)} {verb} {name}, so it cannot be removed alone.",
                f"To remove all of them: perfgen remove {' '.join(names)}",
            )
    notes = [f"{name} is not there." for name in sorted(gone - had)]
    return _selection(had, left, notes)


def current(catalogue: Catalogue, present: list[str]) -> set[str]:
    """The recorded patterns by the names they have now; those that are no more are left out."""
    names = {former: pattern.name for pattern in catalogue for former in pattern.formerly}
    names |= {name: name for name in catalogue.menu}
    return {names[name] for name in present if name in names}


def _selection(had: set[str], wanted: set[str], notes: list[str]) -> Selection:
    return Selection(sorted(wanted), had == wanted, notes)
