"""No edit is lost: what an owner may have done to a file, and what an update then makes of it."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import BINARY
from tests.generator.shelf import GONE
from tests.generator.shelf import LINES
from tests.generator.shelf import ODD
from tests.generator.shelf import changed
from tests.generator.shelf import everything
from tests.generator.shelf import status

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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_becomes_of_an_edit(
    row: Row, service: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    row.edit(service)
    commit(service, git)
    before = everything(service)
    done = within("update", "--json", cwd=service)
    told = json.loads(done.stdout)
    assert done.returncode == (2 if row.conflict else 0), done.stderr
    kinds = {file["path"]: file["kind"] for file in told["files"]}
    assert kinds.get(row.path, "") == row.kind, told["files"]
    now = status(service, env)
    assert now.get(row.path, "") == row.status, now
    assert [path for path in now if now[path] == "??"] == []
    others = [path for path in told["conflicts"] if not path.startswith(f"{row.path}~")]
    assert others == ([row.path] if row.conflict else [])
    if row.holds or row.lacks:
        content = (service / row.path).read_bytes()
        for part in row.holds:
            assert (part.encode() if isinstance(part, str) else part) in content, content
        for part in row.lacks:
            assert (part.encode() if isinstance(part, str) else part) not in content, content
    if row.name.startswith("CRLF"):
        assert (service / row.path).read_bytes().replace(b"\r\n", b"").count(b"\n") == 0
    undone = within("update", "--abort", cwd=service)
    assert undone.returncode == 0, undone.stderr
    assert_same(everything(service), before)


def assert_same(now: dict[str, tuple[int, bytes]], before: dict[str, tuple[int, bytes]]) -> None:
    """All is as it was, but for what git keeps of objects nobody needs, and times in its index."""

    def own(found: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
        return {
            name: content
            for name, content in found.items()
            if not name.startswith(".git/objects/") and name != ".git/index"
        }

    assert own(now) == own(before)


def test_executable_bits_of_both(service: Path, run: Run, git: Git) -> None:
    (service / "text.txt").chmod(0o755)
    (service / "tool.sh").chmod(0o644)
    commit(service, git)
    assert run("update", cwd=service).returncode == 0
    for name, executable in (("text.txt", True), ("tool.sh", False), ("run.sh", True)):
        assert bool((service / name).stat().st_mode & 0o100) is executable, name
    assert git("diff", cwd=service) == ""


def test_what_git_ignores_stays_with_a_note(service: Path, run: Run, git: Git) -> None:
    git("rm", "-q", "--cached", "local.cfg", cwd=service)
    (service / "local.cfg").write_text("secret\n")
    (service / ".gitignore").write_text("*.log\nlocal.cfg\nadded.txt\n")
    (service / "added.txt").write_text("mine\n")
    commit(service, git)
    done = run("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert "local.cfg is left as it is: your .gitignore ignores it." in done.stdout
    assert (service / "local.cfg").read_text() == "secret\n"
    assert (service / "added.txt").read_text() == "mine\n"


@pytest.mark.parametrize("what", ["file", "folder", "empty", "link", "parent"])
def test_what_git_does_not_know_is_not_overwritten(
    service: Path, run: Run, env: dict[str, str], what: str
) -> None:
    place = service / ("deep" if what == "parent" else "added.txt")
    if what in ("folder", "empty"):
        place.mkdir()
        if what == "folder":
            (place / "mine").write_text("mine\n")
    elif what == "link":
        place.symlink_to("nowhere")
    else:
        place.write_text("mine\n")
    before = everything(service)
    done = run("update", cwd=service)
    assert done.returncode == 1, done.stdout
    assert f"{place.name} is in the way" in done.stderr
    assert_same(everything(service), before)


def test_merge_drivers_of_attributes_are_kept(service: Path, run: Run, git: Git) -> None:
    (service / ".gitattributes").write_text("text.txt merge=union\n")
    (service / "text.txt").write_text(SAME)
    commit(service, git)
    assert run("update", cwd=service).returncode == 0
    assert "mine\ntemplate\n" in (service / "text.txt").read_text()


def test_autocrlf(fresh: Path, tmp_path: Path, run: Run, git: Git, env: dict[str, str]) -> None:
    flags = ("-c", "core.autocrlf=true", "clone", "-q", "-c", "core.autocrlf=true")
    git(*flags, fresh, tmp_path / "clone", cwd=tmp_path)
    service = tmp_path / "clone"
    assert (service / "text.txt").read_bytes() == crlf(TEXT)
    (service / "text.txt").write_bytes(crlf(MINE))
    commit(service, git)
    done = run("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert (service / "text.txt").read_bytes() == crlf(BOTH)
    assert (service / "added.txt").read_bytes() == b"added by the template\r\n"
    assert git("diff", cwd=service) == ""
    assert git("show", ":text.txt", cwd=service) + "\n" == BOTH


def test_smudge_filters_of_the_user(service: Path, run: Run, git: Git) -> None:
    git("config", "filter.shout.smudge", "tr a-z A-Z", cwd=service)
    git("config", "filter.shout.clean", "tr A-Z a-z", cwd=service)
    (service / ".gitattributes").write_text("text.txt filter=shout\n")
    commit(service, git)
    assert run("update", cwd=service).returncode == 0
    assert (service / "text.txt").read_text() == changed(5).upper()
    assert git("diff", cwd=service) == ""
    assert subprocess.check_output(["git", "show", ":text.txt"], cwd=service).decode() == changed(5)


def test_a_folder_that_the_user_cannot_list_is_said(service: Path, run: Run) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (service / "lone").chmod(0)
    done = run("update", cwd=service)
    (service / "lone").chmod(0o755)
    assert done.returncode == 1


def test_links_in_place_of_gits_own_files(service: Path, within: Run, git: Git) -> None:
    """Git does not follow them, and warns."""
    (service / ".gitignore").unlink()
    (service / ".gitignore").symlink_to("text.txt")
    commit(service, git)
    done = within("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert (service / ".gitignore").is_symlink()


def test_a_folder_where_the_owner_has_a_file(
    service: Path, within: Run, git: Git, env: dict[str, str]
) -> None:
    """Git keeps the file under another name; perfgen says which one it was, and not that it is removed."""
    (service / "deep").write_text("mine\n")
    (service / "new" / "name.txt").mkdir(parents=True)
    (service / "new" / "name.txt" / "mine.txt").write_text("mine\n")
    commit(service, git)
    before = everything(service)
    done = within("update", "--json", cwd=service)
    assert done.returncode == 2, done.stderr
    told = {file["path"]: file for file in json.loads(done.stdout)["files"]}
    assert told["deep~HEAD"]["origin"] == "deep"
    assert "the template has a folder of that name now" in told["deep~HEAD"]["note"]
    assert "deep" not in told
    assert (service / "deep~HEAD").read_text() == "mine\n"
    assert (service / "new" / "name.txt" / "mine.txt").read_text() == "mine\n"
    aside = "new/name.txt~template-1.1.0"
    assert "you have a folder of that name" in told[aside]["note"]
    assert (service / aside).is_file()
    assert within("update", "--abort", cwd=service).returncode == 0
    assert_same(everything(service), before)


def test_a_conflict_in_a_renamed_file_names_the_old_path(
    service: Path, within: Run, git: Git
) -> None:
    (service / "old" / "name.txt").write_text(changed(30, "mine\n"))
    commit(service, git)
    told = json.loads(within("update", "--json", cwd=service).stdout)["files"]
    assert {"path": "new/name.txt", "kind": "conflict", "origin": "old/name.txt"}.items() <= next(
        file for file in told if file["path"] == "new/name.txt"
    ).items()
    assert "old/name.txt" not in {file["path"] for file in told}
