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


@pytest.mark.parametrize(
    ("full", "rooms"),
    [
        ("service", (0, 16, 48, 80, 112, 128, 160, 320)),  # kB
        ("temporary folder", (8, 40, 80, 120, 200, 360, 440, 520, 600, 1500)),
    ],
)
def test_full_disk(
    edited: Edited,
    tmp_path: Path,
    run: Run,
    env: dict[str, str],
    mounted: list[Path],
    table: Table,
    full: str,
    rooms: tuple[int, ...],
) -> None:
    """Whoever notices first: perfgen, its git, or copier's."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(mounted, disk, "-t", "tmpfs", "-o", "size=16m", "none")
    codes = []
    for room in rooms:
        place = disk if full == "service" else tmp_path
        service = Path(shutil.copytree(edited.folder, place / "shop", symlinks=True))
        temporary = (tmp_path if full == "service" else disk) / "tmp"
        temporary.mkdir(exist_ok=True)
        free = shutil.disk_usage(disk).free
        (disk / "filler").write_bytes(b"x" * max(0, free - room * 1024))
        done = run("update", cwd=service, env_more={"TMPDIR": str(temporary)})
        (disk / "filler").unlink()
        codes.append(done.returncode)
        assert list(temporary.iterdir()) == []
        expected = edited.after if done.returncode == 2 else edited.before
        assert files(service) == expected, (room, done.stderr)
        if done.returncode != 2:
            assert done.returncode == 1, (room, done.stderr)
            assert "No space left on device" in done.stderr
            assert len(done.stderr.splitlines()) <= 2, done.stderr
            assert not (service / ".git" / "perfgen").exists(), done.stderr
            assert status(service, env) == {"untracked.txt": "??"}
        shutil.rmtree(service)
    assert set(codes) == {1, 2}
    whole = codes.count(2)
    found = {"tries": len(codes), "as before": len(codes) - whole, "as after": whole}
    table.tally(
        WHOLE,
        f"a disk of the {full} that is full after {rooms[0]} to {rooms[-1]} kB",
        found,
        NOTHING,
    )


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
