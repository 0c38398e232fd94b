"""Where an owner edits a service, and what is written there: each line has a token that stands nowhere else."""

import os
import re
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from random import Random

from perfgen.service import ANSWERS

TOKEN = re.compile(rb"mine-\d+-of-us")
SPECIAL = (".env.example", "pyproject.toml", "uv.lock", "README.md", "compose.yaml", ".gitignore")
_HOT = ("migrations/", "deploy/", "app/")


@dataclass
class Pen:
    """Edits the service in `folder`. `newer` is what the template will make of it, so that edits meet its own."""

    folder: Path
    newer: Path
    chance: Random
    done: list[str] = field(default_factory=list)  # for the message of a failure
    written: int = 0

    def token(self) -> bytes:
        """One that was not there before."""
        self.written += 1
        return b"mine-%d-of-us" % self.written

    def files(self, folder: Path) -> list[str]:
        found = (
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        )
        return sorted(path for path in found if path != ANSWERS and not path.startswith(".git/"))

    def pick(self) -> str:
        """A file of the service; those that the template changes, and those with rules, more often than others."""
        files = self.files(self.folder)
        luck = self.chance.random()
        if luck < 0.4:
            hot = [
                path
                for path in files
                if not (self.newer / path).is_file()
                or (self.newer / path).read_bytes() != (self.folder / path).read_bytes()
            ]
        elif luck < 0.6:
            hot = [path for path in files if path in SPECIAL]
        elif luck < 0.8:
            hot = [path for path in files if path.startswith(_HOT)]
        else:
            hot = []
        return self.chance.choice(hot or files)

    def line(self, path: str, like: bytes = b"") -> bytes:
        """A new line that suits the file."""
        end = b"\r\n" if like.endswith(b"\r\n") else b"\n"
        token = self.token()
        if Path(path).name == ".env.example":
            key = re.match(rb"(#?)([A-Z_]+)=", like)
            if key and self.chance.random() < 0.6:
                return self.chance.choice((b"", b"#")) + key[2] + b"=" + token + end
            form = self.chance.choice((b"# %s", b"#MINE_%d=%%s" % self.written, b"KEY%d=%%s" % 7))
            return form % token + end
        return b"    " * self.chance.randrange(3) + b"# " + token + end

    def place(self, path: str, lines: list[bytes]) -> int:
        """Where to write: anywhere, or where the template does."""
        newer = self.newer / path
        if lines and newer.is_file() and self.chance.random() < 0.6:
            kept = set(newer.read_bytes().splitlines(keepends=True))
            going = [number for number, line in enumerate(lines) if line not in kept]
            if going:
                near = self.chance.choice(going) + self.chance.choice((-1, 0, 0, 1))
                return max(0, min(near, len(lines) - 1))
        return self.chance.randrange(len(lines)) if lines else 0

    def lines(self, path: str) -> list[bytes]:
        return (self.folder / path).read_bytes().splitlines(keepends=True)

    def write(self, path: str, lines: list[bytes]) -> None:
        place = self.folder / path
        if place.is_symlink():
            place.unlink()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"".join(lines))

    def free(self, wanted: str) -> str:
        """`wanted`, or a name like it that nobody has, in a folder that is none's file."""
        while os.path.lexists(self.folder / wanted) or any(
            (self.folder / parent).is_symlink() or (self.folder / parent).is_file()
            for parent in Path(wanted).parents
        ):
            wanted = f"own{self.chance.randrange(10**6)}/{Path(wanted).name}"
        return wanted
