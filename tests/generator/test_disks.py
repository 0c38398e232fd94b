"""A full disk, a folder that cannot be written, disks between which nothing can be renamed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.generator.killing import NOTHING
from tests.generator.killing import WHOLE
from tests.generator.killing import Edited
from tests.generator.killing import copied
from tests.generator.killing import files
from tests.generator.kinds import Run
from tests.generator.shelf import status
from tests.proofs.harness.table import Table

pytestmark = pytest.mark.proof


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[list[Path]]:
    """Mount points that are unmounted in the end."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount")
    places: list[Path] = []
    yield places
    for place in reversed(places):
        subprocess.run(["umount", "-l", place], check=True)


def mount(places: list[Path], place: Path, *options: str | Path) -> None:
    done = subprocess.run(["mount", *options, place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.strip()}")
    places.append(place)


def test_full_disk(
    edited: Edited,
    tmp_path: Path,
    run: Run,
    env: dict[str, str],
    mounted: list[Path],
    table: Table,
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(mounted, disk, "-t", "tmpfs", "-o", "size=16m", "none")
    codes = []
    for room in range(0, 400, 80):  # kB
        service = Path(shutil.copytree(edited.folder, disk / "shop", symlinks=True))
        free = shutil.disk_usage(disk).free
        (disk / "filler").write_bytes(b"x" * max(0, free - room * 1024))
        done = run("update", cwd=service)
        (disk / "filler").unlink()
        codes.append(done.returncode)
        expected = edited.after if done.returncode == 2 else edited.before
        assert files(service) == expected, (room, done.stderr)
        if done.returncode != 2:
            assert not (service / ".git" / "perfgen").exists(), done.stderr
            assert "Traceback" not in done.stderr
            assert status(service, env) == {"untracked.txt": "??"}
        shutil.rmtree(service)
    assert len(set(codes)) > 1
    whole = codes.count(2)
    assert whole
    found = {"tries": len(codes), "as before": len(codes) - whole, "as after": whole}
    table.tally(WHOLE, "a disk that is full after 0 to 320 kB", found, NOTHING)


def test_a_folder_that_cannot_be_written(
    edited: Edited,
    tmp_path: Path,
    run: Run,
    env: dict[str, str],
    mounted: list[Path],
    table: Table,
) -> None:
    service = copied(edited, tmp_path)
    place = service / "lone"
    mount(mounted, place, "--bind", place)
    subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
    done = run("update", cwd=service)
    assert done.returncode == 1, done.stderr
    assert "lone" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert files(service) == edited.before
    assert not (service / ".git" / "perfgen").exists()
    assert status(service, env) == {"untracked.txt": "??"}
    table.tally(WHOLE, "a folder that cannot be written", {"tries": 1, "as before": 1}, NOTHING)


def test_git_folder_on_another_disk(
    edited: Edited, tmp_path: Path, run: Run, env: dict[str, str], mounted: list[Path]
) -> None:
    """As with a work tree elsewhere: what cannot be renamed is copied."""
    disk, service = tmp_path / "disk", copied(edited, tmp_path)
    disk.mkdir()
    mount(mounted, disk, "-t", "tmpfs", "-o", "size=16m", "none")
    shutil.move(service / ".git", disk / "git")
    (service / ".git").write_text(f"gitdir: {disk / 'git'}\n")
    done = run("update", cwd=service)
    assert done.returncode == 2, done.stderr
    now = files(service)
    assert {name: text for name, text in now.items() if name != ".git"} == edited.after
    assert status(service, env) == edited.status
    assert run("update", "--abort", cwd=service).returncode == 0
    now = files(service)
    assert {name: text for name, text in now.items() if name != ".git"} == edited.before
