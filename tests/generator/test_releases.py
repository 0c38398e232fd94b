"""Releases: immutable bundles, found again in every order, and versions for what is not released."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from perfgen import releases
from perfgen.errors import Refused
from tests.generator.kinds import Git
from tests.generator.kinds import Run


@pytest.fixture
def checkout(template: Path, tmp_path: Path, git: Git) -> Path:
    """A repository like this one, without any release."""
    folder = tmp_path / "checkout"
    shutil.copytree(template, folder, symlinks=True)
    git("tag", "-d", "v9.0.0", cwd=folder)
    return folder


def change(checkout: Path, git: Git, text: str) -> None:
    """One more commit of the template."""
    (checkout / "template" / "<<project>>" / "NEW.md").write_text(text)
    git("add", "-A", cwd=checkout)
    git("commit", "-q", "-m", text, cwd=checkout)


def test_each_release_holds_what_is_new_and_all_load(
    checkout: Path, tmp_path: Path, git: Git
) -> None:
    releases.cut(checkout, "1.0.0")
    change(checkout, git, "second")
    releases.cut(checkout, "1.1.0")
    change(checkout, git, "third")
    releases.cut(checkout, "1.10.0")
    sizes = [(checkout / "releases" / f"{v}.bundle").stat().st_size for v in ("1.0.0", "1.1.0")]
    assert sizes[1] < sizes[0] / 5
    bundles = releases.bundled(checkout / "releases")
    assert [release.tag for release in bundles] == ["v1.0.0", "v1.1.0", "v1.10.0"]
    store = tmp_path / "store"
    releases.create(store)
    releases.load(bundles, store)
    assert releases.missing(bundles, store) == []
    assert git("show", "v1.1.0:template/<<project>>/NEW.md", cwd=store) == "second"
    top = git("ls-tree", "--name-only", "v1.0.0", cwd=store).split()
    assert top == ["copier.yml", "patterns", "template"]
    # Released content is what is committed, and nothing that lies about.
    assert git("rev-parse", "v1.10.0:template", cwd=store) == git(
        "rev-parse", "HEAD:template", cwd=checkout
    )


def test_same_content_same_bytes(checkout: Path, tmp_path: Path, git: Git) -> None:
    def digest() -> list[str]:
        paths = sorted((checkout / "releases").glob("*.bundle"))
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]

    releases.cut(checkout, "1.0.0")
    change(checkout, git, "second")
    releases.cut(checkout, "1.1.0")
    first = digest()
    (checkout / "releases" / "1.1.0.bundle").unlink()
    git("gc", "-q", "--aggressive", cwd=checkout)  # other packs, other deltas
    releases.cut(checkout, "1.1.0")
    assert digest() == first


def test_a_released_version_never_changes(checkout: Path, git: Git) -> None:
    releases.cut(checkout, "1.0.0")
    bundle = checkout / "releases" / "1.0.0.bundle"
    before = bundle.read_bytes()
    assert "released already" in releases.cut(checkout, "1.0.0")
    change(checkout, git, "second")
    with pytest.raises(Refused, match="never changes"):
        releases.cut(checkout, "1.0.0")
    with pytest.raises(Refused, match="released already"):
        releases.cut(checkout, "0.9.0")
    (checkout / "copier.yml").write_text("# uncommitted\n")
    with pytest.raises(Refused, match="uncommitted"):
        releases.cut(checkout, "1.1.0")
    assert bundle.read_bytes() == before


def test_another_template_by_a_released_name_is_refused(
    checkout: Path, tmp_path: Path, git: Git
) -> None:
    releases.cut(checkout, "1.0.0")
    store = tmp_path / "store"
    releases.create(store)
    releases.load(releases.bundled(checkout / "releases"), store)
    (checkout / "releases" / "1.0.0.bundle").unlink()
    change(checkout, git, "second")
    releases.cut(checkout, "1.0.0")
    with pytest.raises(Refused, match=r"another template by the name of v1\.0\.0"):
        releases.load(releases.bundled(checkout / "releases"), store)


def test_an_older_perfgen_takes_nothing_away(checkout: Path, tmp_path: Path, git: Git) -> None:
    releases.cut(checkout, "1.0.0")
    older = releases.bundled(checkout / "releases")
    change(checkout, git, "second")
    releases.cut(checkout, "1.1.0")
    store = tmp_path / "store"
    releases.create(store)
    releases.load(releases.bundled(checkout / "releases"), store)
    releases.create(store)
    releases.load(older, store)
    assert set(releases.tags(store)) == {"v1.0.0", "v1.1.0"}


def test_versions_of_what_is_not_released(
    checkout: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "__version__", "1.0.0")
    store = tmp_path / "store"
    releases.create(store)
    first, dirty = releases.development(checkout, store)
    assert first.startswith("v1.0.0.dev1+g")
    assert not dirty
    assert releases.development(checkout, store) == (first, False)
    (checkout / "notes.txt").write_text("not the template")
    git("add", "-A", cwd=checkout)
    git("commit", "-q", "-m", "elsewhere", cwd=checkout)
    assert releases.development(checkout, store) == (first, False)
    releases.cut(checkout, "1.0.0")
    releases.load(releases.bundled(checkout / "releases"), store)
    assert releases.development(checkout, store) == ("v1.0.0", False)
    change(checkout, git, "second")
    second, _ = releases.development(checkout, store)
    assert second.startswith("v1.0.1.dev2+g")
    draft = checkout / "template" / "<<project>>" / "DRAFT.md"
    draft.write_text("not committed")
    third, dirty = releases.development(checkout, store)
    assert dirty
    assert third.startswith(f"{second}.d")
    assert git("show", f"{third}:template/<<project>>/DRAFT.md", cwd=store) == "not committed"
    ordered = sorted([third, "v1.0.1", second, "v1.0.0", first], key=Version)
    assert ordered == [first, "v1.0.0", second, third, "v1.0.1"]


def test_plain_update_where_nothing_is_released(
    run: Run, small: Path, tmp_path: Path, git: Git, env: dict[str, str]
) -> None:
    checkout, store, shop = tmp_path / "checkout", tmp_path / "store", tmp_path / "shop"
    shutil.copytree(small, checkout, symlinks=True)
    git("tag", "-d", "v9.0.0", cwd=checkout)
    releases.create(store)
    first, _ = releases.development(checkout, store)
    flags = ["--template", str(store), "--template-version", first, "--defaults"]
    made = run("new", "shop", *flags, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    change(checkout, git, "second")
    second, _ = releases.development(checkout, store)
    assert git("rev-parse", "HEAD", cwd=store) == git("rev-parse", second, cwd=store)
    assert git("status", "--porcelain", cwd=store) == ""
    updated = subprocess.run(
        [sys.executable, "-m", "copier", "update", "--defaults"],
        cwd=shop,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert updated.returncode == 0, updated.stderr
    assert (shop / "NEW.md").read_text() == "second"
    assert f"_commit: {second}" in (shop / ".copier-answers.yml").read_text()


def test_head_of_a_store_from_before(checkout: Path, tmp_path: Path, git: Git) -> None:
    store = tmp_path / "store"
    releases.create(store)
    tag, _ = releases.development(checkout, store)
    git("update-ref", "-d", "refs/heads/main", cwd=store)
    assert not releases.pointed(store)
    releases.load([], store)
    assert releases.pointed(store)
    assert git("rev-parse", "main", cwd=store) == git("rev-parse", tag, cwd=store)


def test_two_at_once_fill_the_store_once(env: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "perfgen", "patterns", "cache", "--json"]
    both = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=env | {"HOME": str(tmp_path)},
        )
        for _ in range(3)
    ]
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0
        assert errors == b""


def test_waits_for_another_perfgen_that_fills_the_store(
    env: dict[str, str], tmp_path: Path
) -> None:
    store = tmp_path / ".local" / "share" / "perfgen"
    store.mkdir(parents=True)
    command = [sys.executable, "-m", "perfgen", "patterns", "cache", "--json"]
    with (store / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=tmp_path, env=env | {"HOME": str(tmp_path)}
        )
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(5)
        assert not (store / "template").exists()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert (store / "template" / ".git").is_dir()


@pytest.mark.parametrize(
    "how", ["truncated", "tampered", "cut off in its header", "another commit"]
)
def test_a_damaged_bundle_is_refused(checkout: Path, tmp_path: Path, git: Git, how: str) -> None:
    releases.cut(checkout, "1.0.0")
    change(checkout, git, "second")
    releases.cut(checkout, "1.1.0")
    bundle = checkout / "releases" / "1.1.0.bundle"
    content = bytearray(bundle.read_bytes())
    if how == "truncated":
        del content[-40:]
    elif how == "tampered":
        content[-60] ^= 1
    elif how == "another commit":
        commit = releases.read(bundle).commit.encode()
        content = content.replace(commit, b"1" * len(commit))
    else:
        del content[30:]
    bundle.write_bytes(content)
    store = tmp_path / "store"
    releases.create(store)
    with pytest.raises(Refused) as raised:
        releases.load(releases.bundled(checkout / "releases"), store)
    assert "1.1.0.bundle" in raised.value.sentence
    assert raised.value.hint == "Install perfgen again."
    assert "v1.1.0" not in releases.tags(store)
