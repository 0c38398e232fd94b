"""The kept text of `perfgen --help`, beside what Typer prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from maintain.overview import printed
from perfgen.cli import COMMANDS
from tests.generator.kinds import Run


@pytest.mark.parametrize("columns", [60, 79, 80, 200])
def test_the_help_is_what_typer_prints(run: Run, tmp_path: Path, columns: int) -> None:
    for args in ([], ["-h"], ["--help"]):
        done = run(*args, cwd=tmp_path, env_more={"COLUMNS": str(columns)})
        assert (done.stdout, done.stderr, done.returncode) == (printed(columns), "", 0)


def test_the_text_needs_no_typer(env: dict[str, str]) -> None:
    for columns, wanted in (("80", False), ("79", True)):
        command = [sys.executable, "-X", "importtime", "-m", "perfgen", "--help"]
        done = subprocess.run(
            command, env=env | {"COLUMNS": columns}, capture_output=True, text=True
        )
        assert ("typer" in done.stderr) is wanted
        assert ("perfgen.overview" in done.stderr) is True


def test_a_shell_that_completes_is_answered_by_typer(run: Run, tmp_path: Path) -> None:
    asked = {"_PERFGEN_COMPLETE": "complete_bash", "COMP_WORDS": "perfgen ", "COMP_CWORD": "1"}
    done = run(cwd=tmp_path, env_more=asked)
    assert done.stdout.split() == list(COMMANDS)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["--help", "new --help", "patterns", "patterns --json"])
def test_what_cannot_be_written_is_told_in_a_sentence(
    env: dict[str, str], command: str, unbuffered: str
) -> None:
    def run(stdout: int) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "perfgen", *command.split()],
            env=env | {"PYTHONUNBUFFERED": unbuffered},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        return done.returncode, done.stderr

    with Path("/dev/full").open("w") as full:
        assert run(full.fileno()) == (1, "Error: No space left on device.\n")
    reader, nobody_reads = os.pipe()
    os.close(reader)
    assert run(nobody_reads) == (1, "")
    os.close(nobody_reads)


def test_the_nearest_command_is_named(run: Run, tmp_path: Path) -> None:
    done = run("ad", "cache", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No such command 'ad'. Did you mean 'add'?")
