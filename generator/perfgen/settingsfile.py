"""`.env.example`, merged by its keys: one never stands there twice, and comments go with their key."""

import re
from dataclasses import dataclass
from dataclasses import field

_KEY = re.compile(r"\s*#?\s?(?:export\s+)?([A-Z][A-Z0-9_]*)=")


@dataclass
class Item:
    """A key's line, and what stands above it: comments and blank lines."""

    above: str
    line: str


@dataclass(frozen=True)
class Style:
    """How a conflict is written: in which style of git's, and how long a marker is."""

    name: str = "merge"
    size: int = 7

    def between(self, mine: str, base: str, new: str) -> str:
        """The lines of both sides between markers, where the style has it so with what stood there before."""
        below, above, middle, bar = (letter * self.size for letter in "<>=|")
        before = f"{bar} template before\n{base}" if "diff3" in self.name else ""
        return f"{below} HEAD\n{mine}{before}{middle}\n{new}{above} template\n"


@dataclass
class Merged:
    """The text, whether it has conflict markers, and what the user is to know."""

    text: str
    style: Style
    conflict: bool = False
    notes: list[str] = field(default_factory=list)


def keys(text: str) -> list[str]:
    """The keys that stand in a settings file, commented out or not."""
    return list(_parse(text)[0])


def merge(before: str, ours: str, theirs: str, *, style: Style | None = None) -> Merged:
    """The user's file with what the template changed since `before`.

    The user's order, comments and values stay. A value that both changed is a conflict, written in that `style`.
    """
    (base, base_end), (mine, end), (new, new_end) = map(_parse, (before, ours, theirs))
    merged = Merged("", style or Style())
    items: dict[str, Item] = {}
    carried = ""  # what the user wrote above a key that goes
    for key, item in mine.items():
        if (kept := _settled(key, base.get(key), item, new.get(key), merged)) is not None:
            items[key] = Item(carried + kept.above, kept.line)
            carried = ""
        elif item.above != base[key].above:
            carried += item.above
    order = list(items)
    previous = ""
    for key, item in new.items():
        if key not in items and key not in base:
            order.insert(order.index(previous) + 1 if previous else 0, key)
            items[key] = item
        if key in items:
            previous = key
    end = carried + (new_end if end == base_end else end)
    merged.text = "".join(items[key].above + items[key].line for key in order) + end
    return merged


def _parse(text: str) -> tuple[dict[str, Item], str]:
    """The items by key, and what stands below the last one. A key's second line belongs to what is above the next."""
    items: dict[str, Item] = {}
    above = ""
    for line in text.splitlines(keepends=True):
        found = _KEY.match(line)
        if found and found[1] not in items:
            items[found[1]] = Item(above, line if line.endswith("\n") else line + "\n")
            above = ""
        else:
            above += line
    return items, above


def _settled(
    key: str, base: Item | None, mine: Item, new: Item | None, merged: Merged
) -> Item | None:
    """What becomes of a key of the user's file; None when it goes."""
    if new is None:
        if base is None:
            return mine
        if mine.line == base.line:
            return None
        merged.notes.append(
            f"{key} in .env.example is kept because you changed it; the template has it no more."
        )
        return mine
    above = new.above if base and mine.above == base.above else mine.above
    before = base.line if base else ""
    if mine.line == new.line or new.line == before:
        return Item(above, mine.line)
    if mine.line == before:
        return Item(above, new.line)
    merged.conflict = True
    return Item(above, merged.style.between(mine.line, before, new.line))
