"""The README's table of patterns, generated from `patterns/`.

python -m maintain.readme           write the table into README.md
python -m maintain.readme --check   exit 1 when it is not what the manifests say
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- patterns: begin -->", "<!-- patterns: end -->"


def rows(manifests: list[dict[str, Any]]) -> list[str]:
    """One line a pattern: the core first, then what can be asked for."""
    ordered = sorted(manifests, key=lambda m: (not m["core"], m["name"]))
    lines = ["| pattern | gives the service | brings along | in |", "|---|---|---|---|"]
    for manifest in ordered:
        asked = ", ".join(manifest["presets"]) or "when required"
        where = "every service" if manifest["core"] else asked
        needs = ", ".join(f"`{name}`" for name in manifest["requires"])
        lines.append(f"| `{manifest['name']}` | {manifest['help']} | {needs} | {where} |")
    return lines


def with_table(readme: str, table: list[str]) -> str:
    """The README with this table between its markers; ValueError when it has none."""
    block = "\n".join([BEGIN, "", *table, "", END])
    new, found = re.subn(
        f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, readme, flags=re.DOTALL
    )
    if found != 1:
        raise ValueError(f"README.md needs one pair of {BEGIN} and {END}")
    return new


def main() -> int:
    """Write the table, or say that it is out of date."""
    parser = argparse.ArgumentParser(prog="python -m maintain.readme")
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    manifests = [yaml.safe_load(p.read_text()) for p in sorted((ROOT / "patterns").glob("*.yml"))]
    path = ROOT / "README.md"
    old = path.read_text()
    new = with_table(old, rows(manifests))
    if arguments.check:
        if new != old:
            print("README.md: the table of patterns is out of date: make docs", file=sys.stderr)
        return int(new != old)
    path.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
