"""What `perfgen new` does not do, and how it says so: one sentence, exit code 1, nothing written."""

import json
import os
import shutil
from pathlib import Path

import pytest

from perfgen.cli import COMMANDS
from tests.generator.kinds import Run

DATABASE = ["shop", "--preset", "minimal", "--with", "database"]
CASES = {
    "capital": (["Shop"], "cannot be the name", "shop"),
    "underscore": (["my_shop"], "cannot be the name", "my-shop"),
    "digit first": (["1shop"], "cannot be the name", "shop"),
    "two hyphens": (["my--shop"], "cannot be the name", "my-shop"),
    "hyphen last": (["shop-"], "cannot be the name", "shop"),
    "empty": ([""], "cannot be the name", "my-service"),
    "newline": (["shop\n"], "cannot be the name", "shop"),
    "umlaut": (["käse"], "cannot be the name", "k-se"),
    "41 letters": (["a" * 41], "at most 40", "a" * 40),
    "path": (["work/shop"], "cannot be the name", "--output"),
    "no name": ([], "NAME", "--help"),
    "unknown flag": (["shop", "--wiht", "cache"], "--wiht", "--with"),
    "missing parent": (["shop", "-C", "nowhere"], "does not exist", "--output"),
    "unknown pattern": (["shop", "--with", "cachee"], "no pattern 'cachee'", "did you mean cache?"),
    "unknown pattern out": (["shop", "--without", "dockr"], "no pattern 'dockr'", "docker"),
    "unknown preset": (["shop", "--preset", "minimum"], "no preset 'minimum'", "minimal"),
    "unknown setting": (["shop", "--set", "descripton=x"], "no setting 'descripton'", "description"),
    "computed setting": (["shop", "--set", "pool_max=7"], "no setting 'pool_max'", "max_replicas"),
    "setting without value": (["shop", "--set", "description"], "has no value", "NAME=VALUE"),
    "another name": (["shop", "--set", "project=store"], "both shop and store", "Leave"),
    "python": (["shop", "--python", "3.9"], "python_version cannot be '3.9'", "3.12"),
    "replicas in words": (["shop", "--max-replicas", "many"], "max_replicas must be", "whole number"),
    "replicas in parts": (["shop", "--max-replicas", "2.5"], "max_replicas must be", "whole number"),
    "no replicas": (["shop", "--max-replicas", "0"], "max_replicas", "1 to 1000"),
    "too many replicas": (
        ["shop", "--max-replicas", "1001", "--max-connections", "100000"],
        "max_replicas",
        "1 to 1000",
    ),
    "few connections": ([*DATABASE, "--max-connections", "16"], "max_connections", "from 17"),
    "few connections for workers, too": (
        [*DATABASE, "--with", "queue", "--max-connections", "31"],
        "max_connections",
        "from 32",
    ),
    "budget": (
        [*DATABASE, "--max-replicas", "50"],
        "50 replicas do not fit in 100 connections",
        "at most 17 replicas, or at least 262 connections",
    ),
    "replicas of no database": (
        ["shop", "--preset", "minimal", "--max-replicas", "2"],
        "max_replicas does not apply",
        "pattern",
    ),
    "needed pattern": (
        ["shop", "--preset", "standard", "--without", "database"],
        "need database",
        "--without example",
    ),
    "needed hidden pattern": (
        ["shop", "--preset", "minimal", "--with", "cache", "--without", "redis"],
        "cache needs redis",
        "--without cache",
    ),
    "core": (["shop", "--without", "auth"], "auth is part of every service", "--without auth"),
    "hidden": (["shop", "--with", "redis"], "redis cannot be chosen by itself", "cache"),
    "both": (["shop", "--with", "cache", "--without", "cache"], "cache is both", "one of them"),
    "two Pythons": (
        ["shop", "--set", "python_version=3.12", "--python", "3.13"],
        "python_version is answered twice: by --set python_version=3.12 and by --python 3.13.",
        "one of them",
    ),
    "two settings": (
        ["shop", "--set", "max_replicas=2", "--set", "max_replicas=3"],
        "max_replicas is answered twice",
        "one of them",
    ),
    "two flags": (
        ["shop", "--python", "3.12", "--python", "3.13"],
        "--python is given twice",
        "one of them",
    ),
    "preset and patterns": (
        ["shop", "--preset", "minimal", "--with", "cache", "--set", "patterns=database"],
        "patterns is answered twice: by --set patterns=database and by --preset minimal.",
        "one of them",
    ),
    "preset as setting": (["shop", "--set", "preset=minimal"], "preset is no setting", "--preset"),
    "long description": (["shop", "--description", "x" * 10_000], "at most 200", "description"),
    "blank description": (["shop", "--description", "  "], "description", "one sentence"),
    "two lines": (["shop", "--description", "a\nb"], "one line of printable text", "description"),
    "separator": (["shop", "--description", "a\u2028b"], "one line of printable text", "description"),
    "bidi": (["shop", "--description", "a\u202eb"], "one line of printable text", "description"),
    "no such answers": (["shop", "--answers", "none.yml"], "none.yml cannot be read", "No such file"),
    "no such template": (["shop", "--template", "nowhere"], "no template at nowhere", "git"),
    "template without git": (["shop", "--template", "."], "not the top of a git repository", "git init"),
    "template version": (["shop", "--template-version", "77"], "no version 77", "nown are"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused_in_a_sentence_with_nothing_written(within: Run, tmp_path: Path, case: str) -> None:
    args, sentence, hint = CASES[case]
    done = within("new", *args, "--defaults", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert sentence in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    assert not done.stdout
    assert list(tmp_path.iterdir()) == []


ANSWERS: dict[str, tuple[str, str | bytes, str]] = {
    "not yaml": ("a.yml", "description: [", "neither YAML nor JSON at line 1"),
    "not json": ("a.json", "{'description': 1}", "neither YAML nor JSON"),
    "binary": ("a.yml", b"\xff\xfe\x00", "neither YAML nor JSON"),
    "a list": ("a.yml", "- description", "must map names to values"),
    "empty": ("a.yml", "", "must map names to values"),
    "number as name": ("a.yml", "1: x", "must map names to values"),
    "unknown key": ("a.yml", "descriptoin: x", "no setting 'descriptoin'"),
    "preset": ("a.yml", "preset: minimal", "preset is no setting"),
    "preset's hint": ("a.yml", "preset: minimal", "Give --preset, or list the patterns"),
    "number as text": ("a.yml", "description: 5", "description must be text, not 5"),
    "nothing as text": ("a.yml", "description:", "description must be text, not None"),
    "truth as number": ("a.yml", "max_replicas: true", "max_replicas must be a whole number"),
    "list as number": ("a.yml", "max_replicas: [1]", "max_replicas must be a whole number"),
    "map as list": ("a.yml", "patterns: {cache: yes}", "patterns must be a list"),
    "unknown pattern": ("a.json", '{"patterns": ["cachee"]}', "no pattern 'cachee'"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_files_are_checked(within: Run, tmp_path: Path, case: str) -> None:
    name, content, sentence = ANSWERS[case]
    answers = tmp_path / "elsewhere" / name
    answers.parent.mkdir()
    answers.write_bytes(content if isinstance(content, bytes) else content.encode())
    place = tmp_path / "place"
    place.mkdir()
    done = within("new", "shop", "--answers", str(answers), "--defaults", cwd=place)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file", "link", "hidden file in it"])
def test_what_is_there_stays(within: Run, tmp_path: Path, kind: str) -> None:
    shop = tmp_path / "shop"
    if kind == "file":
        shop.write_text("mine")
    elif kind == "link":
        shop.symlink_to(tmp_path / "elsewhere")
    else:
        shop.mkdir()
        (shop / (".hidden" if "hidden" in kind else "mine")).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    done = within("new", "shop", "--defaults", cwd=tmp_path)
    assert done.returncode == 1
    assert "is in the way" in done.stderr or "exists and is not empty" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_parent_that_cannot_be_written_to(within: Run, tmp_path: Path) -> None:
    place = Path("/proc") if os.geteuid() == 0 else tmp_path / "closed"
    if place.is_relative_to(tmp_path):
        place.mkdir(mode=0o500)
    done = within("new", "shop", "--defaults", "-C", str(place), cwd=tmp_path)
    assert done.returncode == 1
    assert "cannot be written to" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_git(run: Run, tmp_path: Path) -> None:
    done = run("new", "shop", "--defaults", cwd=tmp_path, env_more={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "git is not installed" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_home_that_cannot_be_written_to(run: Run, tmp_path: Path) -> None:
    done = run("new", "shop", "--defaults", cwd=tmp_path, env_more={"HOME": "/proc/none"})
    assert done.returncode == 1
    assert "~/.local/share/perfgen/template cannot be written to" in done.stderr
    assert "--template" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_named_with_its_flag(within: Run, tmp_path: Path) -> None:
    done = within("new", "shop", "--python", "3.12", cwd=tmp_path)
    assert done.returncode == 1
    assert "description (--description)" in done.stderr
    assert "patterns (--preset or --with)" in done.stderr
    assert "max_replicas (--max-replicas)" in done.stderr
    assert "python_version" not in done.stderr
    assert "--defaults" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_without_arguments(within: Run, tmp_path: Path) -> None:
    done = within(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == within("--help", cwd=tmp_path).stdout
    assert done.stdout.startswith("Usage: perfgen")


@pytest.mark.parametrize(
    ("args", "command"),
    [
        (["new", "shop", "--wiht", "cache"], "perfgen new"),
        (["new"], "perfgen new"),
        (["patterns", "--wiht"], "perfgen patterns"),
        (["nwe"], "perfgen"),
        (["--wiht"], "perfgen"),
    ],
)
def test_mistakes_point_to_the_help_of_their_command(
    within: Run, tmp_path: Path, args: list[str], command: str
) -> None:
    done = within(*args, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"See `{command} --help`."


def test_json_has_the_error_too(within: Run, tmp_path: Path) -> None:
    done = within("new", "Shop", "--json", cwd=tmp_path)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert set(told) == {"error", "hint", "exit_code"}
    assert told["exit_code"] == 1
    assert told["error"] in done.stderr


def test_debug_shows_the_traceback(within: Run, tmp_path: Path) -> None:
    assert "Traceback" in within("new", "Shop", "--debug", cwd=tmp_path).stderr


def test_name_of_a_dependency(run: Run, root: Path, tmp_path: Path) -> None:
    if not (root / "template/<<project>>/uv.lock.jinja").exists():
        pytest.skip("the template has no uv.lock yet")
    done = run("new", "fastapi", "--defaults", cwd=tmp_path)
    assert done.returncode == 1
    assert "package that is called fastapi itself" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_full_disk(env: dict[str, str], tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("mounting a small disk takes root")
    import subprocess
    import sys

    place = tmp_path / "small"
    place.mkdir()
    script = (
        f"mount -t tmpfs -o size=96k none {place} || exit 77; cd {place};"
        f" {sys.executable} -m perfgen new shop --defaults; code=$?; ls -A {place}; exit $code"
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode == 77:
        pytest.skip("no tmpfs can be mounted here")
    assert done.returncode in (1, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_help_tells_each_command_in_a_whole_sentence(within: Run, tmp_path: Path) -> None:
    commands = within("--help", cwd=tmp_path).stdout.split("Commands:")[1]
    assert len(commands.strip().splitlines()) == len(COMMANDS)
    assert "..." not in commands
