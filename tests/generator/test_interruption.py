"""Ctrl-C, SIGTERM and SIGHUP at any moment leave the whole service or nothing at all."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

TRIES = int(os.environ.get("INTERRUPTIONS", "8"))
SEED = random.randrange(10**6)


def start(folder: Path, env: dict[str, str], template: Path, *more: str) -> subprocess.Popen[str]:
    """`perfgen new shop`, as the first of its process group."""
    command = [sys.executable, "-m", "perfgen", "new", "shop", "--defaults"]
    return subprocess.Popen(
        [*command, "--template", str(template), *more],
        cwd=folder,
        env=env | {"TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def duration(
    env: dict[str, str], template: Path, tmp_path_factory: pytest.TempPathFactory
) -> float:
    """How long it takes when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tmp").mkdir()
    begin = time.monotonic()
    process = start(folder, env, template)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return time.monotonic() - begin


@pytest.mark.parametrize("number", range(TRIES))
@pytest.mark.parametrize("kind", ["Ctrl-C", "SIGTERM"])
def test_the_whole_service_or_nothing(
    env: dict[str, str], template: Path, tmp_path: Path, duration: float, kind: str, number: int
) -> None:
    (tmp_path / "tmp").mkdir()
    moment = random.Random(f"{SEED} {kind} {number}").uniform(0.03, duration * 1.1)
    process = start(tmp_path, env, template)
    time.sleep(moment)
    if process.poll() is None:
        if kind == "Ctrl-C":  # reaches git and all other children as well
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
    out, errors = process.communicate(timeout=60)
    said = f"seed {SEED}, {kind} after {moment:.3f} s: {process.returncode}\n{out}\n{errors}"
    left = sorted(path.name for path in tmp_path.iterdir() if path.name != "tmp")
    assert list((tmp_path / "tmp").iterdir()) == [], said
    if process.returncode == 0:
        assert left == ["shop"], said
        check = ["git", "status", "--porcelain"]
        assert subprocess.check_output(check, cwd=tmp_path / "shop", env=env) == b"", said
    else:
        # Before Python has got as far as our first line, a signal ends it in its own way.
        early = (
            process.returncode in (-signal.SIGINT, -signal.SIGTERM) or "KeyboardInterrupt" in errors
        )
        assert process.returncode == 130 or (early and moment < 0.4), said
        assert left == [], said
    if process.returncode == 130:
        assert errors.strip().splitlines()[-1].endswith("Interrupted; nothing was written."), said


def test_the_exit_code_is_130_also_from_within_exec(env: dict[str, str]) -> None:
    """As where a dataclass is made: CPython ends by SIGINT after a plain KeyboardInterrupt there."""
    script = """
import perfgen.cli
from perfgen import __main__
perfgen.cli.run = lambda args: exec("import os; os.kill(os.getpid(), 15)")
__main__.main()
"""
    command = [sys.executable, "-c", script, "patterns"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130, done
    assert done.stderr.strip() == "Interrupted; nothing was written."


def test_every_step_can_be_interrupted(small: Path, tmp_path: Path, env: dict[str, str]) -> None:
    """A signal before every third process that perfgen and copier start, another third each time."""
    script = """
import os, signal, subprocess, sys
from perfgen import __main__
target, count = int(sys.argv.pop(1)), 0
start = subprocess.Popen.__init__
def counted(*args, **options):
    global count
    count += 1
    if count == target:
        os.kill(os.getpid(), signal.SIGTERM)
    return start(*args, **options)
subprocess.Popen.__init__ = counted
__main__.main()
"""
    (tmp_path / "tmp").mkdir()
    place = tmp_path / "place"
    place.mkdir()
    for number in range(1 + SEED % 3, 60, 3):
        command = [sys.executable, "-c", script, str(number), "new", "shop", "--defaults"]
        done = subprocess.run(
            [*command, "--preset", "minimal", "--template", str(small)],
            cwd=place,
            env=env | {"TMPDIR": str(tmp_path / "tmp")},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert list((tmp_path / "tmp").iterdir()) == []
        if done.returncode == 0:
            break
        assert done.returncode == 130, (number, done.stderr)
        assert list(place.iterdir()) == [], number
    assert number > 10
    assert [path.name for path in place.iterdir()] == ["shop"]


def test_a_second_signal_does_not_disturb_the_cleaning(tmp_path: Path) -> None:
    script = """
import os, signal, sys, time
from pathlib import Path
from perfgen import signals, staging
signals.install()
def work(folder):
    for number in range(2000):
        (folder / str(number)).write_text("x")
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
rmtree = staging.shutil.rmtree
def slow(*args, **options):
    os.kill(os.getpid(), signal.SIGTERM)
    rmtree(*args, **options)
    os.kill(os.getpid(), signal.SIGINT)
staging.shutil.rmtree = slow
try:
    staging.staged(Path.cwd(), ".x-", work)
except KeyboardInterrupt:
    sys.exit(130)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True)
    assert done.returncode == 130, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_temporary_folder_is_inside_and_given_back(tmp_path: Path) -> None:
    from perfgen.staging import staged

    before = tempfile.gettempdir()
    seen = staged(tmp_path, ".x-", lambda folder: Path(tempfile.mkdtemp()).is_relative_to(folder))
    assert seen
    assert tempfile.gettempdir() == before
    assert list(tmp_path.iterdir()) == []
