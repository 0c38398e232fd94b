"""A service that any earlier wheel made is updated by the next: offline, by perfgen and by plain copier alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

from perfgen import releases
from perfgen.resources import root
from tests.generator import wheels
from tests.generator.wheels import Installed
from tests.template import versions

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("wheels")]
PRESETS = ["minimal", "standard", "everything"]
QUICK = {(wheels.EARLIER[0], "minimal"), (wheels.EARLIER[-1], "standard")}
EACH = pytest.mark.parametrize(
    ("version", "preset"), wheels.each(PRESETS, quick=lambda *case: case in QUICK)
)
Released = Callable[[str], Installed]
STORE = ".local/share/perfgen/template"


@pytest.fixture
def cut_off() -> None:
    """Skips where no process can be cut off from the network."""
    if not wheels.offline():
        pytest.skip("unshare -n is not allowed here, so nothing would be shown offline")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """Each earlier perfgen as it was, made once."""
    return cache(lambda version: wheels.released(version, tmp_path_factory.mktemp(version)))


@pytest.fixture(scope="module")
def first(released: Released) -> Installed:
    """The first of them."""
    return released(wheels.FIRST)


@pytest.fixture(scope="module")
def present(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """perfgen as it lies here."""
    return wheels.present(tmp_path_factory.mktemp("present"))


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A perfgen that knows how to update, and has nothing newer than the first template."""
    return wheels.older(tmp_path_factory.mktemp("older"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty one."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def made(preset: str, by: Installed, home: Path, parent: Path) -> Path:
    """A service that this wheel made in that home, committed."""
    words = ("new", "shop", "--preset", preset, "--defaults", "--no-git")
    by.perfgen(*words, cwd=parent, home=home)
    versions.commit(parent / "shop", "new")
    return parent / "shop"


@pytest.fixture
def service(version: str, preset: str, released: Released, home: Path, tmp_path: Path) -> Path:
    """One that the earlier `version` made."""
    return made(preset, released(version), home, tmp_path)


def fresh(service: Path, by: Installed, home: Path, parent: Path) -> Path:
    """A new service of that wheel with the answers of `service`."""
    recorded = yaml.safe_load((service / ".copier-answers.yml").read_text("utf-8"))
    parent.mkdir()
    answers = parent / "answers.yml"
    answers.write_text(yaml.safe_dump({k: v for k, v in recorded.items() if k[0] != "_"}), "utf-8")
    words = ("new", recorded["project"], "--answers", answers, "--defaults", "--no-git")
    by.perfgen(*words, cwd=parent, home=home)
    return parent / str(recorded["project"])


@EACH
@pytest.mark.usefixtures("cut_off")
def test_the_next_wheel_updates_it_to_a_fresh_one(
    service: Path, present: Installed, home: Path, tmp_path: Path
) -> None:
    present.perfgen("update", cwd=service, home=home)
    expected = fresh(service, present, home, tmp_path / "fresh")
    assert versions.differences(service, expected) == []
    assert f"_commit: v{wheels.PRESENT}" in (service / ".copier-answers.yml").read_text()


@EACH
@pytest.mark.usefixtures("cut_off")
def test_so_does_copier_where_the_next_wheel_was_used_once(
    service: Path, present: Installed, tmp_path: Path
) -> None:
    """In a home that has never seen the first wheel, and from a process that cannot import perfgen."""
    home = tmp_path / "empty"
    home.mkdir()
    expected = fresh(service, present, home, tmp_path / "fresh")
    assert sorted(path.name for path in home.iterdir()) == [".local"]
    updated = present.run("update", "--defaults", cwd=service, home=home, program="copier")
    assert updated.returncode == 0, updated.stderr
    assert versions.differences(service, expected) == []
    assert not list(service.rglob("*.rej"))


def test_the_older_wheel_refuses_what_is_too_new_and_takes_nothing_away(
    first: Installed, older: Installed, present: Installed, home: Path, tmp_path: Path
) -> None:
    """Old and new by turns in one home, where the store only grows; then the old one in its own."""
    service = made("minimal", first, home, tmp_path)
    present.perfgen("update", cwd=service, home=home)
    versions.commit(service, "updated")
    store, before = home / STORE, versions.git("rev-parse", "HEAD", cwd=service)
    known, head = releases.tags(store), versions.git("rev-parse", "HEAD", cwd=store)
    carried = releases.bundled(root() / "releases")
    assert known.keys() == {*(release.tag for release in carried), f"v{wheels.PRESENT}"}
    first.perfgen("new", "other", "--defaults", "--no-git", cwd=tmp_path, home=home)
    for command in ("update", "update --dry-run"):
        refused(older, command, service, home, f"newer than this perfgen has ({wheels.FIRST}).")
    alone = tmp_path / "alone"
    alone.mkdir()
    for command in ("update", "add cache", "remove docker", "diff"):
        refused(older, command, service, alone, "which this perfgen has not got.")
    checked = older.run("check", cwd=service, home=alone)
    assert (checked.returncode, checked.stderr) == (1, "")
    assert f"template {wheels.PRESENT}, which this perfgen has not got." in checked.stdout
    assert versions.git("rev-parse", "HEAD", cwd=service) == before
    assert versions.git("status", "--porcelain", cwd=service) == ""
    assert releases.tags(store) == known
    assert versions.git("rev-parse", "HEAD", cwd=store) == head
    present.perfgen("check", cwd=service, home=home)


def refused(by: Installed, command: str, service: Path, home: Path, words: str) -> None:
    """The command ends as the user's mistake, with a sentence and what to do."""
    done = by.run(*command.split(), cwd=service, home=home)
    assert done.returncode == 1, (command, done.stdout, done.stderr)
    first, hint = done.stderr.splitlines()
    assert first.startswith(f"Error: The service is of template {wheels.PRESENT}, which")
    assert first.endswith(words)
    assert "pip install --upgrade perfgen" in hint


@pytest.mark.slow
def test_the_older_wheel_adds_to_a_service_of_the_newer_as_the_newer_does(
    first: Installed, older: Installed, present: Installed, home: Path, tmp_path: Path
) -> None:
    """Where both were used: a service's version is in the store, whichever perfgen brought it."""
    (tmp_path / "newer").mkdir()
    service = made("minimal", present, home, tmp_path)
    other = Path(shutil.copytree(service, tmp_path / "newer" / "shop"))
    for perfgen, folder in ((older, service), (present, other)):
        perfgen.perfgen("add", "cache", "queue", cwd=folder, home=home)
    assert versions.differences(service, other) == []
    assert (service / "app" / "queue").is_dir()
