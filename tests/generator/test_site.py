"""The documentation as a site: it builds without a warning, and every link between its pages leads somewhere."""

import re
import shutil
from pathlib import Path

import pytest

from maintain import site


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """What the site is made of, to be changed."""
    for name in ("docs", "patterns", "template", "bench"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(root / name, tmp_path)
    return tmp_path


def test_builds_without_a_warning_and_has_a_page_for_each_pattern(copy: Path) -> None:
    built = copy / "build" / "docs"
    assert site.build(copy, built) == 0
    for manifest in (copy / "patterns").glob("*.yml"):
        page = built / "site" / "patterns" / manifest.stem / "index.html"
        assert (
            f"perfgen add {manifest.stem}" in page.read_text()
            or "every service" in page.read_text()
            or "when required" in page.read_text()
        )
    for page in (built / "site").rglob("index.html"):
        for target in re.findall(r'href="([^":#?]+)["#?]', page.read_text()):
            place = (page.parent / target).resolve()
            assert (place / "index.html").is_file() or place.is_file(), (page, target)


def test_a_link_to_nowhere_fails_the_build(copy: Path) -> None:
    page = copy / "docs" / "updates.md"
    page.write_text(page.read_text() + "\n[gone](a-year-later.md#no-such-part)\n")
    assert site.build(copy, copy / "build" / "docs") != 0


def test_links_lead_to_pages_or_nowhere() -> None:
    where = {
        "README.md": "index.md",
        "docs/updates.md": "updates.md",
        "docs/decisions/1.md": "decisions/1.md",
    }
    text = (
        "[a](docs/updates.md#x) [b](https://a.example/b.md) [c](Makefile) [d](docs/decisions/1.md)"
    )
    assert site.relinked(text, "README.md", where) == (
        "[a](updates.md#x) [b](https://a.example/b.md) c [d](decisions/1.md)"
    )
    assert (
        site.relinked("[up](../updates.md)", "docs/decisions/1.md", where) == "[up](../updates.md)"
    )
    assert site.relinked("[home](../README.md)", "docs/updates.md", where) == "[home](index.md)"


def test_lists_are_seen_as_lists() -> None:
    assert site.spaced("So:\n- a\n- b\n  c\n- d") == "So:\n\n- a\n- b\n  c\n- d"
    assert site.spaced("```\nSo:\n- a\n```") == "```\nSo:\n- a\n```"
