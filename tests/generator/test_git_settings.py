"""Git as the owner has set it: attributes, filters, line ends, what it ignores, executable bits."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.generator.killing import files
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.owner import BOTH
from tests.generator.owner import MINE
from tests.generator.owner import SAME
from tests.generator.owner import TEXT
from tests.generator.owner import commit
from tests.generator.owner import crlf
from tests.generator.shelf import ODD
from tests.generator.shelf import changed


def test_executable_bits_of_both(service: Path, within: Run, git: Git) -> None:
    (service / "text.txt").chmod(0o755)
    (service / "tool.sh").chmod(0o644)
    commit(service, git)
    assert within("update", cwd=service).returncode == 0
    for name, executable in (("text.txt", True), ("tool.sh", False), ("run.sh", True)):
        assert bool((service / name).stat().st_mode & 0o100) is executable, name
    assert git("diff", cwd=service) == ""


def test_what_git_ignores_stays_with_a_note(service: Path, within: Run, git: Git) -> None:
    git("rm", "-q", "--cached", "local.cfg", cwd=service)
    (service / "local.cfg").write_text("secret\n")
    (service / ".gitignore").write_text("*.log\nlocal.cfg\nadded.txt\n")
    (service / "added.txt").write_text("mine\n")
    commit(service, git)
    done = within("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert "local.cfg is left as it is: your .gitignore ignores it." in done.stdout
    assert (service / "local.cfg").read_text() == "secret\n"
    assert (service / "added.txt").read_text() == "mine\n"


def test_a_new_file_comes_although_gitignore_names_it(service: Path, within: Run, git: Git) -> None:
    """As at first with `perfgen new`: other files of the template need it."""
    (service / ".gitignore").write_text("*.log\nadded.txt\n")
    commit(service, git)
    done = within("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert "your .gitignore" not in done.stdout
    assert git("ls-files", "added.txt", cwd=service).strip() == "added.txt"
    assert (service / "added.txt").is_file()


def test_merge_drivers_of_attributes_are_kept(service: Path, within: Run, git: Git) -> None:
    (service / ".gitattributes").write_text("text.txt merge=union\n")
    (service / "text.txt").write_text(SAME)
    commit(service, git)
    assert within("update", cwd=service).returncode == 0
    assert "mine\ntemplate\n" in (service / "text.txt").read_text()


def test_autocrlf(fresh: Path, tmp_path: Path, within: Run, git: Git, env: dict[str, str]) -> None:
    flags = ("-c", "core.autocrlf=true", "clone", "-q", "-c", "core.autocrlf=true")
    git(*flags, fresh, tmp_path / "clone", cwd=tmp_path)
    service = tmp_path / "clone"
    assert (service / "text.txt").read_bytes() == crlf(TEXT)
    (service / "text.txt").write_bytes(crlf(MINE))
    commit(service, git)
    done = within("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert (service / "text.txt").read_bytes() == crlf(BOTH)
    assert (service / "added.txt").read_bytes() == b"added by the template\r\n"
    assert git("diff", cwd=service) == ""
    assert git("show", ":text.txt", cwd=service) + "\n" == BOTH


def test_smudge_filters_of_the_user(service: Path, within: Run, git: Git) -> None:
    git("config", "filter.shout.smudge", "tr a-z A-Z", cwd=service)
    git("config", "filter.shout.clean", "tr A-Z a-z", cwd=service)
    (service / ".gitattributes").write_text("text.txt filter=shout\n")
    commit(service, git)
    assert within("update", cwd=service).returncode == 0
    assert (service / "text.txt").read_text() == changed(5).upper()
    assert git("diff", cwd=service) == ""
    assert subprocess.check_output(["git", "show", ":text.txt"], cwd=service).decode() == changed(5)


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"smudge": "sh -c 'echo no key >&2; exit 3'", "clean": "cat"}, "no key."),
        ({"smudge": "cat", "clean": "false"}, "external filter 'false' failed 1."),
        ({"process": "not-installed"}, "cannot run not-installed: No such file or directory."),
    ],
    ids=["smudge", "clean", "process"],
)
def test_a_filter_that_fails_is_named(
    service: Path, within: Run, git: Git, filters: dict[str, str], words: str
) -> None:
    """As that of git-lfs, where it is not installed."""
    (service / ".gitattributes").write_text("text.txt filter=shout\n")
    commit(service, git)
    git("config", "filter.shout.required", "true", cwd=service)
    for key, value in filters.items():
        git("config", f"filter.shout.{key}", value, cwd=service)
    (service / "text.txt").touch()
    before = files(service)
    done = within("update", cwd=service)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: Git's filter shout failed for text.txt: {words}\n")
    assert "filter[.]shout[.]" in done.stderr.splitlines()[1]
    assert files(service) == before
    assert not (service / ".git" / "perfgen").exists()


def test_links_in_place_of_gits_own_files(service: Path, within: Run, git: Git) -> None:
    """Git does not follow them, and warns."""
    (service / ".gitignore").unlink()
    (service / ".gitignore").symlink_to("text.txt")
    commit(service, git)
    done = within("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert (service / ".gitignore").is_symlink()


OWN_SETTINGS = "# How many\n#SIZE=12\n# Where\n#PLACE=here\n# How fast\n#SPEED=1\n"


@pytest.mark.parametrize("style", ["diff3", "zdiff3", "merge", "nonsense"])
def test_conflicts_are_written_in_the_users_style(
    service: Path, within: Run, git: Git, style: str
) -> None:
    (service / "text.txt").write_text(SAME)
    (service / ".env.example").write_text(OWN_SETTINGS)
    commit(service, git)
    git("config", "merge.conflictStyle", style, cwd=service)
    done = within("update", cwd=service)
    assert done.returncode == 2, done.stderr
    shown = "diff3" in style
    text, settings = (service / name for name in ("text.txt", ".env.example"))
    base = text.read_text().partition("||||||| ")[2].partition("=======\n")[0]
    assert base.partition("\n")[2] == ("line 5\n" if shown else "")
    before = "||||||| template before\n#SIZE=10\n" if shown else ""
    assert f"<<<<<<< HEAD\n#SIZE=12\n{before}=======\n#SIZE=20\n>>>>>>>" in settings.read_text()
    settings.write_text("#SIZE=30\n")
    text.write_text(changed(5, f"||||||| {base}" if shown else ">>>>>>> template-1.1.0\n"))
    half = within("update", "--continue", cwd=service)
    assert half.returncode == 2
    assert "text.txt still has conflict markers." in half.stderr
    text.write_text(changed(5, "both\n"))
    assert within("update", "--continue", cwd=service).returncode == 0


@pytest.mark.parametrize("folder", ["shop", "."], ids=["subfolder", "top"])
def test_conflicts_are_marked_as_the_attributes_say(
    folder: str, service: Path, tmp_path: Path, within: Run, git: Git
) -> None:
    """Also those of a folder above the service, and of names that mean something in attributes."""
    if folder != ".":
        shutil.rmtree(service / ".git")
        git("init", "-q", cwd=tmp_path)
    top = tmp_path if folder != "." else service
    (top / ".gitattributes").write_text(
        "*.txt conflict-marker-size=12\n.env* conflict-marker-size=9\n"
    )
    files = {name: SAME.encode() for name in ("text.txt", *ODD)}
    for name, content in (files | {".env.example": OWN_SETTINGS.encode()}).items():
        (service / name).write_bytes(content)
    commit(top, git)
    assert within("update", cwd=service).returncode == 2
    for name in files:
        said = (service / name).read_text()
        size = 12 if name.endswith(".txt") else 7
        for letter in "<>":
            assert f"\n{letter * size} " in said, name
    settings = (service / ".env.example").read_text()
    assert "<<<<<<<<< HEAD\n#SIZE=12\n=========\n#SIZE=20\n>>>>>>>>> template\n" in settings
