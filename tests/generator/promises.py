"""What must hold of every change, whatever the owner and the template have done: looked up in git's own objects."""

from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

from perfgen.change import Change
from perfgen.policies import LOCK
from perfgen.policies import SETTINGS
from perfgen.scratch import Entry
from perfgen.service import ANSWERS
from tests.generator.pen import TOKEN

LINK = "120000"
Sight = dict[str, bytes]  # contents by the name of the object


@dataclass
class Found:
    """What one change showed."""

    user_lines: int = 0
    faults: list[str] = field(default_factory=list)


def examine(change: Change) -> Found:
    """Hold the change to its promises."""
    found = Found()
    trees = (change.base, change.ours, change.theirs, change.result)
    entries = {entry for tree in trees for entry in tree.values()}
    entries |= {entry for stages in change.stages.values() for entry in stages.values()}
    seen = contents(change, entries)
    found.faults += _lost(change, seen, found)
    found.faults += _not_as_the_template(change)
    found.faults += _not_as_the_owner(change, seen)
    found.faults += _badly_merged(change, seen)
    found.faults += _not_told(change)
    return found


def contents(change: Change, entries: Iterable[Entry]) -> Sight:
    """The contents of these files."""
    names = sorted({entry.sha for entry in entries if entry.mode != "160000"})
    asked = "\n".join(names).encode() + b"\n"
    data, seen = change.scratch.git("cat-file", "--batch", data=asked), {}
    at = 0
    for name in names:
        end = data.index(b"\n", at)
        size = int(data[at:end].split()[2])
        seen[name] = data[end + 1 : end + 1 + size]
        at = end + size + 2
    return seen


def _tokens(content: bytes) -> set[bytes]:
    return set(TOKEN.findall(content))


def _lost(change: Change, seen: Sight, found: Found) -> Iterator[str]:
    """A line of the owner's is in the result, or the owner's side of a file that is told as a conflict."""
    saved = [entry.sha for entry in change.result.values()]
    saved += [stages[2].sha for stages in change.stages.values() if 2 in stages]
    safe = _tokens(b"\n".join(seen[sha] for sha in set(saved)))
    for path, entry in change.ours.items():
        if path == ANSWERS:
            continue
        mine = _tokens(seen[entry.sha])
        found.user_lines += len(mine)
        for token in sorted(mine - safe):
            yield f"LOST {token.decode()} of {path}"
        if path in change.stages and 2 in change.stages[path] and path in change.result:
            shown = _tokens(seen[change.result[path].sha])
            for token in sorted(_tokens(seen[change.stages[path][2].sha]) - shown):
                yield f"{token.decode()} is not shown in the conflicting {path}"


def _not_as_the_template(change: Change) -> Iterator[str]:
    """What nobody edited is as the template has it."""
    for path in change.base.keys() | change.theirs.keys():
        if path in change.stages:
            continue
        mine, new = change.ours.get(path), change.theirs.get(path)
        if mine == change.base.get(path) and change.result.get(path) != new:
            if mine is None and _excused(change, path):
                continue
            yield f"{path} was not edited, and is {change.result.get(path)}, not {new}"


def _excused(change: Change, path: str) -> bool:
    """A new file that the owner's edits or deletion went along with, or that has a folder in its way."""
    if path in change.kept or any(aside.startswith(f"{path}~") for aside in change.stages):
        return True
    return any(file.path == path and file.kind in ("renamed", "merged") for file in change.files)


def _not_as_the_owner(change: Change, seen: Sight) -> Iterator[str]:
    """What the template did not change is as the owner has it."""
    asked = {file.path for file in change.of("conflict")} | {
        file.origin for file in change.of("conflict")
    }
    for path, mine in change.ours.items():
        if path in asked or path == ANSWERS:
            continue
        result = change.result.get(path)
        if path in change.base:
            if change.base[path] == change.theirs.get(path) and result != mine:
                yield f"{path} is no longer as the owner had it: {result}, not {mine}"
        elif path not in change.theirs and (
            result is None or not _tokens(seen[mine.sha]) <= _tokens(seen[result.sha])
        ):
            yield f"{path} of the owner's own is {result}, not {mine}"


def _badly_merged(change: Change, seen: Sight) -> Iterator[str]:
    """A line that stands once counts in the merged file as both sides together say; the mode follows who changed it."""
    rules = change.ours.get(".gitattributes")
    union = b"merge=union" in seen[rules.sha] if rules else False
    for path, result in change.result.items():
        sides = [tree.get(path) for tree in (change.base, change.ours, change.theirs)]
        if path in change.stages or path in (ANSWERS, LOCK, SETTINGS):
            continue
        base, ours, theirs = sides
        if base is None or ours is None or theirs is None or LINK in {e.mode for e in sides if e}:
            continue
        if result.mode != (theirs.mode if ours.mode == base.mode else ours.mode):
            yield f"{path} has the mode {result.mode}"
        texts = [seen[entry.sha] for entry in (base, ours, theirs, result)]
        if any(b"\0" in text for text in texts) or (union and path.endswith(".py")):
            continue
        yield from (f"{path}: {line!r}" for line in _miscounted(*texts))


def _miscounted(base: bytes, ours: bytes, theirs: bytes, result: bytes) -> Iterator[bytes]:
    counts: dict[bytes, list[int]] = {}
    for number, text in enumerate((base, ours, theirs, result)):
        for line in text.splitlines():
            counts.setdefault(line, [0, 0, 0, 0])[number] += 1
    wrong = [
        line
        for line, (before, mine, new, now) in counts.items()
        if max(before, mine, new) == 1 and now != (mine if mine != before else new)
    ]
    for line in wrong:
        if not _moved(line, base.splitlines(), theirs.splitlines()):
            yield line


def _moved(line: bytes, before: list[bytes], after: list[bytes]) -> bool:
    """Whether the template put it to the other side of another line: for git it goes, and one comes."""
    if line not in before or line not in after:
        return False
    above = set(before[: before.index(line)])
    below = set(before[before.index(line) + 1 :])
    return bool(
        below & set(after[: after.index(line)]) or above & set(after[after.index(line) + 1 :])
    )


def _not_told(change: Change) -> Iterator[str]:
    """Each file that is another, and each conflict, is told; nothing else is."""
    told = {file.path for file in change.files} | {file.origin for file in change.files}
    for path in change.ours.keys() | change.result.keys():
        if change.ours.get(path) != change.result.get(path) and path not in told:
            yield f"{path} changes and is not told"
    if {file.path for file in change.of("conflict")} != set(change.stages):
        yield "the conflicts told are not the conflicts"
