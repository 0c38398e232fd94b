"""add, remove and update of an unedited service give the fresh one, as plain copier does; a dry run leaves no trace."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.kinds import Tree
from tests.generator.shelf import PATTERNS
from tests.generator.shelf import Shelf
from tests.generator.shelf import everything
from tests.generator.shelf import first
from tests.generator.shelf import make
from tests.generator.shelf import manifest
from tests.generator.shelf import new
from tests.generator.shelf import second

Copier = Callable[..., None]


@pytest.fixture
def copier(env: dict[str, str]) -> Copier:
    """Run `copier update` as its users do."""

    def call(*args: str, cwd: Path) -> None:
        command = [sys.executable, "-m", "copier", "update", "--defaults", "-q", *args]
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return call


def answers(service: Path) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load((service / ".copier-answers.yml").read_text())
    return loaded


CURRENT = ["--vcs-ref", ":current:"]
STEPS = {
    "version": (["update"], ["--vcs-ref", "v1.1.0"], ["database", "example", "cache"], "v1.1.0"),
    "add": (["add", "tracing", "limit"], CURRENT, ["cache", "database", "example", "limit", "tracing"], "v1.0.0"),
    "remove": (["remove", "cache"], CURRENT, ["database", "example"], "v1.0.0"),
    "remove example": (["remove", "example", "database"], CURRENT, ["cache"], "v1.0.0"),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_as_fresh_and_as_copier(
    name: str, shelf: Shelf, service: Path, run: Run, copier: Copier, tree: Tree, tmp_path: Path
) -> None:
    ours, theirs, patterns, version = STEPS[name]
    plain = Path(shutil.copytree(service, tmp_path / "plain"))
    done = run(*ours, cwd=service)
    assert done.returncode == 0, done.stderr
    copier(*theirs, "-d", f"patterns=[{', '.join(patterns)}]", cwd=plain)
    assert tree(service) == tree(plain)
    (tmp_path / "fresh").mkdir()
    flags = ["--set", f"patterns={','.join(patterns)}", "--template-version", version]
    fresh = new(run, shelf, tmp_path / "fresh", *flags)
    assert tree(service) == tree(fresh)
    empty = [path for path in service.rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert [path for path in empty if ".git" not in path.parts] == []


def test_swap_and_back_is_as_it_was(service: Path, run: Run, git: Git, tree: Tree) -> None:
    """Off and on again, with what is alike in both: nothing of one pattern is taken for another's."""
    before = tree(service)
    (service / "app" / "cache" / "__init__.py").write_text("cache = 2\n" * 20)
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    done = run("remove", "cache", "--json", cwd=service)
    assert done.returncode == 2
    assert json.loads(done.stdout)["conflicts"] == ["app/cache/__init__.py"]
    git("rm", "-q", "app/cache/__init__.py", cwd=service)
    assert run("update", "--continue", cwd=service).returncode == 0
    git("commit", "-q", "-m", "without", cwd=service)
    for step in (["add", "tracing"], ["remove", "tracing"], ["add", "cache"]):
        assert run(*step, cwd=service).returncode == 0
        git("commit", "-q", "-m", "step", cwd=service)
    assert tree(service) == before


def test_a_dry_run_leaves_no_trace(service: Path, run: Run, git: Git) -> None:
    (service / "text.txt").write_text(
        (service / "text.txt").read_text().replace("line 5\n", "mine\n")
    )
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    os.utime(service / "stays.txt", (10**9, 10**9))  # so that git would renew its index
    before = everything(service)
    for command, code in (("update", 2), ("add tracing", 0), ("remove cache", 0)):
        done = run(*command.split(), "--dry-run", "--json", cwd=service)
        assert done.returncode == code, done.stderr
        told = json.loads(done.stdout)
        assert told["written"] is False
        assert told["diff"].startswith("diff --git ")
        assert everything(service) == before, command
    shown = run("update", "--dry-run", cwd=service)
    assert "Conflicts: 1\n  text.txt (you and the template changed the same lines)" in shown.stdout
    assert "old/name.txt → new/name.txt" in shown.stdout
    assert "+<<<<<<< HEAD" in shown.stdout
    assert "Nothing was written." in shown.stderr
    assert everything(service) == before


def test_the_dry_run_tells_what_the_run_does(service: Path, within: Run) -> None:
    dry = json.loads(within("update", "--dry-run", "--json", cwd=service).stdout)
    real = json.loads(within("update", "--json", cwd=service).stdout)
    assert dry["files"] == real["files"]
    assert len(real["files"]) > 10
    assert (dry["written"], real["written"]) == (False, True)
    assert real["next"][0] == 'git commit -m "Template 1.1.0"'


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("add cache", 0, "cache is there already."),
        ("add health", 0, "health is part of every service."),
        ("remove tracing", 0, "tracing is not there."),
        ("remove health", 1, "health is part of every service and cannot be removed."),
        ("remove redis", 1, "cache needs redis, so it cannot be removed alone.\nTo remove all of them: perfgen "),
        ("remove database", 1, "To remove all of them: perfgen remove database example\n"),
        ("add redis", 1, "redis cannot be chosen by itself: it comes with cache, limit."),
        ("add trcing", 1, "There is no pattern 'trcing': did you mean tracing?"),
        ("add", 1, "Missing argument 'PATTERN...'"),
        ("add tracing --set patterns=[]", 1, "--set does not change the patterns."),
        ("add tracing --set nonsense=1", 1, "There is no setting 'nonsense'"),
        ("add tracing --set max_connections=3", 1, "the least for one replica"),
        ("update --to 9.9.9", 1, "The template has no version 9.9.9."),
        ("update --to 1.1.9", 1, "Known are 1.0.0, 1.1.0.\n"),
        ("update --to nonsense", 1, "Known are 1.0.0, 1.1.0.\n"),
        ("update --to v1.0.0", 0, ""),
        ("update --continue", 1, "There is no change to continue."),
        ("update --abort", 1, "There is no change to undo."),
        ("update --abort --continue", 1, "are two ways to end a change."),
        ("update --abort --dry-run", 1, "goes with no other option."),
    ],
)  # fmt: skip
def test_what_makes_no_sense_writes_nothing(
    service: Path, within: Run, command: str, code: int, words: str
) -> None:
    before = everything(service)
    done = within(*command.split(), cwd=service)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert everything(service) == before


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("update --to 1.0.0", "of template 1.0.0 already."),
        ("update --to 1.0.0 --set max_replicas=3", "1.0.0 already and has these answers."),
        ("add cache --set max_replicas=3", "1.0.0 already and has these answers."),
    ],
)
def test_nothing_to_do_is_told_without_a_word_of_the_newest(
    service: Path, within: Run, command: str, words: str
) -> None:
    done = within(*command.split(), cwd=service)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"{words}\n")
    assert "newest" not in done.stdout


def test_downgrades_are_refused(shelf: Shelf, within: Run, tmp_path: Path, git: Git) -> None:
    service = new(within, shelf, tmp_path, "--template-version", "v1.1.0")
    done = within("update", "--to", "1.0.0", cwd=service)
    assert done.returncode == 1
    assert "The service is of template 1.1.0, and 1.0.0 is older." in done.stderr
    done = within("update", cwd=service)
    assert done.returncode == 0
    assert "of the newest template, 1.1.0, already." in done.stdout


def test_new_questions_take_their_defaults_or_what_is_set(
    shelf: Shelf, within: Run, tmp_path: Path
) -> None:
    service = new(within, shelf, tmp_path, "--set", "patterns=tracing")
    assert "max_connections" not in answers(service)
    done = within("add", "database", "--set", "max_connections=200", cwd=service)
    assert done.returncode == 0, done.stderr
    found = answers(service)
    assert (found["max_connections"], found["max_replicas"]) == (200, 3)
    assert found["patterns"] == ["database", "tracing"]


def test_renamed_and_retired_patterns(
    root: Path, within: Run, git: Git, copier: Copier, tree: Tree, tmp_path: Path
) -> None:
    """The multi-select trap: `cache` is called hot_cache from now on, and `example` is no more."""
    shelf = make(tmp_path / "source", root, git)
    service = new(within, shelf, tmp_path)
    (service / "app" / "cache" / "__init__.py").write_text(
        "# mine\n" + (service / "app" / "cache" / "__init__.py").read_text()
    )
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    plain = Path(shutil.copytree(service, tmp_path / "plain"))
    files = second()
    files["app/hot_cache/__init__.py"] = files.pop("app/cache/__init__.py")
    del files["app/example/__init__.py"]
    gone = ("cache", "example")
    shelf.patterns(
        [one for one in PATTERNS if one["name"] not in gone]
        + [manifest("hot_cache", requires=["redis"], formerly=["cache"], presets=["standard"])]
    )
    shelf.release("v1.2.0", files, {"tool.sh", "run.sh"})
    done = within("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert answers(service)["patterns"] == ["database", "hot_cache"]
    assert "patterns was cache, database, example" in done.stdout
    assert (service / "app" / "hot_cache" / "__init__.py").read_text().startswith("# mine\n")
    assert not (service / "app" / "cache").exists()
    copier("--vcs-ref", "v1.2.0", cwd=plain)
    assert answers(plain) == answers(service)
    git("commit", "-q", "-m", "updated", cwd=service)
    assert within("add", "cache", cwd=service).stderr == "hot_cache is there already.\n"


def test_the_answers_name_the_version(shelf: Shelf, service: Path, within: Run) -> None:
    assert within("update", cwd=service).returncode == 0
    assert answers(service)["_commit"] == "v1.1.0"
    assert answers(service)["_src_path"] == str(shelf.folder)
    assert set(first()) - set(second()) == {"gone.txt", "old/name.txt"}


def test_one_pattern_is_not_taken_for_another(
    service: Path, git: Git, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their files are nearly alike: in one merge git would move the edit into the one that comes."""
    from contextlib import nullcontext

    from perfgen.change import work_out
    from perfgen.service import Service
    from perfgen.versions import at_recorded

    monkeypatch.setenv("HOME", env["HOME"])
    edited = service / "app" / "cache" / "__init__.py"
    edited.write_text(edited.read_text() + "# mine\n")
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    opened = Service.open(service)
    patterns = {"patterns": ["database", "example", "tracing"]}
    change = at_recorded(
        opened,
        lambda source: work_out(opened, source, source, patterns, tmp_path),
        lambda _: nullcontext(),
    )
    assert change.conflicts == ["app/cache/__init__.py"]
    kinds = {file.path: file.kind for file in change.files}
    assert kinds["app/tracing/__init__.py"] == "new"
    assert b"mine" not in change.scratch.read(change.result["app/tracing/__init__.py"])
