"""Versions of templates, and what each gives with which patterns: rendered and committed once, then copied."""

from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from random import Random

from perfgen.render import render
from perfgen.sources import Source
from tests.generator import shelf
from tests.generator.kinds import Git

Asked = tuple[int, tuple[str, ...]]  # number of a version, and patterns


@dataclass
class Renders:
    """The versions of one template, oldest first, and all that was rendered from them so far."""

    versions: list[Source]
    patterns: list[tuple[str, ...]]  # the sets to choose from; every version knows all of them
    folder: Path
    git: Git
    _known: dict[Asked, Path] = field(default_factory=dict)

    def of(self, asked: Asked) -> Path:
        """A service as `perfgen new` commits it; to be copied."""
        if asked not in self._known:
            version, patterns = asked
            target = self.folder / str(len(self._known))
            answers = {"project": "shop", "patterns": list(patterns), "python_version": "3.13"}
            render(self.versions[version], answers, target)
            self.git("init", "-q", cwd=target)
            self.git("add", "-A", "-f", cwd=target)
            self.git("commit", "-q", "-m", "new", cwd=target)
            self.git("gc", "-q", cwd=target)
            self._known[asked] = target
        return self._known[asked]

    def step(self, chance: Random) -> tuple[Asked, Asked]:
        """Before and after: other patterns, a newer version, or both."""
        last = len(self.versions) - 1
        while True:
            before = chance.randrange(last + 1)
            after = chance.choice((before, last, chance.randint(before, last)))
            sets = chance.choice(self.patterns), chance.choice(self.patterns)
            if before != after and chance.random() < 0.5:
                sets = sets[0], sets[0]
            if (before, sets[0]) != (after, sets[1]):
                return (before, sets[0]), (after, sets[1])


Files = dict[str, bytes]
PLAIN = ("app/", "migrations/")  # what lies here belongs to patterns


def grown(files: Files, chance: Random) -> Files:
    """The next version of a template: files renamed, removed, rewritten, added, at random."""
    files = dict(files)
    for path in sorted(files):
        if path.endswith(".jinja") or path.startswith(".") or b"\0" in files[path]:
            continue
        luck, lines = chance.random(), files[path].splitlines(keepends=True)
        if luck < 0.15:
            _rename(files, path, chance)
        elif luck < 0.22:
            del files[path]
        elif luck < 0.3:
            text = "".join(f"new {chance.random()}\n" for _ in range(20))
            files[path] = text.encode()
        elif luck < 0.7 and lines:
            files[path] = _edited(lines, chance)
    for number in range(chance.randrange(4)):
        path = f"{chance.choice(('', 'new/', 'app/cache/', 'lone/'))}{number}-{chance.random()}.txt"
        files[path] = b"".join(b"%d\n" % chance.randrange(10**6) for _ in range(20))
    files[".env.example"] = _settings(files[".env.example"], chance)
    return files


def _rename(files: Files, path: str, chance: Random) -> None:
    """Within its pattern, and edited a little."""
    folder = Path(path).parent.as_posix() if path.startswith(PLAIN) else f"to{chance.random()}"
    lines = files.pop(path).splitlines(keepends=True)
    text = _edited(lines, chance) if chance.random() < 0.5 and len(lines) > 9 else b"".join(lines)
    files[f"{folder}/{Path(path).name}{chance.randrange(10)}"] = text


def _edited(lines: list[bytes], chance: Random) -> bytes:
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(lines) + 1)
        text = [b"template %d\n" % chance.randrange(10**6) for _ in range(chance.randrange(3))]
        lines[at : at + chance.randrange(3)] = text
    return b"".join(lines)


def _settings(content: bytes, chance: Random) -> bytes:
    """Keys come, go, get other values, other comments and another order."""
    blocks = content.replace(b"\n# ", b"\n\0# ").split(b"\0")
    blocks = [block for block in blocks if chance.random() < 0.85]
    for number, block in enumerate(blocks):
        if chance.random() < 0.3:
            blocks[number] = block.rstrip(b"\n") + b"%d\n" % chance.randrange(10)
        elif chance.random() < 0.2:
            blocks[number] = b"# About %d\n" % chance.randrange(100) + block
    if chance.random() < 0.2:
        chance.shuffle(blocks)
    new = b"# New\n#NEW_%s=1\n" % bytes(chance.choices(range(65, 91), k=5))
    blocks.insert(chance.randint(0, len(blocks)), new)
    return b"".join(blocks)


def synthetic(root: Path, folder: Path, git: Git, chance: Random) -> list[Source]:
    """Eight versions of a small template, the first two as of the shelf."""
    made = shelf.make(folder, root, git)
    files = shelf.second()
    for minor in range(2, 8):
        files = grown(files, chance)
        executable = {path for path in files if chance.random() < 0.1}
        made.release(f"v1.{minor}.0", files, executable)
    return [Source(str(folder), f"v1.{minor}.0", folder) for minor in range(8)]
