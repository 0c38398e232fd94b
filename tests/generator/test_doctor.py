"""`perfgen doctor` names what is wrong, and clears what was left behind."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import everything


def findings(run: Run, service: Path, *more: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = run("doctor", "--json", *more, cwd=service)
    told = json.loads(done.stdout)
    assert told["sound"] is (done.returncode == 0)
    return done.returncode, {one["what"]: one for one in told["findings"] if not one["sound"]}


def test_all_is_well(service: Path, run: Run) -> None:
    before = everything(service)
    done = run("doctor", cwd=service / "app")
    assert done.returncode == 0, done.stdout
    for what in ("git", "Python", "uv", "store", "earlier change", "service", "template", "tree"):
        assert f"ok       {what}: " in done.stdout
    assert everything(service) == before


def test_a_dirty_tree(service: Path, run: Run) -> None:
    (service / "text.txt").write_text("mine\n")
    code, wrong = findings(run, service)
    assert code == 1
    assert list(wrong) == ["tree"]
    assert "git stash" in wrong["tree"]["remedy"]


def test_a_source_that_is_away(service: Path, run: Run, git: Git) -> None:
    answers = service / ".copier-answers.yml"
    lines = [line for line in answers.read_text().splitlines() if not line.startswith("_src_path")]
    answers.write_text("\n".join([*lines, "_src_path: /nowhere"]) + "\n")
    git("commit", "-q", "-a", "-m", "moved", cwd=service)
    assert "is not on this machine: /nowhere" in findings(run, service)[1]["template"]["says"]


def test_no_service(tmp_path: Path, run: Run) -> None:
    assert "There is no .copier-answers.yml" in findings(run, tmp_path)[1]["service"]["says"]


@pytest.mark.parametrize("old", [True, False])
def test_what_a_killed_new_left(service: Path, run: Run, old: bool) -> None:
    left = service.parent / ".shop.perfgen-abc"
    left.mkdir()
    if old:
        day = time.time() - 2 * 24 * 3600
        os.utime(left, (day, day))
    assert str(left) in findings(run, service)[1]["leftover"]["says"]
    code, _ = findings(run, service, "--fix")
    assert (code, left.exists()) == ((0, False) if old else (1, True))


def test_what_was_prepared_and_never_used(service: Path, run: Run) -> None:
    state = service / ".git" / "perfgen"
    (state / "new").mkdir(parents=True)
    assert "killed before it began to write" in findings(run, service)[1]["earlier change"]["says"]
    shutil.copytree(service, service.parent / "other")
    assert findings(run, service, "--fix") == (0, {})
    assert not state.exists()
    # and no other command minds
    assert run("add", "tracing", cwd=service.parent / "other").returncode == 0


def test_a_lock_of_git(service: Path, run: Run) -> None:
    (service / ".git" / "index.lock").write_text("")
    assert "index.lock is there" in findings(run, service)[1]["lock"]["says"]


def test_a_damaged_record(service: Path, run: Run) -> None:
    state = service / ".git" / "perfgen"
    state.mkdir()
    (state / "landed.json").write_text("{")
    done = run("update", cwd=service)
    assert done.returncode == 1
    assert "is damaged" in done.stderr
    assert (state / "landed.json").exists()
