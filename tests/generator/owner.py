"""What an owner may have done to a file, and what an update is to make of it: the table of the edge cases."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.generator.kinds import Git
from tests.generator.shelf import BINARY
from tests.generator.shelf import GONE
from tests.generator.shelf import LINES
from tests.generator.shelf import ODD
from tests.generator.shelf import changed

TEXT = "".join(LINES)
Edit = Callable[[Path], None]


@dataclass(frozen=True)
class Row:
    """What the owner did, and for each file named its class, its entry in `git status`, and what it then holds."""

    name: str
    edit: Edit
    path: str
    kind: str
    status: str
    holds: tuple[str | bytes, ...] = ()
    lacks: tuple[str | bytes, ...] = ()

    @property
    def conflict(self) -> bool:
        return self.kind == "conflict"


def write(path: str, content: str | bytes) -> Edit:
    def edit(service: Path) -> None:
        place = service / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)

    return edit


def several(*edits: Edit) -> Edit:
    def edit(service: Path) -> None:
        for one in edits:
            one(service)

    return edit


def delete(path: str) -> Edit:
    return lambda service: (service / path).unlink()


def move(old: str, new: str) -> Edit:
    def edit(service: Path) -> None:
        (service / new).parent.mkdir(parents=True, exist_ok=True)
        (service / old).rename(service / new)

    return edit


def mode(path: str, bits: int) -> Edit:
    return lambda service: (service / path).chmod(bits)


def link(path: str, target: str) -> Edit:
    def edit(service: Path) -> None:
        (service / path).unlink(missing_ok=True)
        (service / path).symlink_to(target)

    return edit


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


MINE = changed(35, "mine\n")
BOTH = MINE.replace("line 5\n", "template\n")
SAME = changed(5, "mine\n")
HUNKS = SAME.replace("line 35\n", "mine too\n").replace("line 20\n", "mine as well\n")
SIDES = ("<<<<<<<", "mine", "=======", "template", ">>>>>>>")
SETTINGS = "# How many\nSIZE=12\n# Where\nPLACE=there\n# How fast\n#SPEED=1\n# own\nOWN=1\n"

# ruff: noqa: E501 (a table is read by its rows)
ROWS = [
    Row("unedited", lambda _: None, "text.txt", "changed", "M ", (changed(5),)),
    Row("another place", write("text.txt", MINE), "text.txt", "merged", "M ", (BOTH,)),
    Row("the same line", write("text.txt", SAME), "text.txt", "conflict", "UU", SIDES),
    Row("several hunks", write("text.txt", HUNKS), "text.txt", "conflict", "UU", (*SIDES, "mine too\n", "mine as well\n")),
    Row("the same change", write("text.txt", changed(5)), "text.txt", "", ""),
    Row("goes, edited", write("gone.txt", GONE + "mine\n"), "gone.txt", "conflict", "UD", (GONE + "mine\n",)),
    Row("goes, moved", move("gone.txt", "my/own.txt"), "my/own.txt", "conflict", "UD", (GONE,)),
    Row("goes, unedited", lambda _: None, "gone.txt", "removed", "D "),
    Row("renamed, edited", write("old/name.txt", MINE), "new/name.txt", "renamed", "A ", ("mine\n", "template\n")),
    Row("renamed, same line", write("old/name.txt", changed(30, "mine\n")), "new/name.txt", "conflict", "UU", SIDES),
    Row("renamed, deleted", delete("old/name.txt"), "new/name.txt", "kept", ""),
    Row("deleted, changed", delete("text.txt"), "text.txt", "kept", ""),
    Row("deleted, unchanged", delete("stays.txt"), "stays.txt", "", ""),
    Row("moved", move("text.txt", "my/text.txt"), "my/text.txt", "merged", "M ", (changed(5),)),
    Row("moved and edited", several(write("text.txt", MINE), move("text.txt", "my/text.txt")), "my/text.txt", "merged", "M ", (BOTH,)),
    Row("both added", write("added.txt", "mine\n"), "added.txt", "conflict", "AA", ("mine\n", "added by the template\n")),
    Row("both added the same", write("added.txt", "added by the template\n"), "added.txt", "", ""),
    Row("binary", write("image.bin", BINARY + b"mine"), "image.bin", "conflict", "UU", (BINARY + b"mine",)),
    Row("made executable", mode("text.txt", 0o755), "text.txt", "merged", "M ", (changed(5),)),
    Row("not executable", mode("tool.sh", 0o644), "tool.sh", "merged", "M ", ("template\n",)),
    Row("becomes executable", write("run.sh", "#!/bin/sh\nmine\n"), "run.sh", "merged", "M ", ("mine\n",)),
    Row("CRLF", write("text.txt", crlf(TEXT)), "text.txt", "changed", "M ", (crlf(changed(5)),)),
    Row("CRLF, edited", write("text.txt", crlf(MINE)), "text.txt", "merged", "M ", (crlf(BOTH),)),
    Row("CRLF, renamed", write("old/name.txt", crlf(MINE)), "new/name.txt", "renamed", "A ", (crlf("mine\n"), crlf("template\n"))),
    Row("CRLF, moved", several(write("text.txt", crlf(MINE)), move("text.txt", "my/text.txt")), "my/text.txt", "merged", "M ", (crlf(BOTH),)),
    *(Row(f"named {name!r}", write(name, MINE), name, "merged", "M ", (BOTH,)) for name in ODD),
    Row("odd name, same line", write(ODD[0], SAME), ODD[0], "conflict", "UU", SIDES),
    Row("tab, same line", write(ODD[1], SAME), ODD[1], "conflict", "UU", SIDES),
    Row("became a link", link("text.txt", "stays.txt"), "text.txt", "conflict", "AU"),
    Row("a link of its own", link("mine.lnk", "stays.txt"), "mine.lnk", "", ""),
    Row("own file in a folder that is renamed", write("old/mine.txt", "mine\n"), "old/mine.txt", "", "", ("mine\n",)),
    Row("own file", write("mine.txt", "mine\n"), "mine.txt", "", "", ("mine\n",)),
    Row("lock, unedited", lambda _: None, "uv.lock", "changed", "M ", ("version = 2\n",)),
    Row("lock, edited", write("uv.lock", "version = 1\n" + MINE), "uv.lock", "kept", "", ("version = 1\n" + MINE,)),
    Row("settings", write(".env.example", SETTINGS), ".env.example", "conflict", "UU", ("SIZE=12", "#SIZE=20", "PLACE=there", "#LENGTH=5", "OWN=1")),
    Row("settings, own values", write(".env.example", SETTINGS.replace("SIZE=12", "#SIZE=10")), ".env.example", "merged", "M ", ("#SIZE=20\n", "\nPLACE=there\n", "\nOWN=1\n", "#LENGTH=5\n"), ("SPEED", "<<<<")),
    Row("migration", write("migrations/versions/database/0001_first.py", "revision = '0001'\n" + MINE), "migrations/versions/database/0001_first.py", "", "", ("mine\n",)),
]  # fmt: skip


def commit(service: Path, git: Git) -> None:
    git("add", "-A", cwd=service)
    git("commit", "-q", "--allow-empty", "-m", "mine", cwd=service)
