"""What an owner may do to a service, at random."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.generator.pen import Pen


class Owner(Pen):
    """Edits the service; each way tells what it did, for the message of a failure."""

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

    def insert(self) -> str:
        path = self.pick()
        lines = self.lines(path)
        at = self.chance.choice((self.place(path, lines), 0, len(lines)))
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += b"\n"
        like = lines[min(at, len(lines) - 1)] if lines else b""
        lines[at:at] = [self.line(path, like) for _ in range(self.chance.choice((1, 1, 2, 4)))]
        self.write(path, lines)
        return f"{path}:{at}"

    def change(self) -> str:
        path = self.pick()
        lines = self.lines(path)
        at = self.place(path, lines)
        lines[at : at + 1] = [self.line(path, lines[at] if lines else b"")]
        self.write(path, lines)
        return f"{path}:{at}"

    def delete_lines(self) -> str:
        path = self.pick()
        lines = self.lines(path)
        at, number = self.place(path, lines), self.chance.choice((1, 1, 3, 10))
        self.write(path, lines[:at] + lines[at + number :])
        return f"{path}:{at}+{number}"

    def delete(self) -> str:
        path = self.pick()
        (self.folder / path).unlink()
        return path

    def move(self) -> str:
        path = self.pick()
        old = Path(path)
        near = old.with_name(f"{self.chance.choice(('x', 'é b'))}{old.name}").as_posix()
        taken = self.chance.choice(self.files(self.newer))  # where the template may put something
        new = self.free(self.chance.choice((near, f"my/own/{old.name}", f"own/{path}", taken)))
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
        path = self.free((folder / f"own{self.chance.randrange(10**6)}.py").as_posix())
        self.write(path, [self.line(path) for _ in range(self.chance.randrange(1, 30))])
        return path

    def both_add(self) -> str:
        """A file where the template will have one, of one's own or much like it."""
        come = [p for p in self.files(self.newer) if not (self.folder / p).exists()]
        if not come:
            return "none"
        path = self.chance.choice(come)
        if self.free(path) != path:
            return "none"
        lines = (self.newer / path).read_bytes().splitlines(keepends=True)
        lines = self.chance.choice((lines, []))
        at = self.place(path, lines)
        self.write(path, [*lines[:at], self.line(path), *lines[at:]])
        return path

    def block(self) -> str:
        """A file where the template has a folder, or a folder where it has a file."""
        path = self.chance.choice(self.files(self.newer))
        parent = Path(path).parent.as_posix()
        if parent != "." and self.free(parent) == parent:
            self.write(parent, [self.line(parent)])
            return f"file {parent}"
        if (self.folder / path).is_file():
            (self.folder / path).unlink()
        if self.free(f"{path}/own.txt") == f"{path}/own.txt":
            self.write(f"{path}/own.txt", [self.line(path)])
        return f"folder {path}"

    def flip_mode(self) -> str:
        path = self.pick()
        place = self.folder / path
        if not place.is_symlink():
            place.chmod(place.stat().st_mode ^ 0o111)
        return path

    def end_in_crlf(self) -> str:
        path = self.pick()
        content = b"".join(self.lines(path))
        if b"\0" not in content:
            self.write(path, [content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")])
        return path

    def drop_last_newline(self) -> str:
        path = self.pick()
        self.write(path, [b"".join(self.lines(path)).rstrip(b"\r\n")])
        return path

    def link(self) -> str:
        path = self.pick()
        (self.folder / path).unlink()
        (self.folder / path).symlink_to(self.token().decode())
        return path

    def rewrite(self) -> str:
        path = self.pick()
        self.write(path, [self.line(path) for _ in range(self.chance.randrange(40))])
        return path

    def swap(self) -> str:
        one, other = self.pick(), self.pick()
        lines = self.lines(one), self.lines(other)
        self.write(one, lines[1])
        self.write(other, lines[0])
        return f"{one} and {other}"

    def borrow(self) -> str:
        """What the template will have anyway, with a line more."""
        path = self.pick()
        if not (self.newer / path).is_file():
            return "none"
        lines = (self.newer / path).read_bytes().splitlines(keepends=True)
        at = self.place(path, lines)
        self.write(path, [*lines[:at], self.line(path), *lines[at:]])
        return path

    def copy(self) -> str:
        path = self.pick()
        new = self.free(f"copies/{Path(path).name}")
        (self.folder / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.folder / path, self.folder / new, follow_symlinks=False)
        return f"{path} to {new}"

    def ignore(self) -> str:
        path = self.chance.choice(self.files(self.newer))
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
