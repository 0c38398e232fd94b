"""`perfgen source NEW` where the template writes other files for another source: merged, as any change."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.kinds import Tree
from tests.generator.shelf import everything
from tests.generator.shelf import status
from tests.template.published import published

ANSWERS, RENOVATE, WORKFLOW = ".copier-answers.yml", "renovate.json", ".github/workflows/ci.yml"
FLAGS = ("--defaults", "--preset", "minimal", "--with", "ci", "--python", "3.13")


@dataclass(frozen=True)
class Places:
    """A committed service of the embedded template, one of the same template's URL, and that URL."""

    embedded: Path
    of_url: Path
    url: str


def jobs(service: Path) -> set[str]:
    return set(yaml.safe_load((service / WORKFLOW).read_text())["jobs"])


@pytest.fixture(scope="module")
def places(
    run: Run, git: Git, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Places]:
    folder = tmp_path_factory.mktemp("places")
    made = run("new", "shop", *FLAGS, cwd=folder)
    assert made.returncode == 0, made.stderr
    embedded = Path(shutil.move(folder / "shop", folder / "embedded"))
    version = yaml.safe_load((embedded / ANSWERS).read_text())["_commit"]
    store = Path(env["HOME"]) / ".local" / "share" / "perfgen" / "template"
    with published(store, folder) as url:
        flags = ("--template", url, "--template-version", version, *FLAGS)
        made = run("new", "shop", *flags, cwd=folder)
        assert made.returncode == 0, made.stderr
        yield Places(embedded, folder / "shop", url)


@pytest.fixture
def embedded(places: Places, tmp_path: Path) -> Path:
    return Path(shutil.copytree(places.embedded, tmp_path / "shop"))


@pytest.fixture
def of_url(places: Places, tmp_path: Path) -> Path:
    return Path(shutil.copytree(places.of_url, tmp_path / "shop"))


def test_to_a_url_and_back(
    run: Run, git: Git, tree: Tree, places: Places, embedded: Path, env: dict[str, str]
) -> None:
    """Each time the service is, byte for byte, as one that was made from there."""
    before = everything(embedded)
    dry = run("source", places.url, "--dry-run", "--json", cwd=embedded)
    assert dry.returncode == 0, dry.stderr
    told = json.loads(dry.stdout)
    kinds = {file["path"]: file["kind"] for file in told["files"]}
    assert kinds[RENOVATE] == "new"
    assert kinds[WORKFLOW] == kinds[ANSWERS] == kinds["README.md"] == "changed"
    assert "+++ b/renovate.json" in told["diff"]
    assert everything(embedded) == before
    done = run("source", places.url, cwd=embedded)
    assert done.returncode == 0, done.stderr
    assert "New: 1\n  renovate.json" in done.stdout
    assert set(status(embedded, env)) == set(kinds)
    assert tree(embedded) == tree(places.of_url)
    assert "template" in jobs(embedded)
    git("commit", "-q", "-m", "from a URL", cwd=embedded)
    done = run("source", "embedded", cwd=embedded)
    assert done.returncode == 0, done.stderr
    assert "Removed: 1\n  renovate.json" in done.stdout
    assert tree(embedded) == tree(places.embedded)
    assert "template" not in jobs(embedded)


def test_edits_are_kept_and_all_can_be_undone(
    run: Run, git: Git, places: Places, embedded: Path, env: dict[str, str]
) -> None:
    workflow, answers = embedded / WORKFLOW, embedded / ANSWERS
    workflow.write_text("# mine\n" + workflow.read_text())
    answers.write_text("# mine, too\n" + answers.read_text())
    (embedded / "renovate.json5").write_text("{}\n")
    git("add", "-A", cwd=embedded)
    git("commit", "-q", "-m", "mine", cwd=embedded)
    texts = workflow.read_text(), answers.read_text()
    done = run("source", places.url, cwd=embedded)
    assert done.returncode == 0, done.stderr
    assert f"Merged with your changes: 2\n  {ANSWERS}\n  {WORKFLOW}" in done.stdout
    assert workflow.read_text().startswith("# mine\n")
    assert "template" in jobs(embedded)
    old = yaml.safe_load(texts[1])["_src_path"]
    assert answers.read_text() == texts[1].replace(old, places.url)
    assert run("update", "--abort", cwd=embedded).returncode == 0
    assert (workflow.read_text(), answers.read_text()) == texts
    assert not (embedded / RENOVATE).exists()
    assert status(embedded, env) == {}


def test_an_edited_file_that_would_go_is_a_conflict(
    run: Run, git: Git, of_url: Path, env: dict[str, str]
) -> None:
    renovate = of_url / RENOVATE
    text = renovate.read_text().replace("{\n", '{\n  "timezone": "Europe/Oslo",\n', 1)
    renovate.write_text(text)
    git("commit", "-q", "-a", "-m", "mine", cwd=of_url)
    before = everything(of_url)
    dry = run("source", "embedded", "--dry-run", cwd=of_url)
    assert dry.returncode == 2, dry.stderr
    assert everything(of_url) == before
    done = run("source", "embedded", cwd=of_url)
    assert done.returncode == 2, done.stderr
    assert f"{RENOVATE} (you changed it, and the template removed it; your file is kept)" in (
        done.stdout
    )
    assert renovate.read_text() == text
    assert status(of_url, env)[RENOVATE] == "UD"
    assert "template" not in jobs(of_url)
    git("add", RENOVATE, cwd=of_url)
    done = run("update", "--continue", cwd=of_url)
    assert done.returncode == 0, done.stderr
    assert renovate.read_text() == text


def test_unchecked_says_what_did_not_come_and_how_to_have_it(
    run: Run, git: Git, places: Places, embedded: Path, env: dict[str, str]
) -> None:
    answers = embedded / ANSWERS
    old = yaml.safe_load(answers.read_text())["_src_path"]
    answers.write_text(answers.read_text().replace(old, "/nowhere/template"))
    git("commit", "-q", "-a", "-m", "a teammate's", cwd=embedded)
    assert run("source", places.url, cwd=embedded).returncode == 1
    done = run("source", places.url, "--unchecked", cwd=embedded)
    assert done.returncode == 0, done.stderr
    assert "Only what is recorded changes" in done.stderr
    assert status(embedded, env) == {ANSWERS: "M "}
    git("commit", "-q", "-m", "moved", cwd=embedded)
    shown = json.loads(run("diff", "--json", cwd=embedded).stdout)
    assert {RENOVATE, WORKFLOW} <= {file["path"] for file in shown["files"]}
    done = run("diff", "--restore", RENOVATE, "--yes", cwd=embedded)
    assert done.returncode == 0, done.stderr
    assert (embedded / RENOVATE).read_text() == (places.of_url / RENOVATE).read_text()


def test_a_pattern_that_comes_later_comes_for_the_new_source(
    run: Run, git: Git, places: Places, embedded: Path
) -> None:
    assert run("remove", "ci", cwd=embedded).returncode == 0
    git("commit", "-q", "-m", "without", cwd=embedded)
    done = run("source", places.url, "--json", cwd=embedded)
    assert done.returncode == 0, done.stderr
    assert [file["path"] for file in json.loads(done.stdout)["files"]] == [ANSWERS]
    git("commit", "-q", "-m", "moved", cwd=embedded)
    assert run("add", "ci", cwd=embedded).returncode == 0
    assert (embedded / RENOVATE).exists()
