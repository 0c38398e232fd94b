"""perfgen adds nothing that plain copier would not do: same tree, same updates, same refusals."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from maintain import template as maintained
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.kinds import Tree

# Where and from what, the only difference there may be.
ORIGIN = re.compile(rb"^_(src_path|commit): .*\n", re.MULTILINE)
SETS = {
    "nothing": [],
    "minimal": ["docker"],
    "cache": ["cache"],
    "standard": maintained.read_catalogue().presets["standard"],
}


@pytest.fixture
def copier(env: dict[str, str]) -> Run:
    """Run copier's own command."""

    def call(*args: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "copier", *map(str, args)]
        return subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120
        )

    return call


@pytest.mark.parametrize("name", SETS)
def test_same_tree_as_copier_copy(
    run: Run, copier: Run, tree: Tree, template: Path, tmp_path: Path, name: str
) -> None:
    data = tmp_path / "answers.yml"
    given = {"patterns": SETS[name], "description": "Sells \"tea\" & 'more': 👩‍🚀 # 1"}
    data.write_text(yaml.safe_dump(given, allow_unicode=True), "utf-8")
    flags = ["--template", str(template), "--answers", str(data), "--defaults", "--no-git"]
    (tmp_path / "ours").mkdir()
    done = run("new", "shop", *flags, "--python", "3.13", cwd=tmp_path / "ours")
    assert done.returncode == 0, done.stderr
    options = ["--defaults", "--data-file", data, "-d", "project=shop", "--vcs-ref", "v9.0.0"]
    plain = copier("copy", "-q", *options, template, "plain", cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    ours, theirs = tree(tmp_path / "ours" / "shop"), tree(tmp_path / "plain")
    assert list(ours) == list(theirs)
    for path, (content, mode) in ours.items():
        expected, expected_mode = theirs[path]
        if path == ".copier-answers.yml":
            content, expected = ORIGIN.sub(b"", content), ORIGIN.sub(b"", expected)
        assert (content, mode) == (expected, expected_mode), path
    empty = [p for p in (tmp_path / "ours").rglob("*") if p.is_dir() and not any(p.iterdir())]
    assert empty == []


def test_update_of_an_unedited_service_is_the_fresh_tree(
    run: Run, copier: Run, git: Git, tree: Tree, template: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(template, source, symlinks=True)
    made = run("new", "shop", "--defaults", "--template", str(source), cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    service = source / "template" / "<<project>>"
    (service / "app" / "added.py").write_text('"""New in the next version."""\n')
    (service / "alembic.ini").unlink(missing_ok=True)
    main = service / "app" / "main.py"
    main.write_text(main.read_text() + "\n# changed\n")
    git("add", "-A", "-f", cwd=source)
    git("commit", "-q", "-m", "next", cwd=source)
    git("tag", "v9.1.0", cwd=source)
    updated = copier("update", "--defaults", "-q", cwd=tmp_path / "shop")
    assert updated.returncode == 0, updated.stderr
    (tmp_path / "fresh").mkdir()
    fresh = run("new", "shop", "--defaults", "--template", str(source), cwd=tmp_path / "fresh")
    assert fresh.returncode == 0, fresh.stderr
    assert tree(tmp_path / "shop") == tree(tmp_path / "fresh" / "shop")
    assert b"v9.1.0" in tree(tmp_path / "shop")[".copier-answers.yml"][0]


def test_update_from_the_recorded_store_without_perfgen(
    run: Run, copier: Run, tmp_path: Path
) -> None:
    made = run("new", "shop", "--preset", "minimal", "--defaults", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    recorded = yaml.safe_load((tmp_path / "shop" / ".copier-answers.yml").read_text("utf-8"))
    options = ["--defaults", "--vcs-ref", recorded["_commit"], "-d", "patterns=[cache]"]
    updated = copier("update", *options, cwd=tmp_path / "shop")
    assert updated.returncode == 0, updated.stderr
    assert (tmp_path / "shop" / "app" / "redis").is_dir()
    assert not (tmp_path / "shop" / "Dockerfile").exists()


def test_renamed_and_dropped_patterns_heal(
    run: Run, copier: Run, git: Git, template: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(template, source, symlinks=True)
    flags = ["--defaults", "--template", str(source)]
    assert run("new", "shop", *flags, cwd=tmp_path).returncode == 0
    # docker goes, cache is called hot_cache from now on
    (source / "patterns" / "docker.yml").unlink()
    text = (source / "patterns" / "cache.yml").read_text()
    text = text.replace("name: cache", "name: hot_cache", 1)
    text = text.replace("formerly: []", "formerly: [cache]", 1)
    (source / "patterns" / "hot_cache.yml").write_text(text)
    (source / "patterns" / "cache.yml").unlink()
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "shop" / ".copier-answers.yml", tmp_path / "other")
    # The answers alone: what the wiring does with a new name is the template's own affair.
    shutil.rmtree(source / "template" / "<<project>>")
    keep = source / "template" / "<<project>>" / "<<_copier_conf.answers_file>>.jinja"
    keep.parent.mkdir()
    keep.write_text("<< _copier_answers | to_nice_yaml >>")
    git("add", "-A", "-f", cwd=source)
    git("commit", "-q", "-m", "answers only", cwd=source)
    git("tag", "v9.1.0", cwd=source)
    options = ["--defaults", "--overwrite", "--vcs-ref", "v9.1.0", str(source), "."]
    healed = copier("copy", "-q", *options, cwd=tmp_path / "other")
    assert healed.returncode == 0, healed.stderr
    recorded = yaml.safe_load((tmp_path / "other" / ".copier-answers.yml").read_text("utf-8"))
    standard = set(maintained.read_catalogue().presets["standard"])
    assert recorded["patterns"] == sorted(standard - {"cache", "docker"} | {"hot_cache"})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("project=Shop", "lower-case letters"),
        ("description=" + "x" * 201, "at most 200"),
        ("description=a\nb", "one line of printable text"),
        ("python_version=3.9", "Invalid choice"),
        ("patterns=[cachee]", "Invalid choice"),
        ("max_replicas=50", "do not fit in 100 connections"),
        ("max_connections=10", "the least for one replica"),
    ],
)
def test_copier_refuses_it_too(
    copier: Run, template: Path, tmp_path: Path, data: str, words: str
) -> None:
    options = ["-q", "--defaults", "-d", "project=shop", "-d", data, "--vcs-ref", "v9.0.0"]
    done = copier("copy", *options, template, "shop", cwd=tmp_path)
    assert done.returncode != 0
    assert words in done.stderr
    assert not (tmp_path / "shop").exists()


def test_the_shortcuts_change_nothing_and_are_undone(
    template: Path, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str]
) -> None:
    import contextlib

    from copier import _main
    from jinja2 import Environment

    from perfgen import render
    from perfgen.sources import Source

    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", env["HOME"])
    before = (_main.Worker._sync_git_index_executable_bit, Environment.from_string)
    source = Source(str(template), "v9.0.0", template)
    answers = {"project": "shop", "patterns": ["cache", "database"]}
    render.render(source, answers, tmp_path / "short")
    assert before == (_main.Worker._sync_git_index_executable_bit, Environment.from_string)
    # The method may be gone in a later copier: then it simply takes longer.
    monkeypatch.setattr(render, "_remembering", contextlib.nullcontext)
    monkeypatch.setattr(render, "_INDEX_QUESTION", "gone")
    render.render(source, answers, tmp_path / "long")
    assert tree(tmp_path / "short") == tree(tmp_path / "long")
