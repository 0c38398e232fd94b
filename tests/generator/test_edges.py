"""No edit is lost: what an owner may have done to a file, and what an update then makes of it."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.owner import ROWS
from tests.generator.owner import Row
from tests.generator.owner import commit
from tests.generator.shelf import assert_same
from tests.generator.shelf import changed
from tests.generator.shelf import everything
from tests.generator.shelf import status
from tests.proofs.harness.table import Table


@pytest.mark.proof
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_becomes_of_an_edit(
    row: Row, service: Path, within: Run, git: Git, env: dict[str, str], table: Table
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
    table.add("no edit is lost in an update", row.name, row.kind or "as it was", "no line")


@pytest.mark.parametrize("what", ["file", "folder", "empty", "link", "parent"])
def test_what_git_does_not_know_is_not_overwritten(
    service: Path, within: Run, env: dict[str, str], what: str
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
    done = within("update", cwd=service)
    assert done.returncode == 1, done.stdout
    assert f"{place.name} is in the way" in done.stderr
    assert_same(everything(service), before)


def test_a_folder_that_the_user_cannot_list_is_said(service: Path, within: Run) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (service / "lone").chmod(0)
    done = within("update", cwd=service)
    (service / "lone").chmod(0o755)
    assert done.returncode == 1


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


def test_a_link_in_place_of_a_folder(service: Path, within: Run, git: Git) -> None:
    (service / "own").mkdir()
    shutil.move(service / "app" / "cache", service / "own" / "cache")
    (service / "app" / "cache").symlink_to("../own/cache")
    commit(service, git)
    before = everything(service)
    done = within("update", "--json", cwd=service)
    assert done.returncode in (0, 2), done.stderr
    assert (service / "own" / "cache" / "__init__.py").is_file()
    assert within("update", "--abort", cwd=service).returncode == 0
    assert_same(everything(service), before)


def test_a_link_in_place_of_a_file_is_said(service: Path, within: Run, git: Git) -> None:
    (service / "text.txt").unlink()
    (service / "text.txt").symlink_to("stays.txt")
    commit(service, git)
    told = json.loads(within("update", "--json", cwd=service).stdout)["files"]
    notes = {file["path"]: file["note"] for file in told if file["kind"] == "conflict"}
    assert set(notes) == {"text.txt", "text.txt~template-1.1.0"}
    assert set(notes.values()) == {
        "it is a link on one side and a file on the other; both are here"
    }
