"""Git as the owner has set it: attributes, filters, line ends, what it ignores, executable bits."""

import subprocess
from pathlib import Path

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.owner import BOTH
from tests.generator.owner import MINE
from tests.generator.owner import SAME
from tests.generator.owner import TEXT
from tests.generator.owner import commit
from tests.generator.owner import crlf
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


def test_links_in_place_of_gits_own_files(service: Path, within: Run, git: Git) -> None:
    """Git does not follow them, and warns."""
    (service / ".gitignore").unlink()
    (service / ".gitignore").symlink_to("text.txt")
    commit(service, git)
    done = within("update", cwd=service)
    assert done.returncode == 0, done.stderr
    assert (service / ".gitignore").is_symlink()
