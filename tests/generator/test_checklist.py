"""docs/checklist.md: every heading of the checklist has a pattern, and what the table names is there."""

from pathlib import Path

import pytest

from maintain import template

HEADINGS = {
    "Caching Strategies": ("Redis Caching", "Cache-Aside Pattern", "Application-Level Caching"),
    "Database Performance": ("Connection Pooling", "Query Optimization", "Batch Operations"),
    "API Optimization": (
        "Response Compression",
        "Pagination",
        "Field Selection",
        "Partial Responses",
    ),
    "Background Jobs": ("Bull Queue", "Scheduled Jobs"),
    "Memory Management": ("Stream Processing", "Memory Leaks"),
    "Profiling and Monitoring": ("Application Metrics", "Performance Monitoring"),
    "Scalability Patterns": ("Horizontal Scaling", "Load Balancing", "Rate Limiting by User"),
}
PRINCIPLES = (
    "Cache frequently accessed data",
    "Use connection pooling",
    "Optimize database queries",
    "Implement pagination",
    "Process tasks asynchronously",
    "Monitor and profile regularly",
    "Scale horizontally when possible",
    "Handle backpressure properly",
)


def rows(root: Path) -> list[list[str]]:
    """The cells of both tables."""
    lines = (root / "docs" / "checklist.md").read_text("utf-8").splitlines()
    tables = (line.strip("|").split("|") for line in lines if line.startswith("|"))
    cells = [[cell.strip() for cell in row] for row in tables]
    return [row for row in cells if row[0] not in ("heading", "principle", "---")]


def test_every_heading_has_its_row_once(root: Path) -> None:
    wanted = [f"{part} / {name}" for part, names in HEADINGS.items() for name in names]
    assert [row[0] for row in rows(root)] == [*wanted, *PRINCIPLES]


def test_the_patterns_are_in_the_catalogue(root: Path) -> None:
    known = template.read_catalogue(root).patterns.keys()
    for heading, patterns, *_ in rows(root):
        named = {name.strip(" `") for name in patterns.split(",")}
        assert named <= known, heading


@pytest.mark.parametrize("column", [2, 3], ids=["code", "proof"])
def test_what_is_named_is_there(root: Path, column: int) -> None:
    for row in rows(root):
        name = row[column].strip("`")
        service = column == 2 or name.startswith("service: ")
        place = root / "template" / "<<project>>" if service else root
        path = place / name.removeprefix("service: ")
        assert path.is_file(), row
        if column == 3:
            assert "\ndef test_" in path.read_text() or "\nasync def test_" in path.read_text(), row
