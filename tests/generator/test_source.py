"""`perfgen source`: shown, and changed only to one that has the very same template."""

import json
import shutil
from pathlib import Path

import pytest

from perfgen.origin import with_source_recorded
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import SERVICE
from tests.generator.shelf import Shelf
from tests.generator.shelf import everything
from tests.generator.shelf import status

ANSWERS = ".copier-answers.yml"


@pytest.fixture
def other(shelf: Shelf, tmp_path: Path) -> Path:
    """The same template in another place."""
    return Path(shutil.copytree(shelf.folder, tmp_path / "a new place"))


def test_shows_what_is_recorded_and_what_there_is(run: Run, shelf: Shelf, service: Path) -> None:
    done = run("source", "--json", cwd=service / "app")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {
        "path": str(service),
        "source": str(shelf.folder),
        "embedded": False,
        "version": "1.0.0",
        "here": str(shelf.folder),
        "versions": ["1.1.0", "1.0.0"],
        "newest": "1.1.0",
        "newer": True,
        "problem": "",
    }
    lines = run("source", cwd=service).stdout.splitlines()
    assert lines[0].split() == ["source", str(shelf.folder)]
    assert lines[-1].startswith("newest    1.1.0: `perfgen update`")


def test_changes_one_line_and_can_be_undone(
    run: Run, shelf: Shelf, service: Path, other: Path, env: dict[str, str]
) -> None:
    text = (service / ANSWERS).read_text()
    before = everything(service)
    dry = run("source", "../a new place", "--dry-run", cwd=service)
    assert dry.returncode == 0, dry.stderr
    assert f"+_src_path: {other}" in dry.stdout
    assert everything(service) == before
    done = run("source", "../a new place", cwd=service)
    assert done.returncode == 0, done.stderr
    assert (service / ANSWERS).read_text() == text.replace(str(shelf.folder), str(other))
    assert status(service, env) == {ANSWERS: "M "}
    assert run("update", "--abort", cwd=service).returncode == 0
    assert (service / ANSWERS).read_text() == text
    assert status(service, env) == {}


def test_the_service_is_updated_from_the_new_place(
    run: Run, service: Path, other: Path, git: Git
) -> None:
    address = other.as_uri()
    done = run("source", address, "--json", cwd=service)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["source"] == f"git+{address}"
    git("commit", "-q", "-m", "moved", cwd=service)
    assert run("source", address, cwd=service).stdout.count("already") == 1
    assert run("update", cwd=service).returncode == 0
    assert (service / "added.txt").exists()
    assert f"_src_path: git+{address}" in (service / ANSWERS).read_text()


def test_another_template_by_the_same_name_is_refused(
    run: Run, service: Path, other: Path, git: Git
) -> None:
    git("checkout", "-q", "v1.0.0", cwd=other)
    for name in ("text.txt", "stays.txt", "run.sh", "local.cfg"):
        (other / SERVICE / name).write_text("otherwise\n")
    git("commit", "-q", "-a", "-m", "otherwise", cwd=other)
    git("tag", "-f", "v1.0.0", cwd=other)
    before = everything(service)
    done = run("source", str(other), cwd=service)
    assert done.returncode == 1
    assert "has another template 1.0.0: it differs in" in done.stderr
    assert f"{SERVICE}/local.cfg" in done.stderr
    assert "and 1 more" in done.stderr
    git("tag", "-d", "v1.0.0", cwd=other)
    done = run("source", str(other), cwd=service)
    assert done.returncode == 1
    assert "has no template 1.0.0" in done.stderr
    assert everything(service) == before


def test_a_source_that_is_gone_is_said_and_replaced_when_told(
    run: Run, service: Path, other: Path, git: Git
) -> None:
    answers = service / ANSWERS
    lines = answers.read_text().splitlines()
    lines = ["_src_path: /nowhere/template" if "_src_path" in line else line for line in lines]
    answers.write_text("\n".join(lines) + "\n")
    git("commit", "-q", "-a", "-m", "a teammate's", cwd=service)
    shown = run("source", cwd=service)
    assert shown.returncode == 0
    assert "not on this machine: /nowhere/template" in shown.stderr
    assert "perfgen source NEW --unchecked" in shown.stderr
    refused = run("source", str(other), cwd=service)
    assert refused.returncode == 1
    assert "--unchecked" in refused.stderr
    done = run("source", str(other), "--unchecked", cwd=service)
    assert done.returncode == 0, done.stderr
    assert f"_src_path: {other}\n" in answers.read_text()


def test_the_embedded_one_is_known_by_its_name(run: Run, tmp_path: Path, git: Git) -> None:
    flags = ("--template-version", "0.1.0", "--defaults", "--preset", "minimal", "--python", "3.13")
    made = run("new", "shop", *flags, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    store = json.loads(run("source", "--json", cwd=tmp_path / "shop").stdout)
    assert (store["embedded"], store["version"]) == (True, "0.1.0")
    git("clone", "-q", store["here"], "mirror", cwd=tmp_path)
    service = tmp_path / "shop"
    assert run("source", "../mirror", cwd=service).returncode == 0
    git("commit", "-q", "-m", "mirror", cwd=service)
    done = run("source", "embedded", cwd=service)
    assert done.returncode == 0, done.stderr
    assert "_src_path: ~/.local/share/perfgen/template\n" in (service / ANSWERS).read_text()


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        ("# a\n_commit: v1\n_src_path: /old # here\nproject: shop\n", "/new"),
        ("_src_path: '/old: place'\nproject: shop\n", "/with: colon #and hash"),
        ("_src_path: /a long\n  folded one\nproject: shop\n", "git+https://x.org/y.git"),
        ('{"_src_path": "/old", "project": "shop"}\n', "/neu é"),
    ],
)
def test_only_the_value_is_replaced(text: str, recorded: str) -> None:
    import yaml

    changed = with_source_recorded(text, recorded)
    assert yaml.safe_load(changed) == yaml.safe_load(text) | {"_src_path": recorded}
    start, end = text.index("/"), text.index("project")
    assert changed.startswith(text[: start - 1].rstrip("'\""))
    assert changed.endswith(text[end:])
