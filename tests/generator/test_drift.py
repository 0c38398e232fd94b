"""`perfgen diff`: each file in its class, and nothing written for it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import BINARY
from tests.generator.shelf import LINES
from tests.generator.shelf import SERVICE
from tests.generator.shelf import Shelf
from tests.generator.shelf import changed
from tests.generator.shelf import everything

ANSWERS = ".copier-answers.yml"


def append(path: Path, text: str) -> None:
    path.write_bytes(path.read_bytes() + text.encode())


def told(run: Run, service: Path, *args: str, code: int = 0) -> dict[str, Any]:
    """What `perfgen diff --json` says, its files by path."""
    done = run("diff", "--json", *args, cwd=service)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"files": {file["path"]: file for file in found["files"]}}


@pytest.fixture(scope="module")
def edited(fresh: Path, git: Git, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service after all that an owner may do, the half of it not committed."""
    service = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("edited") / "shop"))
    append(service / "stays.txt", "mine\n")
    (service / "text.txt").write_text(changed(30, "mine\n"))
    (service / "mine").mkdir()
    (service / "lone" / "only.txt").rename(service / "mine" / "only.txt")
    (service / "tab\there.txt").write_bytes("".join(LINES).replace("\n", "\r\n").encode())
    (service / "deep" / "er").mkdir(parents=True)
    (service / "deep" / "er" / "added.txt").write_text("mine\n")
    (service / "own.txt").write_text("no affair of the template's\n")
    git("add", "-A", cwd=service)
    git("commit", "-q", "-m", "edits", cwd=service)
    append(service / "tool.sh", "lost by an update\n")
    append(service / ANSWERS, "# an update\n")
    git("commit", "-q", "-a", "-m", "an update that left a file behind", cwd=service)
    (service / "image.bin").write_bytes(BINARY + b"\0mine")
    (service / "local.cfg").unlink()
    (service / "-dash.txt").write_text(changed(5))
    return service


EXPECTED = {
    # path: class, the user's, the template's, lines of both
    "stays.txt": ("yours", "edited", "", (1, 0), (0, 0)),
    "-dash.txt": ("yours", "edited", "", (1, 1), (0, 0)),
    "tool.sh": ("diverged", "edited", "changed", (1, 0), (1, 1)),
    "text.txt": ("both", "edited", "changed", (1, 1), (1, 1)),
    "mine/only.txt": ("both", "moved", "changed", (0, 0), (1, 1)),
    "deep/er/added.txt": ("both", "added", "new", (1, 0), (1, 0)),
    "image.bin": ("both", "edited", "changed", (None, None), (None, None)),
    "local.cfg": ("both", "deleted", "changed", (0, 40), (1, 1)),
    "tab\there.txt": ("newer", "", "changed", (0, 0), (1, 1)),
    "with space é.txt": ("newer", "", "changed", (0, 0), (1, 1)),
    'quo"te.txt': ("newer", "", "changed", (0, 0), (1, 1)),
    "gone.txt": ("newer", "", "removed", (0, 0), (0, 30)),
    "old/name.txt": ("newer", "", "moved", (0, 0), (1, 1)),
    "run.sh": ("newer", "", "changed", (0, 0), (0, 0)),
    "added.txt": ("newer", "", "new", (0, 0), (1, 0)),
}


def test_every_file_is_in_its_class_and_nothing_is_written(run: Run, edited: Path) -> None:
    before = everything(edited)
    found = told(run, edited, "--exit-code", code=1)
    assert everything(edited) == before
    files = found["files"]
    for path, (kind, yours, newer, lines, more) in EXPECTED.items():
        file = files[path]
        assert (file["kind"], file["yours"], file["newer"]) == (kind, yours, newer), path
        assert (file["lines"]["added"], file["lines"]["removed"]) == lines, path
        assert (file["newer_lines"]["added"], file["newer_lines"]["removed"]) == more, path
    assert files["mine/only.txt"]["origin"] == "lone/only.txt"
    assert files["old/name.txt"]["target"] == "new/name.txt"
    others = {path for path in files if path not in EXPECTED}
    assert others == {
        ".env.example",
        "uv.lock",
        "migrations/versions/database/0002_second.py",
    }
    assert (found["version"], found["newest"], found["differs"]) == ("1.0.0", "1.1.0", True)


def test_the_list_says_what_happened_and_what_to_do(run: Run, edited: Path) -> None:
    done = run("diff", cwd=edited / "app")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "Template 1.0.0; the newest is 1.1.0." in lines
    assert any(line.startswith("Yours: ") and line.endswith("(2)") for line in lines)
    words = [line.split() for line in lines]
    assert ["../stays.txt", "+1", "-0"] in words
    assert ["../tool.sh", "+1", "-0;", "template:", "+1", "-1"] in words
    assert ["../image.bin", "binary;", "template:", "binary"] in words
    assert "../lone/only.txt → ../mine/only.txt" in done.stdout
    assert ["../run.sh", "mode"] in words
    assert any(line.startswith("perfgen update ") for line in lines)
    assert any(line.startswith("perfgen diff --restore FILE") for line in lines)


def test_a_file_shows_both_sides_apart(run: Run, edited: Path) -> None:
    done = run("diff", "../text.txt", "../mine", cwd=edited / "app")
    assert done.returncode == 0, done.stderr
    mine, _, rest = done.stdout.partition("../text.txt: both")
    assert "lone/only.txt" in mine  # in the order of their paths
    side, _, other = rest.partition("The template's side")
    assert "\n+mine\n" in side
    assert "+template" not in side
    assert "\n+template\n" in other
    assert "+mine" not in other


def test_what_the_template_does_not_have_is_refused(within: Run, edited: Path) -> None:
    for name, words in (
        ("own.txt", "The template has no own.txt."),
        ("../other.txt", "is not in the service"),
        (ANSWERS, "is not compared"),
    ):
        done = within("diff", name, cwd=edited)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr


def test_an_unedited_service_differs_in_nothing(run: Run, fresh: Path) -> None:
    found = told(run, fresh, "--exit-code")
    assert found["differs"] is False
    assert {file["kind"] for file in found["files"].values()} == {"newer"}


def test_the_users_own_filters_apply(run: Run, service: Path, git: Git) -> None:
    (service / ".gitattributes").write_text("stays.txt filter=secret\n")
    git("config", "filter.secret.clean", "sed s/SECRET//", cwd=service)
    git("add", "-A", cwd=service)
    git("commit", "-q", "-m", "filter", cwd=service)
    (service / "stays.txt").write_text("SECRET".join(LINES))
    text = "".join("SECRET" + line for line in LINES)
    (service / "stays.txt").write_text(text)
    assert "stays.txt" not in told(run, service)["files"]


def test_without_the_whole_history_all_edits_count_as_yours(
    run: Run, edited: Path, git: Git, tmp_path: Path
) -> None:
    git("clone", "-q", "--depth", "1", edited.as_uri(), "here", cwd=tmp_path)
    found = told(run, tmp_path / "here")
    assert found["files"]["tool.sh"]["kind"] == "both"
    assert any("shallow" in note for note in found["notes"])


def test_a_service_in_a_folder_of_a_repository(
    run: Run, fresh: Path, git: Git, tmp_path: Path
) -> None:
    service = tmp_path / "all" / "services" / "shop"
    shutil.copytree(fresh, service, ignore=shutil.ignore_patterns(".git"))
    top = tmp_path / "all"
    git("init", "-q", cwd=top)
    append(service / "text.txt", "before the first commit\n")
    (top / "stays.txt").write_text("not of the service\n")
    git("add", "-A", cwd=top)
    git("commit", "-q", "-m", "all", cwd=top)
    append(service / "local.cfg", "mine\n")
    git("commit", "-q", "-a", "-m", "edit", cwd=top)
    files = told(run, top, "--project", "services/shop")["files"]
    kinds = {path: file["kind"] for path, file in files.items() if file["kind"] != "newer"}
    assert kinds == {"text.txt": "diverged", "local.cfg": "both"}


def test_a_newest_version_that_cannot_be_rendered_is_left_out_with_a_note(
    run: Run, shelf: Shelf, service: Path, git: Git, tmp_path: Path
) -> None:
    template = Path(shutil.copytree(shelf.folder, tmp_path / "template"))
    append(template / "copier.yml", "\nteam:\n  type: str\n  help: Who owns it\n")
    append(template / SERVICE / "text.txt", "newer\n")
    git("commit", "-q", "-a", "-m", "asks more", cwd=template)
    git("tag", "v1.2.0", cwd=template)
    answers = service / ANSWERS
    answers.write_text(answers.read_text().replace(str(shelf.folder), str(template)))
    append(service / "stays.txt", "mine\n")
    found = told(run, service)
    assert [note for note in found["notes"] if "team" in note]
    assert {path: file["kind"] for path, file in found["files"].items()} == {"stays.txt": "yours"}


def test_wrong_answers_are_refused_in_a_sentence(within: Run, service: Path) -> None:
    answers = service / ANSWERS
    answers.write_text(answers.read_text().replace("- database\n", "- databse\n"))
    done = within("diff", cwd=service)
    assert done.returncode == 1
    assert "did you mean database?" in done.stderr
