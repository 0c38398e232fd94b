"""Conflict markers: none that git wrote passes `perfgen check`, and what only looks like them does."""

from pathlib import Path

import pytest

from perfgen.markers import conflicted
from tests.generator.kinds import Git
from tests.generator.kinds import Run
from tests.generator.test_check import CONFLICT
from tests.generator.test_check import problems

CODE, PROSE = "app/main.py", "docs/How to.md"
FENCED = f"# How to\n\n```\n{CONFLICT}```\n"


def sized(size: int, text: str = CONFLICT) -> str:
    """The same with markers of another size."""
    for letter in "<=>|":
        text = text.replace(letter * 7, letter * size)
    return text


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        (CONFLICT, CODE, True),
        (CONFLICT, PROSE, True),
        (CONFLICT.replace("\n", "\r\n"), CODE, True),
        (FENCED, PROSE, False),
        (FENCED, CODE, True),
        (f"```\ncode\n```\n{CONFLICT}", PROSE, True),
        ("<<<<<<< HEAD\n```\n=======\n```\n>>>>>>> other\n", PROSE, True),
        ("```\n<<<<<<< HEAD\n=======\n```\n>>>>>>> other\n", PROSE, True),
        ("".join(f"    {line}\n" for line in CONFLICT.splitlines()), PROSE, False),
        # what is left of one
        ("<<<<<<< HEAD\none\ntwo\n", CODE, True),
        ("one\n=======\ntwo\n", CODE, True),
        ("one\r\n=======\r\ntwo\r\n", CODE, True),
        ("one\n||||||| 1234567\ntwo\n", CODE, True),
        ("one\ntwo\n>>>>>>> other\n", CODE, True),
        ("one\ntwo\n>>>>>>> other\n", PROSE, True),
        ("one = 1\n=======\none = 2\n", CODE, True),
        ("=======\n", CODE, True),
        # titles, and lines that only look like it
        ("Title\n=======\n", PROSE, False),
        ("=======\nTitle\n=======\n", "README.rst", False),
        ('"""Caching\n=======\n"""\n', CODE, True),
        ('"""\nCaching\n=======\n"""\n', CODE, False),
        ('"""\n=======\nKäufers\n=======\n"""\n', CODE, False),
        ("CREDITS\n=======\n", "CREDITS", False),
        ("    return\n=======\n", CODE, True),
        ("one\n========\ntwo\n====== \n", CODE, False),
        ("a <<<<<<< b\n ======= \n <<<<<<< b\n<<<<<<<b\n>>>>>>>>> deep\n", CODE, False),
        (">>>>>>>> a\n========\n<<<<<<<< b\n", CODE, False),
        # longer ones, whole
        (sized(8), CODE, True),
        (sized(32), PROSE, True),
        (sized(32).replace("=" * 32, "=" * 31), CODE, False),
        (sized(6), CODE, False),
    ],
)
def test_what_counts(text: str, path: str, *, expected: bool) -> None:
    assert conflicted(text.encode(), path) is expected


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        (sized(4), 4, True),
        (sized(12), 12, True),
        (sized(14), 12, True),
        ("one\n" + "=" * 12 + "\ntwo\n", 12, True),
        (CONFLICT, 12, False),  # such a file may show some
        ("one\n=======\ntwo\n", 12, False),
    ],
)
def test_the_size_is_that_of_the_attributes(text: str, size: int, *, expected: bool) -> None:
    assert conflicted(text.encode(), CODE, size) is expected


def test_what_was_in_conflict_may_not_show_any() -> None:
    assert conflicted(FENCED.encode(), PROSE, may_show=False)
    assert not conflicted(b"Title\n=======\n", PROSE, may_show=False)


def test_check_reads_the_attributes(within: Run, service: Path, git: Git) -> None:
    (service / ".gitattributes").write_text(
        "*.one conflict-marker-size=4\n*.two conflict-marker-size=20\n*.three conflict-marker-size\n"
    )
    texts = {
        "a file.one": sized(4),
        "b.one": "one\n====\ntwo\n",
        "c.two": sized(20),
        "d.two": CONFLICT,
        "e.three": CONFLICT,
        "f.py": sized(9),
        "g.py": "one\r\n=======\r\ntwo\r\n",
        "h.py": sized(4),
    }
    for name, text in texts.items():
        (service / name).write_bytes(text.encode())
    git("add", "-A", cwd=service)
    told = [
        line.split(" has ")[0].removeprefix("conflicts: ") for line in problems(within, service)
    ]
    assert told == ["a file.one", "b.one", "c.two", "e.three", "f.py", "g.py"]
