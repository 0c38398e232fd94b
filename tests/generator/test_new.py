"""What `perfgen new` writes, and how it tells."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from maintain import template as source
from perfgen import git as perfgen_git
from tests.generator.kinds import Git
from tests.generator.kinds import Made
from tests.generator.kinds import Run
from tests.generator.kinds import Tree


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A service with all defaults, and what was said."""
    folder = tmp_path_factory.mktemp("made")
    done = run("new", "shop", "--defaults", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "shop", done


def answers(service: Path) -> dict[str, object]:
    """What the service records."""
    loaded = yaml.safe_load((service / ".copier-answers.yml").read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_says_what_it_did_and_the_next_two_commands(made: Made) -> None:
    _, done = made
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Created shop: ")
    assert "redis" in done.stdout  # what cache brought along
    assert lines[-3:] == ["Next:", "  cd shop && make run", "  make test"]


def test_records_what_was_asked_and_a_portable_source(made: Made) -> None:
    recorded = answers(made[0])
    assert recorded["_src_path"] == "~/.local/share/perfgen/template"
    assert recorded["patterns"] == source.read_catalogue().presets["standard"]
    assert recorded["project"] == "shop"
    assert recorded["max_connections"] == 100
    assert recorded["max_replicas"] == 3
    assert "catalogue" not in recorded
    assert "enabled" not in recorded


def test_answers_file_tells_a_teammate_how_to_update(made: Made) -> None:
    head = (made[0] / ".copier-answers.yml").read_text("utf-8").splitlines()[:2]
    assert all(line.startswith("#") for line in head)
    assert "`perfgen update`" in head[0]


def test_one_commit_of_everything_and_a_clean_tree(made: Made, git: Git) -> None:
    service, _ = made
    assert git("log", "--format=%an <%ae>", cwd=service) == "Ada <ada@example.org>"
    assert git("status", "--porcelain", "--ignored", cwd=service) == ""
    assert git("branch", "--show-current", cwd=service) == "main"
    files = {str(p.relative_to(service)) for p in service.rglob("*") if not p.is_dir()}
    tracked = git("-c", "core.quotePath=false", "ls-files", cwd=service).splitlines()
    assert set(tracked) == {name for name in files if not name.startswith(".git/")}


def test_leaves_nothing_beside_the_service(made: Made) -> None:
    assert [path.name for path in made[0].parent.iterdir()] == ["shop"]


def test_existing_empty_folder_is_taken(run: Run, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    done = run("new", "shop", "--preset", "minimal", "--defaults", "--no-git", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shop" / ".copier-answers.yml").exists()
    assert not (tmp_path / "shop" / ".git").exists()


def test_output_folder_flags_and_json(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    flags = ["--preset", "minimal", "--with", "cache,example", "--without", "docker"]
    flags += ["--python", "3.12", "--max-replicas", "10", "--max-connections", "500"]
    flags += ["--description", "Sells tea"]
    done = run("new", "shop", "-C", "work", *flags, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    service = tmp_path / "work" / "shop"
    assert set(told) == {
        "project",
        "path",
        "written",
        "template",
        "answers",
        "enabled",
        "repository",
        "files",
        "next",
    }
    assert told["path"] == str(service)
    assert told["written"] is True
    assert told["repository"] is True
    assert told["answers"] == {
        "project": "shop",
        "description": "Sells tea",
        "python_version": "3.12",
        "patterns": ["cache", "example"],
        "max_replicas": 10,
        "max_connections": 500,
    }
    assert {"redis", "database", "auth"} < set(told["enabled"])
    assert told["enabled"].index("redis") < told["enabled"].index("cache")
    assert told["files"] == sorted(
        str(p.relative_to(service))
        for p in service.rglob("*")
        if not p.is_dir() and p.relative_to(service).parts[0] != ".git"
    )
    assert told["next"] == ["cd work/shop && make run", "make test"]
    assert answers(service) == told["answers"] | {
        "_src_path": told["template"]["source"],
        "_commit": f"v{told['template']['version']}",
    }


def test_dry_run_lists_the_files_and_writes_none(within: Run, tmp_path: Path) -> None:
    done = within("new", "shop", "--preset", "minimal", "--defaults", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert ".copier-answers.yml" in done.stdout.splitlines()
    assert "Nothing was written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_quiet_says_nothing(run: Run, tmp_path: Path) -> None:
    done = run("new", "shop", "--preset", "minimal", "--defaults", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("form", ["yaml", "json", "stdin", "another service"])
def test_answers_from_a_file(run: Run, within: Run, made: Made, tmp_path: Path, form: str) -> None:
    given: dict[str, object] = {
        "description": "Sells tea: # 1",
        "patterns": ["docker"],
        "python_version": "3.12",
    }
    file = tmp_path / f"answers.{'json' if form == 'json' else 'yml'}"
    file.write_text(json.dumps(given) if form == "json" else yaml.safe_dump(given), "utf-8")
    place = tmp_path / "place"
    place.mkdir()
    flags = ["new", "store", "--json", "--dry-run"]
    if form == "stdin":
        done = run(*flags, "--answers", "-", cwd=place, stdin=file.read_text("utf-8"))
    elif form == "another service":
        given = {name: value for name, value in answers(made[0]).items() if name[0] != "_"}
        done = within(*flags, "--answers", str(made[0] / ".copier-answers.yml"), cwd=place)
    else:
        done = within(*flags, "--answers", str(file), cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answers"] == given | {"project": "store"}


def test_flags_beat_settings_and_settings_beat_the_file(within: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text("{description: of the file, patterns: [cache], python_version: 3.12}")
    flags = ["--answers", str(file), "--set", "description=of --set", "--set", "patterns=docker"]
    flags += ["--python", "3.14", "--defaults", "--json", "--dry-run"]
    told = json.loads(within("new", "shop", *flags, cwd=tmp_path).stdout)["answers"]
    assert told["description"] == "of --set"
    assert told["patterns"] == ["docker"]
    assert told["python_version"] == "3.14"


def test_python_that_is_not_installed_is_mentioned(within: Run, tmp_path: Path) -> None:
    if shutil.which("python3.14"):
        pytest.skip("3.14 is installed")
    flags = ["--preset", "minimal", "--defaults", "--python", "3.14", "--dry-run"]
    assert "uv will fetch one" in within("new", "shop", *flags, cwd=tmp_path).stderr


def test_inside_a_repository_no_second_one_is_nested(run: Run, git: Git, tmp_path: Path) -> None:
    git("init", "-q", cwd=tmp_path)
    (tmp_path / ".gitignore").write_text("build/\n")
    (tmp_path / "build").mkdir()
    flags = ["--preset", "minimal", "--defaults"]
    done = run("new", "shop", *flags, cwd=tmp_path)
    assert done.returncode == 0
    assert "got none of its own" in done.stderr
    assert not (tmp_path / "shop" / ".git").exists()
    # What the outer repository ignores is not part of it.
    done = run("new", "shop", "-C", "build", *flags, cwd=tmp_path, env_more={"GIT_DIR": "/none"})
    assert done.returncode == 0
    assert (tmp_path / "build" / "shop" / ".git").exists()


HOSTILE_CONFIG = """
[commit]
gpgSign = true
[gpg]
program = /bin/false
[core]
hooksPath = {hooks}
autocrlf = true
safecrlf = true
excludesFile = {ignored}
attributesFile = {attributes}
[filter "upper"]
clean = tr a-z A-Z
smudge = tr a-z A-Z
[init]
defaultBranch = trunk
[user]
useConfigOnly = true
"""


def test_commit_whatever_git_is_set_to(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, git: Git
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-commit", "prepare-commit-msg", "commit-msg", "post-commit"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        (hooks / name).chmod(0o755)
    (tmp_path / "ignored").write_text("*.lock\n.env.example\n")
    (tmp_path / "attributes").write_text("* filter=upper text eol=crlf\n")
    config = HOSTILE_CONFIG.format(
        hooks=hooks, ignored=tmp_path / "ignored", attributes=tmp_path / "attributes"
    )
    (tmp_path / ".gitconfig").write_text(config)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    service = tmp_path / "shop"
    service.mkdir()
    (service / "uv.lock").write_bytes(b"one\ntwo\n")
    (service / "script.cmd").write_bytes(b"one\r\ntwo\r\n")
    note = perfgen_git.first_commit(service, "A new service")
    assert "Git does not know who you are" in note
    assert not (tmp_path / "ran").exists()
    assert git("ls-files", cwd=service, HOME=str(tmp_path)).split() == ["script.cmd", "uv.lock"]
    assert git("branch", "--show-current", cwd=service, HOME=str(tmp_path)) == "trunk"
    assert git("log", "--format=%an <%ae>", cwd=service) == "perfgen <perfgen@localhost>"
    show = ["git", "show", "HEAD:script.cmd"]
    assert subprocess.check_output(show, cwd=service, env=env) == b"one\r\ntwo\r\n"
    # Of that one commit only: nothing was configured.
    assert "perfgen" not in (service / ".git" / "config").read_text()


@pytest.mark.parametrize("where", ["autocrlf", "attributes"])
def test_template_is_read_as_it_is_whatever_git_is_set_to(
    template: Path, run: Run, tree: Tree, tmp_path: Path, git: Git, where: str
) -> None:
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    setting = ""
    if where == "autocrlf":
        setting = "[core]\nautocrlf = true\n"
    else:  # this file is read without being named anywhere
        (home / ".config" / "git" / "attributes").write_text("* text eol=crlf\n")
    (home / ".gitconfig").write_text(f"{setting}[user]\nname = B\nemail = b@c.de\n")
    flags = ["--defaults", "--template", str(template)]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert run("new", "shop", *flags, cwd=plain).returncode == 0
    done = run("new", "shop", *flags, cwd=tmp_path, env_more={"HOME": str(home)})
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "shop") == tree(plain / "shop")
    if where == "autocrlf":  # the attributes are the user's, and hold for the user's own git
        assert git("status", "--porcelain", cwd=tmp_path / "shop", HOME=str(home)) == ""


def test_what_cannot_be_said_does_not_undo_what_is_done(
    run: Run, small: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    flags = ["--defaults", "--template", str(small), "--description", "Caf\u00e9 au lait"]
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    done = run("new", "a", *flags, cwd=tmp_path, env_more=ascii_only)
    assert done.returncode == 0, done.stderr
    assert "Caf\\xe9 au lait" in done.stdout
    done = run("new", "b", *flags, "--json", cwd=tmp_path, env_more=ascii_only)
    assert json.loads(done.stdout)["answers"]["description"] == "Caf\u00e9 au lait"
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "perfgen", "new", "c", *flags]
        full_disk = subprocess.run(command, cwd=tmp_path, env=env, stdout=full, stderr=full)
    assert full_disk.returncode == 0
    assert (tmp_path / "c" / ".git").is_dir()
