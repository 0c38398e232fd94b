"""Killed, interrupted or out of disk at any moment: the tree is as before or as after, and `doctor` clears the rest."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import GONE
from tests.generator.shelf import changed
from tests.generator.shelf import status

SEED = random.randrange(10**6)
PERFGEN = [sys.executable, "-m", "perfgen"]
# Kills itself before the n-th step that changes the user's files or git's, once the change is prepared.
DYING = """
import os, signal, sys
from pathlib import Path
from perfgen import __main__
last, number = int(sys.argv.pop(1)), int(sys.argv.pop(1))
state, count = Path(".git/perfgen"), 0
def dying(name):
    original = getattr(os, name)
    def step(*args, **options):
        global count
        if (state / "draft").exists() or list(state.glob("*.json")):
            count += 1
            if count == last:
                os.kill(os.getpid(), number)
        return original(*args, **options)
    setattr(os, name, step)
for name in ("rename", "replace", "link", "unlink", "mkdir", "rmdir"):
    dying(name)
__main__.main()
"""
STEPS = 130  # more than there are


@dataclass(frozen=True)
class Edited:
    """A service with edits, one of which will be a conflict, as it is before the update and after it."""

    folder: Path
    before: dict[str, bytes]
    after: dict[str, bytes]
    status: dict[str, str]


def files(service: Path) -> dict[str, bytes]:
    """Every file but git's: its executable bit and content."""
    return {
        str(path.relative_to(service)): bytes([path.stat().st_mode >> 6 & 1]) + path.read_bytes()
        for path in sorted(service.rglob("*"))
        if path.is_file() and path.relative_to(service).parts[0] != ".git"
    }


@pytest.fixture(scope="module")
def edited(
    fresh: Path, run: Run, git: Git, env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Edited:
    folder = tmp_path_factory.mktemp("edited")
    service = Path(shutil.copytree(fresh, folder / "before"))
    (service / "text.txt").write_text(changed(5, "mine\n"))
    (service / "gone.txt").write_text(GONE + "mine\n")
    (service / "stays.txt").write_text("mine\n")
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    (service / "untracked.txt").write_text("mine\n")
    other = Path(shutil.copytree(service, folder / "after"))
    assert run("update", cwd=other).returncode == 2
    return Edited(service, files(service), files(other), status(other, env))


def settled(service: Path, edited: Edited, run: Run, env: dict[str, str], said: str) -> str:
    """After `doctor --fix` all is as before or as after; which of them. No other command works until then."""
    killed = (service / ".git" / "perfgen" / "swapping.json").exists()
    if killed and random.random() < 0.3:  # these take their time
        refused = run("add", "tracing", cwd=service)
        assert refused.returncode == 1, said
        assert "An earlier change was killed while it wrote." in refused.stderr, said
        looked = run("doctor", cwd=service)
        assert looked.returncode == 1, said
        assert "doctor --fix" in looked.stdout, said
    run("doctor", "--fix", cwd=service)
    assert not (service / ".git" / "index.lock").exists(), said
    now, shown = files(service), status(service, env)
    if now == edited.before:
        assert shown == {"untracked.txt": "??"}, said
        assert not (service / ".git" / "perfgen").exists(), said
        assert run("doctor", cwd=service).returncode == 0, said
        return "before"
    assert now == edited.after, (said, sorted(now.items() ^ edited.after.items()))
    assert shown == edited.status, said
    undone = run("update", "--abort", cwd=service)
    assert undone.returncode == 0, (said, undone.stderr)
    assert files(service) == edited.before, said
    return "after"


def copied(edited: Edited, tmp_path: Path) -> Path:
    return Path(shutil.copytree(edited.folder, tmp_path / "shop", symlinks=True))


def die(service: Path, env: dict[str, str], step: int, number: int) -> int:
    command = [sys.executable, "-c", DYING, str(step), str(number), "update"]
    return subprocess.run(command, cwd=service, env=env, capture_output=True, timeout=60).returncode


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(number, marks=[] if number in (3, 8) else pytest.mark.slow)
        for number in range(20)
    ],
)
def test_kill_before_every_step(
    edited: Edited, tmp_path: Path, run: Run, env: dict[str, str], first: int
) -> None:
    """Every twentieth of the steps of one run, other ones each time."""
    found = []
    for step in range(1 + first, STEPS, 20):
        service = copied(edited, tmp_path)
        code = die(service, env, step, signal.SIGKILL)
        if code != -signal.SIGKILL:
            assert code == 2
            assert files(service) == edited.after
            break
        found.append(settled(service, edited, run, env, f"step {step}"))
        shutil.rmtree(service)
    assert len(found) > 1
    assert found[0] == "before"


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_signals_wait_for_the_last_step(
    edited: Edited, tmp_path: Path, env: dict[str, str], kind: signal.Signals
) -> None:
    service = copied(edited, tmp_path)
    assert die(service, env, 20, kind) in (2, 130)
    assert files(service) == edited.after


KINDS = ("kill", "term", "ctrl-c")
QUICK, ALL = 6, 40


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=[] if n < QUICK else pytest.mark.slow) for n in range(ALL)],
)
@pytest.mark.parametrize("kind", KINDS)
def test_random_moments(
    edited: Edited, tmp_path: Path, run: Run, env: dict[str, str], kind: str, number: int
) -> None:
    service, temporary = copied(edited, tmp_path), tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [*PERFGEN, "update"],
        cwd=service,
        env=env | {"TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    said = f"seed {SEED}, {kind} {number}"
    _wait(process, service, random.Random(said))
    if process.poll() is None:
        if kind == "kill":
            process.kill()
        elif kind == "term":
            process.terminate()
        else:
            os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    said += f": {process.returncode}\n{errors}"
    if kind != "kill":
        assert list(temporary.iterdir()) == [], said
        expected = edited.after if process.returncode == 2 else edited.before
        assert files(service) == expected, said
        assert process.returncode in (2, 130, -signal.SIGINT, -signal.SIGTERM) or (
            "KeyboardInterrupt" in errors
        ), said
    settled(service, edited, run, env, said)


def _wait(process: "subprocess.Popen[str]", service: Path, chance: random.Random) -> None:
    """Until a random moment: for half of the tries one after it has begun to write."""
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0.02, 2.0))
        return
    while process.poll() is None and not (service / ".git" / "perfgen").exists():
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.08))


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
    full: str,
    rooms: tuple[int, ...],
) -> None:
    """Whoever notices first: perfgen, its git, or copier's."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(mounted, disk, "-t", "tmpfs", "-o", "size=16m", "none")
    codes = set()
    for room in rooms:
        place = disk if full == "service" else tmp_path
        service = Path(shutil.copytree(edited.folder, place / "shop", symlinks=True))
        temporary = (tmp_path if full == "service" else disk) / "tmp"
        temporary.mkdir(exist_ok=True)
        free = shutil.disk_usage(disk).free
        (disk / "filler").write_bytes(b"x" * max(0, free - room * 1024))
        done = run("update", cwd=service, env_more={"TMPDIR": str(temporary)})
        (disk / "filler").unlink()
        codes.add(done.returncode)
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
    assert codes == {1, 2}


def test_a_folder_that_cannot_be_written(
    edited: Edited, tmp_path: Path, run: Run, env: dict[str, str], mounted: list[Path]
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
