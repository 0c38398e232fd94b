"""The wheel alone: built here, installed elsewhere, run without the checkout and without a network."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.generator.kinds import Git

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory, git: Git) -> Path:
    """Built from a clone with one change of the template, so that it is no released version."""
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"
    git("clone", "-q", root, clone, cwd=folder)
    for path in (
        "generator",
        "copier.yml",
        "patterns",
        "releases",
        "hatch_build.py",
        "pyproject.toml",
    ):
        source, target = root / path, clone / path
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    git("add", "-A", cwd=clone)
    git("commit", "-q", "--allow-empty", "-m", "as it lies here", cwd=clone)
    (clone / "template" / "<<project>>" / "NEW.md").write_text("unreleased\n")
    git("add", "-A", cwd=clone)
    git("commit", "-q", "-m", "unreleased", cwd=clone)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), "."]
    built = subprocess.run(command, cwd=clone, capture_output=True, text=True, env=os.environ)
    assert built.returncode == 0, built.stderr
    shutil.rmtree(clone)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `perfgen` of an environment that holds nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "bin" / "perfgen"


def test_carries_its_data_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "perfgen/data/copier.yml" in names
    assert "perfgen/data/patterns/cache.yml" in names
    assert any(".dev" in name and name.endswith(".bundle") for name in names)
    assert all(name.startswith(("perfgen/", "perfgen-")) for name in names)


def test_generates_and_updates_offline(
    installed: Path, env: dict[str, str], tmp_path: Path, git: Git
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    bare = {"HOME": str(home), "PATH": env["PATH"], "LANG": "C.UTF-8"}
    offline = ["unshare", "-n", "-r"] if _unshare() else []
    command = [*offline, str(installed), "new", "shop", "--defaults"]
    done = subprocess.run(
        command, cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    service = tmp_path / "shop"
    assert (service / "NEW.md").read_text() == "unreleased\n"
    recorded = yaml.safe_load((service / ".copier-answers.yml").read_text("utf-8"))
    assert ".dev" in recorded["_commit"]
    assert sorted(path.name for path in home.iterdir()) == [".local"]
    # What was recorded is still there for plain copier, without perfgen.
    update = [*offline, str(installed.with_name("copier")), "update", "-q", "--defaults"]
    options = ["--vcs-ref", recorded["_commit"], "-d", "patterns=[docker]"]
    updated = subprocess.run(
        [*update, *options], cwd=service, env=bare, capture_output=True, text=True, timeout=120
    )
    assert updated.returncode == 0, updated.stderr
    assert not (service / "app" / "cache").exists()


def test_tells_about_patterns_and_itself(
    installed: Path, env: dict[str, str], tmp_path: Path
) -> None:
    more = env | {"HOME": str(tmp_path)}
    listed = subprocess.check_output([installed, "patterns", "cache"], env=more, text=True)
    assert "app/cache/" in listed
    version = subprocess.check_output([installed, "--version"], env=more, text=True)
    assert version.startswith("perfgen ")


def _unshare() -> bool:
    """Whether a process can be cut off from the network here."""
    if not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "-n", "-r", "true"], capture_output=True).returncode == 0
