"""What an owner may do to a service, at random: each line written has a token that stands nowhere else."""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from random import Random

from perfgen.service import ANSWERS

TOKEN = re.compile(rb"mine-\d+-of-us")
SPECIAL = (".env.example", "pyproject.toml", "uv.lock", "README.md", "compose.yaml", ".gitignore")
_HOT = ("migrations/", "deploy/", "app/")


@dataclass
class Owner:
    """Edits the service in `folder`. `newer` is what the template will make of it, so that edits meet its own."""

    folder: Path
    newer: Path
    chance: Random
    done: list[str] = field(default_factory=list)  # for the message of a failure
    written: int = 0

    def work(self) -> None:
        """Some edits, a few or many; one may undo what an earlier one did."""
        ways: list[tuple[int, Callable[[], object]]] = [
            (24, self.insert),
            (24, self.change),
            (12, self.delete_lines),
            (7, self.delete),
            (8, self.move),
            (2, self.move_folder),
            (7, self.add),
            (5, self.both_add),
            (3, self.block),
            (4, self.flip_mode),
            (4, self.end_in_crlf),
            (3, self.drop_last_newline),
            (2, self.link),
            (3, self.rewrite),
            (2, self.swap),
            (3, self.borrow),
            (2, self.copy),
            (1, self.ignore),
            (1, self.attribute),
        ]
        weights = [weight for weight, _ in ways]
        for _ in range(self.chance.choice((1, 2, 3, 5, 8, 13, 25))):
            way = self.chance.choices(ways, weights)[0][1]
            self.done.append(f"{way.__name__} {way()}")

    def token(self) -> bytes:
        """One that was not there before."""
        self.written += 1
        return b"mine-%d-of-us" % self.written

    def _files(self, folder: Path) -> list[str]:
        found = (
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        )
        return sorted(path for path in found if path != ANSWERS and not path.startswith(".git/"))

    def pick(self) -> str:
        """A file of the service; those that the template changes, and those with rules, more often than others."""
        files = self._files(self.folder)
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

    def _line(self, path: str, like: bytes = b"") -> bytes:
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

    def _place(self, path: str, lines: list[bytes]) -> int:
        """Where to write: anywhere, or where the template does."""
        newer = self.newer / path
        if lines and newer.is_file() and self.chance.random() < 0.6:
            kept = set(newer.read_bytes().splitlines(keepends=True))
            going = [number for number, line in enumerate(lines) if line not in kept]
            if going:
                near = self.chance.choice(going) + self.chance.choice((-1, 0, 0, 1))
                return max(0, min(near, len(lines) - 1))
        return self.chance.randrange(len(lines)) if lines else 0

    def _lines(self, path: str) -> list[bytes]:
        return (self.folder / path).read_bytes().splitlines(keepends=True)

    def _write(self, path: str, lines: list[bytes]) -> None:
        place = self.folder / path
        if place.is_symlink():
            place.unlink()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"".join(lines))

    def insert(self) -> str:
        path = self.pick()
        lines = self._lines(path)
        at = self.chance.choice((self._place(path, lines), 0, len(lines)))
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += b"\n"
        like = lines[min(at, len(lines) - 1)] if lines else b""
        lines[at:at] = [self._line(path, like) for _ in range(self.chance.choice((1, 1, 2, 4)))]
        self._write(path, lines)
        return f"{path}:{at}"

    def change(self) -> str:
        path = self.pick()
        lines = self._lines(path)
        at = self._place(path, lines)
        lines[at : at + 1] = [self._line(path, lines[at] if lines else b"")]
        self._write(path, lines)
        return f"{path}:{at}"

    def delete_lines(self) -> str:
        path = self.pick()
        lines = self._lines(path)
        at, number = self._place(path, lines), self.chance.choice((1, 1, 3, 10))
        self._write(path, lines[:at] + lines[at + number :])
        return f"{path}:{at}+{number}"

    def delete(self) -> str:
        path = self.pick()
        (self.folder / path).unlink()
        return path

    def _free(self, wanted: str) -> str:
        """`wanted`, or a name like it that nobody has, in a folder that is none's file."""
        while os.path.lexists(self.folder / wanted) or any(
            (self.folder / parent).is_symlink() or (self.folder / parent).is_file()
            for parent in Path(wanted).parents
        ):
            wanted = f"own{self.chance.randrange(10**6)}/{Path(wanted).name}"
        return wanted

    def move(self) -> str:
        path = self.pick()
        old = Path(path)
        near = old.with_name(f"{self.chance.choice(('x', 'é b'))}{old.name}").as_posix()
        taken = self.chance.choice(self._files(self.newer))  # where the template may put something
        new = self._free(self.chance.choice((near, f"my/own/{old.name}", f"own/{path}", taken)))
        (self.folder / new).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).rename(self.folder / new)
        return f"{path} to {new}"

    def move_folder(self) -> str:
        path = self.pick()
        if "/" not in path:
            return "none"
        old = Path(path).parent.as_posix()
        new = f"moved{self.chance.randrange(10**6)}/{old}"
        (self.folder / new).parent.mkdir(parents=True)
        (self.folder / old).rename(self.folder / new)
        return f"{old} to {new}"

    def add(self) -> str:
        folder = Path(self.pick()).parent
        path = self._free((folder / f"own{self.chance.randrange(10**6)}.py").as_posix())
        self._write(path, [self._line(path) for _ in range(self.chance.randrange(1, 30))])
        return path

    def both_add(self) -> str:
        """A file where the template will have one, of one's own or much like it."""
        come = [p for p in self._files(self.newer) if not (self.folder / p).exists()]
        if not come:
            return "none"
        path = self.chance.choice(come)
        if self._free(path) != path:
            return "none"
        lines = (self.newer / path).read_bytes().splitlines(keepends=True)
        lines = self.chance.choice((lines, []))
        at = self._place(path, lines)
        self._write(path, [*lines[:at], self._line(path), *lines[at:]])
        return path

    def block(self) -> str:
        """A file where the template has a folder, or a folder where it has a file."""
        path = self.chance.choice(self._files(self.newer))
        parent = Path(path).parent.as_posix()
        if parent != "." and self._free(parent) == parent:
            self._write(parent, [self._line(parent)])
            return f"file {parent}"
        if (self.folder / path).is_file():
            (self.folder / path).unlink()
        if self._free(f"{path}/own.txt") == f"{path}/own.txt":
            self._write(f"{path}/own.txt", [self._line(path)])
        return f"folder {path}"

    def flip_mode(self) -> str:
        path = self.pick()
        place = self.folder / path
        if not place.is_symlink():
            place.chmod(place.stat().st_mode ^ 0o111)
        return path

    def end_in_crlf(self) -> str:
        path = self.pick()
        content = b"".join(self._lines(path))
        if b"\0" not in content:
            self._write(path, [content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")])
        return path

    def drop_last_newline(self) -> str:
        path = self.pick()
        self._write(path, [b"".join(self._lines(path)).rstrip(b"\r\n")])
        return path

    def link(self) -> str:
        path = self.pick()
        (self.folder / path).unlink()
        (self.folder / path).symlink_to(self.token().decode())
        return path

    def rewrite(self) -> str:
        path = self.pick()
        self._write(path, [self._line(path) for _ in range(self.chance.randrange(40))])
        return path

    def swap(self) -> str:
        one, other = self.pick(), self.pick()
        lines = self._lines(one), self._lines(other)
        self._write(one, lines[1])
        self._write(other, lines[0])
        return f"{one} and {other}"

    def borrow(self) -> str:
        """What the template will have anyway, with a line more."""
        path = self.pick()
        if not (self.newer / path).is_file():
            return "none"
        lines = (self.newer / path).read_bytes().splitlines(keepends=True)
        at = self._place(path, lines)
        self._write(path, [*lines[:at], self._line(path), *lines[at:]])
        return path

    def copy(self) -> str:
        path = self.pick()
        new = self._free(f"copies/{Path(path).name}")
        (self.folder / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.folder / path, self.folder / new, follow_symlinks=False)
        return f"{path} to {new}"

    def ignore(self) -> str:
        path = self.chance.choice(self._files(self.newer))
        if (self.folder / ".gitignore").is_dir():
            return "none"
        with (self.folder / ".gitignore").open("ab") as file:
            file.write(b"\n/%s\n" % path.encode())
        return path

    def attribute(self) -> str:
        line = self.chance.choice(
            (b"*.py merge=union\n", b"* text=auto\n", b"README.md text eol=crlf\n", b"*.md -text\n")
        )
        if (self.folder / ".gitattributes").is_dir():
            return "none"
        with (self.folder / ".gitattributes").open("ab") as file:
            file.write(b"\n" + line)
        return line.decode().strip()
