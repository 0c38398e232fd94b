"""The questions, on a terminal."""

import re
import sys
from pathlib import Path

import pexpect
import pytest
import yaml

from maintain import template as source
from tests.generator.kinds import Terminal

DOWN, SPACE, ENTER = "\x1b[B", " ", "\r"


@pytest.fixture
def terminal(env: dict[str, str], small: Path, tmp_path: Path) -> Terminal:
    """perfgen on a terminal of its own."""

    def start(*args: str, **more: str) -> pexpect.spawn:
        command = ["-m", "perfgen", "new", "shop", "--template", str(small), *args]
        return pexpect.spawn(
            sys.executable,
            command,
            cwd=str(tmp_path),
            env=env | {"TERM": "xterm", **more},
            encoding="utf-8",
            timeout=30,
            dimensions=(40, 120),
        )

    return start


def _leaving(*names: str) -> str:
    """The keys that turn off whatever else the standard preset has."""
    catalogue = source.read_catalogue()
    off = set(catalogue.presets["standard"]) - set(names)
    return "".join((SPACE if name in off else "") + DOWN for name in catalogue.menu)


def test_asks_little_and_tells_what_it_will_do(terminal: Terminal, tmp_path: Path) -> None:
    child = terminal()
    child.expect("What it does, in one sentence")
    child.sendcontrol("u")
    child.send("Sells tea\r")
    child.expect("Python that the service runs on")
    child.send(ENTER)
    child.expect("What it needs beyond the core")
    child.expect("Cache: ")
    child.send(_leaving("cache", "docker") + ENTER)
    child.expect("cache brings redis")
    child.expect("patterns  cache, docker .with redis.")
    child.expect("Write .*shop")
    child.send("y")
    child.expect("Created shop")
    child.expect("make run")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    recorded = yaml.safe_load((tmp_path / "shop" / ".copier-answers.yml").read_text("utf-8"))
    assert recorded["description"] == "Sells tea"
    assert recorded["patterns"] == ["cache", "docker"]
    assert "max_replicas" not in recorded


def test_asks_only_what_flags_leave_open_and_again_what_is_wrong(
    terminal: Terminal, tmp_path: Path
) -> None:
    database = ["--preset", "minimal", "--with", "database"]
    child = terminal(*database, "--description", "x", "--python", "3.13")
    child.expect("max_connections of the PostgreSQL server")
    child.sendcontrol("u")
    child.send("7\r")
    child.expect("from 17")
    child.sendcontrol("u")
    child.send("40\r")
    child.expect("Highest number of replicas")
    child.sendcontrol("u")
    child.send("30\r")
    child.expect("do not fit in 40 connections")
    child.sendcontrol("u")
    child.send("2\r")
    child.expect("Write .*shop")
    child.send("n")
    child.expect("nothing was written")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert list(tmp_path.iterdir()) == []


def test_nothing_left_open_nothing_asked(terminal: Terminal, tmp_path: Path) -> None:
    child = terminal("--preset", "minimal", "--description", "x", "--python", "3.13")
    child.expect("Created shop")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize("how", ["ctrl-c", "SIGTERM"])
def test_interrupted_at_a_question(terminal: Terminal, tmp_path: Path, how: str) -> None:
    import signal

    child = terminal()
    child.expect("What it does, in one sentence")
    if how == "ctrl-c":
        child.sendcontrol("c")
    else:
        child.kill(signal.SIGTERM)
    child.expect("nothing was written")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert list(tmp_path.iterdir()) == []


def test_no_colour(terminal: Terminal, tmp_path: Path) -> None:
    def shown(**more: str) -> str:
        child = terminal(**more)
        child.expect("What it does, in one sentence")
        child.sendcontrol("c")
        child.expect(pexpect.EOF)
        return str(child.before)

    colours = re.compile(r"\x1b\[[0-9;]*(3[0-7]|38;[25])[0-9;]*m")
    child = terminal(NO_COLOR="1")
    child.expect("sentence")
    assert not colours.search(child.before)
    child.sendcontrol("c")
    child.expect(pexpect.EOF)
    child = terminal("--with", "cachee", NO_COLOR="1")
    child.expect(pexpect.EOF)
    assert "\x1b" not in child.before
    child = terminal("--with", "cachee")
    child.expect(pexpect.EOF)
    assert "\x1b[31m" in child.before
