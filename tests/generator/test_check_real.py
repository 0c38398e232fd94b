"""`perfgen check` on a service of the real template: answers that do not match, and a lock that does not fit."""

import re
import shutil
from pathlib import Path

import pytest

from maintain.uv import UvError
from maintain.uv import check_lock
from perfgen.errors import Refused
from perfgen.lockfit import misfits
from tests.generator.kinds import Run
from tests.generator.test_check import problems
from tests.template import machine

PYPROJECT, LOCK, ANSWERS = "pyproject.toml", "uv.lock", ".copier-answers.yml"


@pytest.fixture(scope="module")
def real(template: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service of the real template with everything; to be copied."""
    folder = tmp_path_factory.mktemp("real")
    flags = ("--template", str(template), "--preset", "everything", "--defaults")
    done = run("new", "shop", *flags, "--python", "3.13", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "shop"


@pytest.fixture(autouse=True)
def python(monkeypatch: pytest.MonkeyPatch) -> None:
    """uv looks for none: the machine may have its newer ones where uv does not find them by itself."""
    monkeypatch.setenv("UV_PYTHON", str(machine.interpreter("3.13")))


@pytest.fixture
def copy(real: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(real, tmp_path / "shop", symlinks=True))


def replace(path: Path, pattern: str, new: str) -> None:
    text, count = re.subn(pattern, new, path.read_text("utf-8"), count=1, flags=re.MULTILINE)
    assert count == 1, pattern
    path.write_text(text, "utf-8")


def test_answers_edited_by_hand_are_noticed_one_by_one(within: Run, copy: Path) -> None:
    answers = copy / ANSWERS
    replace(answers, "^project: .*", "project: other")
    replace(answers, "^description: .*", 'description: Sells "tea", and cups')
    replace(answers, "^python_version: .*", "python_version: '3.12'")
    replace(answers, "^max_replicas: .*", "max_replicas: 2")
    replace(answers, "^max_connections: .*", "max_connections: 321")
    replace(answers, "^- scheduler\n", "")
    found = problems(within, copy)
    for name in ("project", "description", "python_version", "max_replicas", "max_connections"):
        assert [line for line in found if line.startswith(f"files: {name} is ")], (name, found)
    places = [line.split(" is there")[0] for line in found if "is there, and" in line]
    assert places == [
        "files: app/scheduler",
        "files: migrations/versions/scheduler",
        "files: deploy/components/scheduler",
    ]
    assert len(found) == 8


def test_files_edited_by_hand_are_no_problem(within: Run, copy: Path) -> None:
    (copy / "README.md").write_text("# Ours\n\nAll rewritten.\n")
    (copy / "Dockerfile").unlink()
    replace(copy / "app" / "about.py", "^MAX_REPLICAS = .*", "MAX_REPLICAS = 9")
    replace(copy / "compose.yaml", "^name: .*", "name: ours")
    shutil.rmtree(copy / "tests" / "cache")
    assert problems(within, copy) == []


def test_all_of_docker_gone_is_one(within: Run, copy: Path) -> None:
    for name in ("Dockerfile", ".dockerignore", "compose.yaml"):
        (copy / name).unlink()
    assert [line.split(":")[1].strip() for line in problems(within, copy)] == [
        "docker is among the answers, and there is no Dockerfile"
    ]


# What is done to which file, and what is said of it; none where the lock still fits.
EDITS = {
    "a dependency more": (PYPROJECT, r'^    "uvloop>', '    "attrs>=24",\n    "uvloop>', "attrs>=24 is"),
    "one less": (PYPROJECT, r'^    "structlog.*\n', "", "structlog is in uv.lock"),
    "another version": (PYPROJECT, "httptools>=0.9", "httptools>=0.8", "httptools>=0.8 is not"),
    "another extra": (PYPROJECT, r"pyjwt\[crypto\]", "pyjwt", "pyjwt>="),
    "one of a group": (PYPROJECT, '^    "ruff>=', '    "pip",\n    "ruff>=', "group dev: pip"),
    "a group more": (PYPROJECT, r"^dev = \[", 'docs = ["ruff"]\ndev = [', "group docs: ruff"),
    "another Python": (PYPROJECT, '">=3.12"', '">=3.13"', "requires-python is >=3.13, and >=3.12"),
    "another version of it": (PYPROJECT, '^version = "0.1.0"', 'version = "0.2.0"', "version is 0.2.0"),
    "another name": (PYPROJECT, '^name = "shop"', 'name = "shed"', "no package 'shed'"),
    "a lock of another version": (
        LOCK,
        r'(?<=name = "httptools"\nversion = )".*"',
        '"0.1.0"',
        "the version of httptools in uv.lock is not >=0.9",
    ),
    "the same in other words": (PYPROJECT, "uvicorn>=0.54,<0.55", "Uvicorn <0.55, >=0.54", ""),
    "a group that includes one": (
        PYPROJECT,
        r"^dev = \[",
        'all = [{ include-group = "dev" }]\ndev = [',
        "group all: ",
    ),
}  # fmt: skip


def fits_for_uv(folder: Path) -> bool:
    """What uv itself says of the two files."""
    try:
        check_lock(folder)
    except UvError:
        return False
    return True


@pytest.mark.parametrize("name", EDITS)
def test_a_lock_that_does_not_fit_is_noticed(real: Path, tmp_path: Path, name: str) -> None:
    path, old, new, words = EDITS[name]
    for one in (PYPROJECT, LOCK):
        shutil.copy(real / one, tmp_path)
    assert misfits(tmp_path) == []
    replace(tmp_path / path, old, new)
    found = misfits(tmp_path)
    assert bool(found) == bool(words), found
    assert not words or [line for line in found if words in line], found
    if path == PYPROJECT:  # a version that is not to be had, uv finds out only from an index
        assert fits_for_uv(tmp_path) == (not words)


def test_a_lock_that_is_gone_or_no_toml_is_refused(real: Path, tmp_path: Path) -> None:
    shutil.copy(real / PYPROJECT, tmp_path)
    with pytest.raises(Refused, match=r"uv\.lock is gone"):
        misfits(tmp_path)
    (tmp_path / LOCK).write_text("<<<<<<< HEAD\n")
    with pytest.raises(Refused, match=r"uv\.lock is not TOML"):
        misfits(tmp_path)
