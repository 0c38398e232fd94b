"""perfgen as its users run it: a process, with a home of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perfgen import cli
from tests.generator.killing import Edited
from tests.generator.killing import files
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.kinds import Tree
from tests.generator.shelf import GONE
from tests.generator.shelf import Shelf
from tests.generator.shelf import changed
from tests.generator.shelf import make
from tests.generator.shelf import new
from tests.generator.shelf import status

# What the machine's own settings may not decide.
FOREIGN = ("GIT_", "COPIER_", "PERFGEN_", "PYTEST_", "NO_COLOR", "XDG_")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an identity for git and nothing else; perfgen's store grows in it over the session."""
    folder = tmp_path_factory.mktemp("home")
    (folder / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n")
    return folder


@pytest.fixture(scope="session")
def env(home: Path) -> dict[str, str]:
    """The environment of a user who has set nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return kept | {"HOME": str(home), "TERM": "dumb"}


@pytest.fixture(scope="session")
def run(env: dict[str, str]) -> Run:
    """Run perfgen without a terminal: `run("new", "shop", cwd=folder, env={...}, stdin="...")`."""

    def call(
        *args: str, cwd: Path, env_more: dict[str, str] | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "perfgen", *args],
            cwd=cwd,
            env=env | (env_more or {}),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


@pytest.fixture
def within(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Like `run`, but in this process: quicker, where no process of its own is what is tested."""

    def call(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        for name in [name for name in os.environ if name not in env]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", env["HOME"])
        monkeypatch.chdir(cwd)
        code = cli.run(list(args))
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(args, code, out, err)

    return call


@pytest.fixture(scope="session")
def git(env: dict[str, str]) -> Git:
    """Run git and return what it prints."""

    def call(*args: str | Path, cwd: Path, **more: str) -> str:
        command = ["git", *map(str, args)]
        done = subprocess.run(
            command, cwd=cwd, env=env | more, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return call


@pytest.fixture(scope="session")
def template(root: Path, tmp_path_factory: pytest.TempPathFactory, git: Git) -> Path:
    """This repository's template, as it lies here, in a repository of its own with the tag v9.0.0."""
    folder = tmp_path_factory.mktemp("template") / "source"
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "-z",
            "-c",
            "-o",
            "--exclude-standard",
            "copier.yml",
            "patterns",
            "template",
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((root / name).read_bytes())
            target.chmod((root / name).stat().st_mode)
    git("init", "-q", cwd=folder)
    git("add", "-A", "-f", cwd=folder)
    git("commit", "-q", "-m", "template", cwd=folder)
    git("tag", "v9.0.0", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def small(template: Path, tmp_path_factory: pytest.TempPathFactory, git: Git) -> Path:
    """The same questions and patterns with two files to render, for what does not depend on them."""
    folder = tmp_path_factory.mktemp("small") / "source"
    shutil.copytree(template, folder, symlinks=True)
    git("tag", "-d", "v9.0.0", cwd=folder)
    service = folder / "template" / "<<project>>"
    for path in service.iterdir():
        if path.name not in ("<<_copier_conf.answers_file>>.jinja", ".python-version.jinja"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    git("add", "-A", cwd=folder)
    git("commit", "-q", "-m", "small", cwd=folder)
    git("tag", "v9.0.0", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def tree() -> Tree:
    """All files under a folder with content and executable bit, but for .git."""

    def read(folder: Path) -> dict[str, tuple[bytes, bool]]:
        return {
            str(path.relative_to(folder)): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.relative_to(folder).parts[0] != ".git"
        }

    return read


@pytest.fixture(scope="session")
def shelf(root: Path, tmp_path_factory: pytest.TempPathFactory, git: Git) -> Shelf:
    """A small template in two versions; not to be changed."""
    return make(tmp_path_factory.mktemp("shelf") / "source", root, git)


@pytest.fixture(scope="session")
def fresh(shelf: Shelf, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service of its first version; to be copied."""
    return new(run, shelf, tmp_path_factory.mktemp("fresh"))


@pytest.fixture
def service(fresh: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(fresh, tmp_path / "shop", symlinks=True))


@pytest.fixture(scope="session")
def edited(
    fresh: Path, run: Run, git: Git, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Edited:
    """A service with edits that an update is to carry, and to ask about."""
    folder = tmp_path_factory.mktemp("edited")
    service = Path(shutil.copytree(fresh, folder / "before"))
    (service / "text.txt").write_text(changed(5, "mine\n"))
    (service / "gone.txt").write_text(GONE + "mine\n")
    (service / "stays.txt").write_text("mine\n")
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    (service / "untracked.txt").write_text("mine\n")
    other = Path(shutil.copytree(service, folder / "after"))
    assert run("update", cwd=other).returncode == 2
    return Edited(service, files(service), files(other), status(other, env))
