"""Templates from elsewhere: what is recorded, what is refused, and that nothing of them stays behind."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from perfgen import sources
from perfgen.errors import Refused
from tests.generator.kinds import Git
from tests.generator.kinds import Run


def recorded(service: Path) -> dict[str, str]:
    """Source and version as a service remembers them."""
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text("utf-8"))
    return {name: answers[name] for name in ("_src_path", "_commit")}


@pytest.mark.parametrize("kind", ["folder", "relative folder", "url", "bundle"])
def test_any_git_source(
    run: Run, git: Git, small: Path, tmp_path: Path, env: dict[str, str], kind: str
) -> None:
    bundle = tmp_path / "small.bundle"
    git("bundle", "create", "-q", bundle, "--all", cwd=small)
    bare = tmp_path / "small.git"
    git("clone", "-q", "--bare", small, bare, cwd=tmp_path)
    shutil.copytree(small, tmp_path / "small", symlinks=True)
    source, expected = {
        "folder": (str(small), str(small)),
        "relative folder": ("../small", str(tmp_path / "small")),
        "url": (f"file://{bare}", f"file://{bare}"),
        "bundle": (str(bundle), str(bundle)),
    }[kind]
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "tmp").mkdir()
    more = {"TMPDIR": str(tmp_path / "tmp"), "PERFGEN_TEMPLATE": source}
    done = run("new", "shop", "--defaults", cwd=place, env_more=more)
    assert done.returncode == 0, done.stderr
    assert recorded(place / "shop") == {"_src_path": expected, "_commit": "v9.0.0"}
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (Path(env["HOME"]) / ".cache").exists()


@pytest.mark.parametrize(
    ("given", "kept", "url"),
    [
        ("gh:acme/web", "https://github.com/acme/web.git", "https://github.com/acme/web.git"),
        ("git@git.corp:a/b.git", "git@git.corp:a/b.git", "git@git.corp:a/b.git"),
        ("https://git.corp/a/b", "git+https://git.corp/a/b", "https://git.corp/a/b"),
        ("https://git.corp/a/b.git", "https://git.corp/a/b.git", "https://git.corp/a/b.git"),
        ("git+ssh://git@h/a", "git+ssh://git@h/a", "ssh://git@h/a"),
    ],
)
def test_addresses_are_recorded_so_that_copier_knows_them_for_git(
    given: str, kept: str, url: str
) -> None:
    from copier._vcs import get_repo

    assert sources._addresses(given) == (kept, url)
    assert get_repo(kept) == url


def test_url_where_bare_repositories_are_forbidden(
    run: Run, git: Git, small: Path, tmp_path: Path
) -> None:
    (tmp_path / ".gitconfig").write_text("[safe]\nbareRepository = explicit\n")
    git("branch", "-f", "other", cwd=small)
    more = {"HOME": str(tmp_path), "PERFGEN_TEMPLATE": f"file://{small}"}
    for name, version in (("shop", []), ("other", ["--template-version", "other"])):
        done = run("new", name, "--defaults", *version, cwd=tmp_path, env_more=more)
        assert done.returncode == 0, done.stderr


def test_version_that_is_asked_for(within: Run, git: Git, small: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(small, source, symlinks=True)
    git("tag", "v9.1.0rc1", cwd=source)
    git("tag", "not-a-version", cwd=source)
    assert sources._version(source, None) == "v9.0.0"
    assert sources._version(source, "9.1.0rc1") == "v9.1.0rc1"
    assert sources._version(source, "HEAD") == "HEAD"
    with pytest.raises(Refused, match="no version 8"):
        sources._version(source, "8")


def test_what_is_no_template(within: Run, git: Git, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "README.md").write_text("nothing")
    git("init", "-q", cwd=source)
    git("add", "-A", cwd=source)
    git("commit", "-q", "-m", "x", cwd=source)
    place = tmp_path / "place"
    place.mkdir()
    done = within("new", "shop", "--defaults", "--template", str(source), cwd=place)
    assert done.returncode == 1
    assert "is not a perfgen template" in done.stderr
    missing = f"file://{tmp_path}/nowhere.git"
    done = within("new", "shop", "--defaults", "--template", missing, cwd=place)
    assert done.returncode == 1
    assert "could not be fetched" in done.stderr
    assert list(place.iterdir()) == []


def test_template_with_tasks_is_refused(run: Run, git: Git, small: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(small, source, symlinks=True)
    text = (source / "copier.yml").read_text()
    (source / "copier.yml").write_text(f"_tasks: [touch {tmp_path}/ran]\n{text}")
    git("commit", "-q", "-a", "-m", "tasks", cwd=source)
    git("tag", "v9.1.0", cwd=source)
    place = tmp_path / "place"
    place.mkdir()
    done = run("new", "shop", "--defaults", "--template", str(source), cwd=place)
    assert done.returncode == 1
    assert "wants to run code of its own" in done.stderr
    assert list(place.iterdir()) == []
    assert not (tmp_path / "ran").exists()


def test_questions_of_an_organisation(run: Run, git: Git, small: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(small, source, symlinks=True)
    with (source / "copier.yml").open("a") as file:
        file.write("\nteam: {type: str, help: Who owns it, choices: [tea, coffee]}\n")
        file.write("\npager: {type: bool, help: Wakes somebody, default: false}\n")
    git("commit", "-q", "-a", "-m", "org", cwd=source)
    git("tag", "v9.1.0", cwd=source)
    place = tmp_path / "place"
    place.mkdir()
    flags = ["--defaults", "--template", str(source), "--json"]
    done = run("new", "shop", *flags, cwd=place)
    assert done.returncode == 1
    assert "team (--set team=VALUE)" in done.stderr
    done = run("new", "shop", *flags, "--set", "team=milk", cwd=place)
    assert "choose tea or coffee" in done.stderr
    done = run("new", "shop", *flags, "--set", "team=tea", "--set", "pager=maybe", cwd=place)
    assert "pager must be true or false" in done.stderr
    done = run("new", "shop", *flags, "--set", "team=tea", "--set", "pager=yes", cwd=place)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["answers"]
    assert (told["team"], told["pager"]) == ("tea", True)


@pytest.mark.parametrize("command", [["new", "shop", "--defaults"], ["patterns", "cache"]])
@pytest.mark.parametrize("lost", ["commit", "everything"])
def test_damaged_store(
    run: Run, git: Git, small: Path, tmp_path: Path, lost: str, command: list[str]
) -> None:
    store = tmp_path / "home" / ".local" / "share" / "perfgen" / "template"
    git("clone", "-q", "--no-hardlinks", small, store, cwd=tmp_path)
    if lost == "commit":
        commit = git("rev-parse", "v9.0.0", cwd=store)
        (store / ".git" / "objects" / commit[:2] / commit[2:]).unlink()
    else:
        shutil.rmtree(store / ".git" / "objects")
        (store / ".git" / "objects").mkdir()
    place = tmp_path / "place"
    place.mkdir()
    done = run(*command, cwd=place, env_more={"HOME": str(tmp_path / "home")})
    assert "~/.local/share/perfgen/template, where perfgen keeps its templates, is damaged" in (
        done.stderr
    )
    assert list(place.iterdir()) == []
    if command[0] == "new":
        assert done.returncode == 1
        assert "Move it away" in done.stderr


def test_store_that_a_killed_git_left_locked(run: Run, small: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    git_folder = home / ".local" / "share" / "perfgen" / "template" / ".git"
    (git_folder / "refs" / "tags").mkdir(parents=True)
    for name in ("shallow.lock", "config.lock", "refs/tags/v0.1.0.lock"):
        (git_folder / name).touch()
    flags = ["--defaults", "--preset", "minimal"]
    done = run("new", "shop", *flags, cwd=tmp_path, env_more={"HOME": str(home)})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "more", [{"GIT_DEFAULT_HASH": "sha256"}, {"HOME": "relative"}], ids=["sha256", "relative home"]
)
def test_odd_surroundings(run: Run, tmp_path: Path, more: dict[str, str]) -> None:
    more = {"HOME": str(tmp_path / "home")} | more
    done = run("new", "shop", "--defaults", "--preset", "minimal", cwd=tmp_path, env_more=more)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_repository_of_another_user(run: Run, small: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    shutil.copytree(small, theirs, symlinks=True)
    for path in (theirs, theirs / ".git"):
        os.chown(path, 12345, 12345)
    done = run("new", "shop", "--defaults", "--template", str(theirs), cwd=tmp_path)
    assert done.returncode == 1
    assert "belongs to another user" in done.stderr
    assert f"safe.directory '{theirs}" in done.stderr
