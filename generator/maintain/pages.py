"""The page of each pattern: the facts of its manifest and its files, then what its README in the service says."""

from __future__ import annotations

from perfgen import contents
from perfgen.catalogue import Catalogue
from perfgen.catalogue import Pattern


def page(pattern: Pattern, catalogue: Catalogue, files: dict[str, bytes]) -> str:
    """The page as Markdown. `files` are those of the template, by their path in a service."""
    own = {path: content for path, content in files.items() if contents.belongs(path, pattern)}
    lines = [f"# {pattern.name}", "", f"{pattern.help[0].upper()}{pattern.help[1:]}.", ""]
    lines += [f"| pattern | `{pattern.name}` |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in _facts(pattern, catalogue, own) if value]
    readme = own.get(f"app/{pattern.name}/README.md") or own.get("deploy/README.md")
    if readme:
        lines += ["", _demoted(readme.decode())]
    return "\n".join(lines) + "\n"


def _facts(pattern: Pattern, catalogue: Catalogue, own: dict[str, bytes]) -> list[tuple[str, str]]:
    found = contents.described(own, pattern)
    users = [other.name for other in catalogue if pattern.name in other.requires]
    return [
        ("checklist", pattern.section),
        ("in", "every service" if pattern.core else ", ".join(pattern.presets) or "when required"),
        ("requires", _links(pattern.requires)),
        ("required by", _links(users)),
        ("formerly", _code(pattern.formerly)),
        ("dependencies", _code(pattern.dependencies)),
        ("servers", ", ".join(pattern.servers)),
        ("processes", ", ".join(f"{name} (up to {n})" for name, n in pattern.processes.items())),
        ("settings", _code(found["settings"])),
        ("metrics", _code(found["metrics"])),
        ("files", _code(_folders(own))),
        (
            "add, remove",
            f"`perfgen add {pattern.name}`, `perfgen remove {pattern.name}`" * pattern.asked,
        ),
    ]


def _folders(own: dict[str, bytes]) -> list[str]:
    """The folders and files that come with it, no deeper than needed: `app/cache/`, `dev/database.py`."""
    found = set()
    for path in own:
        parts = path.split("/")
        depth = {"app": 2, "tests": 2, "deploy": 3, "migrations": 3}.get(parts[0], len(parts))
        found.add("/".join(parts[:depth]) + ("/" if len(parts) > depth else ""))
    return sorted(found)


def _code(words: object) -> str:
    return ", ".join(f"`{word}`" for word in words) if isinstance(words, (list, tuple)) else ""


def _links(names: object) -> str:
    return (
        ", ".join(f"[`{name}`]({name}.md)" for name in names)
        if isinstance(names, (list, tuple))
        else ""
    )


def _demoted(readme: str) -> str:
    """Without its title, for which the page has one."""
    first, _, rest = readme.partition("\n")
    return rest.lstrip("\n") if first.startswith("# ") else readme


def index(catalogue: Catalogue) -> list[str]:
    """The table of all patterns, each with its page."""
    ordered = sorted(catalogue, key=lambda pattern: (not pattern.core, pattern.name))
    rows = [f"| [`{pattern.name}`]({pattern.name}.md) | {pattern.help} |" for pattern in ordered]
    return ["| pattern | gives the service |", "|---|---|", *rows]
