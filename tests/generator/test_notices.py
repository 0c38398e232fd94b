"""What the user is told after an update, and `.env.example` by its keys."""

import json
from pathlib import Path

import pytest

from perfgen.notices import entries
from perfgen.settingsfile import merge
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.shelf import make
from tests.generator.shelf import new
from tests.generator.shelf import second

CHANGELOG = """# Changelog

## 1.2.0 (2026-12-01)

Of 1.2.

## 1.1.0

Of 1.1.

### Details
- more

## [v1.0.0]

Of 1.0.
"""


def test_told_in_order(root: Path, within: Run, git: Git, tmp_path: Path) -> None:
    shelf = make(tmp_path / "source", root, git)
    (shelf.folder / "CHANGELOG.md").write_text(CHANGELOG)
    shelf.release("v1.2.0", second())
    service = new(within, shelf, tmp_path)
    (service / "uv.lock").write_text("version = 1\nmine\n")
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    done = within("update", cwd=service)
    assert done.returncode == 0, done.stderr
    parts = [
        "## 1.2.0 (2026-12-01)\n\nOf 1.2.\n\n## 1.1.0\n\nOf 1.1.",
        "New settings, see .env.example: LENGTH, LAST",
        "Settings that are gone: SPEED",
        "New migrations, run `make migrate`: migrations/versions/database/0002_second.py",
        "run `make lock` (uv lock)\n\nNext:\n  git commit -m",
    ]
    places = [done.stdout.index(part) for part in parts]
    assert places == sorted(places)
    assert "Of 1.0." not in done.stdout
    assert within("update", "--abort", cwd=service).returncode == 0
    told = json.loads(within("update", "--to", "1.1.0", "--json", cwd=service).stdout)["notices"]
    assert told["changelog"] == ""  # that version has none
    assert told["new_settings"] == ["LENGTH", "LAST"]
    assert told["lock"] is True


def test_what_is_left_to_run_is_told_again_after_conflicts(
    root: Path, within: Run, git: Git, tmp_path: Path
) -> None:
    shelf = make(tmp_path / "source", root, git)
    service = new(within, shelf, tmp_path)
    (service / "uv.lock").write_text("version = 1\nmine\n")
    (service / "text.txt").write_text("mine\n")
    git("commit", "-q", "-a", "-m", "mine", cwd=service)
    assert within("update", cwd=service).returncode == 2
    (service / "text.txt").write_text("both\n")
    done = within("update", "--continue", cwd=service)
    assert done.returncode == 0, done.stderr
    assert "run `make migrate`: migrations/versions/database/0002_second.py" in done.stdout
    assert "run `make lock` (uv lock)\n\nNext:" in done.stdout


@pytest.mark.parametrize(
    ("after", "until", "expected"),
    [
        ("1.0.0", "1.2.0", ["1.2", "1.1"]),
        ("1.1.0", "1.2.0", ["1.2"]),
        ("1.0.0", "1.1.0", ["1.1"]),
        ("1.2.0", "1.2.0", []),
        ("1.2.0.dev3+gabc", "1.2.0", ["1.2"]),
        ("1.1.0", "1.2.0.dev4+gabc", ["1.2"]),
        ("abcdef", "1.2.0", []),
    ],
)
def test_entries_between(after: str, until: str, expected: list[str]) -> None:
    told = entries(CHANGELOG, after, until)
    assert [name for name in ("1.2", "1.1", "1.0") if f"Of {name}." in told] == expected


# ruff: noqa: E501 (a table is read by its rows)
BASE = "# Head\n\n# How many\n#SIZE=10\n# Where\n#PLACE=here\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        (BASE, BASE.replace("10", "20"), BASE.replace("10", "20")),
        (BASE.replace("#SIZE=10", "SIZE=5"), BASE.replace("here", "there"), BASE.replace("#SIZE=10", "SIZE=5").replace("here", "there")),
        (BASE + "# mine\nOWN=1\n", BASE + "# new\n#NEW=1\n", BASE + "# new\n#NEW=1\n# mine\nOWN=1\n"),
        # the user has the key already, with the same value
        (BASE + "#NEW=1\n", BASE.replace("# Where", "# new\n#NEW=1\n# Where"), BASE + "#NEW=1\n"),
        # what the template takes out goes, but not what the user wrote above it, or as its value
        ("# Head\n\n# own words\n#SIZE=10\n# Where\n#PLACE=here\n", "# Where\n#PLACE=here\n", "# Head\n\n# own words\n# Where\n#PLACE=here\n"),
        (BASE.replace("#SIZE=10", "SIZE=5"), "# Where\n#PLACE=here\n", BASE.replace("#SIZE=10", "SIZE=5")),
        # what the user took out stays out
        ("# Where\n#PLACE=here\n", BASE.replace("10", "20"), "# Where\n#PLACE=here\n"),
        (BASE + "tail", BASE.replace("# Where", "# In which place"), BASE.replace("# Where", "# In which place") + "tail"),
    ],
)  # fmt: skip
def test_settings_by_key(ours: str, theirs: str, merged: str) -> None:
    result = merge(BASE, ours, theirs)
    assert result.text == merged
    assert not result.conflict


def test_settings_that_both_changed() -> None:
    result = merge(BASE, BASE.replace("#SIZE=10", "SIZE=5"), BASE.replace("10", "20"))
    assert result.conflict
    assert "<<<<<<< HEAD\nSIZE=5\n=======\n#SIZE=20\n>>>>>>> template\n# Where\n" in result.text
