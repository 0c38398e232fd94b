"""The documentation as a site: python -m maintain.site writes its sources to build/docs and builds build/docs/site.

The Markdown of the repository is taken as it is, but for links: those to other pages follow these to their place, those
to files that are no pages become plain text.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from pathlib import PurePosixPath

import yaml

from maintain import pages
from perfgen import contents
from perfgen.catalogue import Catalogue

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "docs"
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "bench/README.md": "bench.md",
}
# The order of the menu: what a reader needs first. Decisions and patterns are sections of their own.
MENU = (
    "index.md",
    "checklist.md",
    "updates.md",
    "a-year-later.md",
    "benchmarks.md",
    "bench.md",
    "changelog.md",
    "contributing.md",
)
_ITEM = re.compile(r"([-*]|\d+\.) ")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")  # images stay as they are


def places(root: Path) -> dict[str, str]:
    """Every page that is a file of the repository: its path there, and its path in the site."""
    docs = root / "docs"
    found = {
        path.relative_to(root).as_posix(): re.sub(
            r"README\.md$", "index.md", path.relative_to(docs).as_posix()
        )
        for path in sorted(docs.rglob("*.md"))
    }
    return OUTSIDE | found


def relinked(text: str, source: str, where: dict[str, str]) -> str:
    """`text` of the file `source` with its links as the site has them."""

    def link(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        path = os.path.normpath(PurePosixPath(source).parent / target)
        if path not in where:
            return words
        here = PurePosixPath(where[source]).parent
        return f"[{words}]({os.path.relpath(where[path], here)}{anchor})"

    return _LINK.sub(link, text)


def spaced(text: str) -> str:
    """With an empty line before each list that follows a paragraph: GitHub sees the list anyway, this site does not."""
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        earlier = lines[-1] if lines else ""
        if (
            _ITEM.match(line)
            and earlier
            and not fenced
            and not earlier.startswith((" ", *"-*|0123456789"))
        ):
            lines.append("")
        fenced ^= line.startswith("```")
        lines.append(line)
    return "\n".join(lines)


def navigation(written: list[str]) -> list[object]:
    """The menu for these pages: each must be in it."""
    sections = {
        name: sorted((page for page in written if page.startswith(f"{name}/")), key=_index_first)
        for name in ("patterns", "decisions")
    }
    menu: list[object] = [page for page in MENU if page in written]
    left = {page for page in written if "/" not in page} - set(MENU)
    menu[2:2] = [{"Patterns": sections["patterns"]}]
    return [*menu, *sorted(left), {"Decisions": sections["decisions"]}]


def _index_first(page: str) -> tuple[bool, str]:
    return not page.endswith("index.md"), page


def write(root: Path, build: Path) -> None:
    """Write the sources of the site for the repository at `root` to `build`, anew."""
    shutil.rmtree(build, ignore_errors=True)
    where = places(root)
    texts = {where[path]: relinked((root / path).read_text(), path, where) for path in where}
    texts |= _patterns(root)
    for name, text in texts.items():
        target = build / "pages" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(spaced(text))
    for image in sorted((root / "docs").rglob("*.svg")):
        target = build / "pages" / image.relative_to(root / "docs")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image, target)
    config = (root / "docs" / "zensical.toml").read_text()
    menu = ", ".join(_toml(entry) for entry in navigation(sorted(texts)))
    (build / "zensical.toml").write_text(
        re.sub(r"(?m)^nav = .*$", lambda _: f"nav = [{menu}]", config)
    )


def _toml(entry: object) -> str:
    if isinstance(entry, dict):
        ((title, inside),) = entry.items()
        return f"{{ {json.dumps(title)} = {json.dumps(inside)} }}"
    return json.dumps(entry)


def _patterns(root: Path) -> dict[str, str]:
    catalogue = Catalogue(
        yaml.safe_load(path.read_text()) for path in sorted((root / "patterns").glob("*.yml"))
    )
    service = root / "template" / "<<project>>"
    files = {
        contents.relative(path.relative_to(root).as_posix()): path.read_bytes()
        for path in sorted(service.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    index = "\n".join(["# Patterns", "", *pages.index(catalogue)]) + "\n"
    return {"patterns/index.md": index} | {
        f"patterns/{pattern.name}.md": pages.page(pattern, catalogue, files)
        for pattern in catalogue
    }


def build(root: Path, to: Path) -> int:
    """Build the site of the repository at `root` below `to`; the exit code. A warning is an error."""
    write(root, to)
    zensical = Path(sys.executable).with_name("zensical")
    command = [str(zensical), "build", "--clean", "--strict", "-f", str(to / "zensical.toml")]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(build(ROOT, BUILD))
