"""Few files of the template hold tags, and those few hold few."""

from __future__ import annotations

from pathlib import Path

from tests.template.report import WIRING
from tests.template.report import Record

LOCK = "uv.lock.jinja"
MOST_FILES = 16  # the aim is 12; a workflow, and dashboards that show what two patterns do together
MOST_TAGS = 40


def templated(template: Path) -> dict[str, int]:
    """Every templated file with the number of tags in it."""
    [service] = (template / "template").iterdir()
    return {
        path.relative_to(service).as_posix(): path.read_text("utf-8").count("<%")
        for path in service.rglob("*.jinja")
    }


def test_few_files_are_templated(template: Path, record_property: Record) -> None:
    files = templated(template)
    for path, tags in files.items():
        record_property(WIRING, (path, tags))
    del files[LOCK]
    assert len(files) <= MOST_FILES
    assert max(files.values()) <= MOST_TAGS


def test_every_other_file_is_plain(template: Path) -> None:
    """What is not templated holds no tag, so that it can be linted where it lies."""
    [service] = (template / "template").iterdir()
    for path in service.rglob("*"):
        if path.is_file() and path.suffix not in (".jinja", ".mako"):
            text = path.read_text("utf-8")
            assert "# <%" not in text, path


def test_no_file_is_templated_that_needs_not_be(template: Path) -> None:
    [service] = (template / "template").iterdir()
    for path in service.rglob("*.jinja"):
        text = path.read_text("utf-8")
        assert "<%" in text or "<<" in text, path


def test_copier_yml_names_no_pattern(template: Path) -> None:
    """A new pattern needs no line there; `database` alone has questions of its own."""
    from tests.template.sets import CATALOGUE

    text = (template / "copier.yml").read_text("utf-8")
    code = "\n".join(line.partition("  #")[0] for line in text.splitlines())
    named = {name for name in CATALOGUE.patterns if f"'{name}'" in code or f" {name}:" in code}
    assert named <= {"database"}
