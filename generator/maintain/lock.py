"""`make lock`: bring template/<<project>>/uv.lock.jinja up to date, and prove it before it is kept.

    python -m maintain.lock [--upgrade]

Needs the network, or a cache that holds what the patterns require.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from maintain import template
from maintain import uv
from maintain.graph import Section
from maintain.locktemplate import lock_template
from perfgen.catalogue import Catalogue

LOCK = Path("template", "<<project>>", "uv.lock.jinja")
HOSTS = {"https://pypi.org", "https://files.pythonhosted.org"}
EVERY_SUBSET_UP_TO = 6  # patterns; beyond that each one and each pair


class LockError(Exception):
    """The lock cannot be kept; `str()` says why."""


def make_lock(source: Path, work: Path, *, upgrade: bool = False) -> str:
    """Lock a service with every pattern and write the lock template into the template `source`.

    Versions stay as they are unless `upgrade`. Returns what was made. UvError, LockError.
    """
    catalogue = template.read_catalogue(source)
    (source / LOCK).touch()  # a first lock has none to start from
    everything = template.render(source, work / "everything", catalogue.menu)
    nothing = template.render(source, work / "nothing", [])
    if not (everything / "uv.lock").read_text().strip():
        (everything / "uv.lock").unlink()
    uv.lock(everything, upgrade=upgrade)
    text = (everything / "uv.lock").read_text()
    refuse_other_hosts(text)
    made = lock_template(text, catalogue, requirements(nothing))
    (source / LOCK).write_text(made)
    return made


def requirements(service: Path) -> dict[Section, list[str]]:
    """What the service's pyproject.toml asks for, by section as the manifests name them."""
    project = tomllib.loads((service / "pyproject.toml").read_text("utf-8"))
    return {
        "dependencies": project["project"]["dependencies"],
        "dev_dependencies": project["dependency-groups"]["dev"],
    }


def refuse_other_hosts(lock: str) -> None:
    """LockError if the lock names a place that not every user can reach."""
    others = sorted(set(re.findall(r'"(\w+://[^/"]+)', lock)) - HOSTS)
    if others or re.search(r"\b(path|directory|editable|git) = ", lock):
        raise LockError(
            f"the lock names {', '.join(others) or 'a local path'}: only PyPI is for all"
        )


def subsets(catalogue: Catalogue) -> Iterator[tuple[str, ...]]:
    """The sets of patterns to prove a lock for: all when few, else none, each, some pairs, all.

    Of the pairs that require the same packages only the first.
    """
    menu = catalogue.menu
    few = len(menu) <= EVERY_SUBSET_UP_TO
    seen: set[frozenset[tuple[Section, str]]] = set()
    for size in range(len(menu) + 1) if few else (0, 1, 2, len(menu)):
        for chosen in combinations(menu, size):
            required = frozenset(_required(catalogue, chosen))
            if few or size != 2 or required not in seen:
                yield chosen
            seen.add(required)


def _required(catalogue: Catalogue, chosen: Iterable[str]) -> Iterator[tuple[Section, str]]:
    for name in catalogue.enabled(chosen):
        pattern = catalogue.patterns[name]
        yield from (("dependencies", line) for line in pattern.dependencies)
        yield from (("dev_dependencies", line) for line in pattern.dev_dependencies)


def prove(source: Path, work: Path, patterns: Iterable[str]) -> None:
    """LockError or UvError unless the lock rendered for these patterns is sound and minimal."""
    service = template.render(source, work, patterns)
    uv.check_lock(service)
    mine = packages(service)
    full = work.parent / "everything" / "uv.lock"
    shutil.copy(full, service / "uv.lock")
    uv.lock(service)  # from the versions of `everything`, without what nobody needs
    if mine != packages(service):
        differing = _differences(mine, packages(service))
        raise LockError(f"{sorted(patterns)}: uv's own lock differs in {', '.join(differing)}")


def packages(service: Path) -> dict[str, Any]:
    """The service's lock by package and version, and under "" what stands before the packages."""
    read = tomllib.loads((service / "uv.lock").read_text("utf-8"))
    listed = read.pop("package")
    return {"": read} | {f"{p['name']} {p['version']}": p for p in listed}


def _differences(mine: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    return [key or "head" for key in sorted(mine | theirs) if mine.get(key) != theirs.get(key)]


def main() -> int:
    """Make the lock and prove it; the working tree changes only when all of it holds."""
    parser = argparse.ArgumentParser(prog="make lock", description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = template.copy_template(work / "template")
        try:
            made = make_lock(source, work, upgrade=arguments.upgrade)
            chosen = list(subsets(template.read_catalogue(source)))
            for number, patterns in enumerate(chosen):
                prove(source, work / f"proof-{number}", patterns)
        except (uv.UvError, LockError, LookupError) as error:
            print(f"make lock: {error}", file=sys.stderr)
            return 1
    (template.ROOT / LOCK).write_text(made)
    count = made.count("[[package]]") - 1
    print(f"{LOCK}: {count} packages, {len(made) // 1000} kB, proved for {len(chosen)} sets")
    return 0


if __name__ == "__main__":
    sys.exit(main())
