"""`perfgen patterns [NAME]`: the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any

import typer

from perfgen.output import Output

if TYPE_CHECKING:
    from perfgen.catalogue import Catalogue
    from perfgen.catalogue import Pattern


def patterns(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One pattern: all about it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Annotated[  # noqa: ARG001 (for cli.run)
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """List the patterns, or tell what one generates, needs and proves."""
    from perfgen import resources
    from perfgen.questions import Form

    output = Output(as_json=as_json)
    catalogue = Form(resources.files()).catalogue
    if name is None:
        _list(catalogue, output)
        _refresh()
        return
    pattern = catalogue.get(name)
    facts = _facts(catalogue, pattern) | _generated(catalogue, pattern, output)
    _tell(facts, output)
    output.result(facts)


def _list(catalogue: Catalogue, output: Output) -> None:
    width = max(len(pattern.name) for pattern in catalogue)
    output.say("In every service")
    for name in catalogue.core:
        output.say(f"  {name:{width}}  {catalogue.get(name).help}")
    output.say("\nBy choice")
    for name in catalogue.menu:
        pattern = catalogue.get(name)
        needs = f" (brings {', '.join(catalogue.requirements(name))})" if pattern.requires else ""
        output.say(f"  {name:{width}}  {pattern.help}{needs}")
    output.say("\nPresets")
    for preset, members in catalogue.presets.items():
        output.say(f"  {preset:{width}}  {', '.join(members)}")
    output.say("\n`perfgen patterns NAME` tells more about one.")
    output.result(
        {
            "patterns": [_facts(catalogue, pattern) for pattern in catalogue],
            "presets": catalogue.presets,
        }
    )


def _refresh() -> None:
    """After an upgrade this is all that `copier update` needs; the list does not depend on it."""
    from contextlib import suppress

    from perfgen import resources
    from perfgen.errors import Refused

    with suppress(Refused, OSError):
        if not resources.are_stored():
            from perfgen import sources

            sources.refresh()


def _facts(catalogue: Catalogue, pattern: Pattern) -> dict[str, Any]:
    return {
        "name": pattern.name,
        "title": pattern.title or pattern.name.capitalize(),
        "help": pattern.help,
        "section": pattern.section,
        "kind": pattern.kind,
        "core": pattern.core,
        "choice": pattern.asked,
        "presets": [
            preset for preset, members in catalogue.presets.items() if pattern.name in members
        ],
        "requires": catalogue.requirements(pattern.name),
        "required_by": catalogue.dependents(pattern.name),
        "formerly": list(pattern.formerly),
        "dependencies": list(pattern.dependencies),
        "dev_dependencies": list(pattern.dev_dependencies),
        "servers": list(pattern.servers),
    }


def _generated(catalogue: Catalogue, pattern: Pattern, output: Output) -> dict[str, Any]:
    """What the template holds of the pattern; nothing where it is not at hand."""
    from perfgen.contents import contents
    from perfgen.errors import Refused

    try:
        return contents(pattern, catalogue)
    except (Refused, OSError) as error:
        output.note(f"The files of the template cannot be listed: {error}")
        return {"settings": [], "metrics": [], "files": [], "tests": [], "with": {}}


def _tell(facts: dict[str, Any], output: Output) -> None:
    output.say(f"{facts['title']}: {facts['help']}\n")
    how = (
        "in every service"
        if facts["core"]
        else "by choice"
        if facts["choice"]
        else "with what requires it"
    )
    rows = {
        "comes": [how, *(f"preset {preset}" for preset in facts["presets"])],
        "requires": facts["requires"],
        "required by": facts["required_by"],
        "checklist": [facts["section"]] if facts["section"] else [],
        "servers": facts["servers"],
        "depends on": facts["dependencies"],
        "for tests": facts["dev_dependencies"],
        "settings": facts["settings"],
        "metrics": facts["metrics"],
        "generates": [_told(path, facts) for path in facts["files"]],
        "proved by": [_told(path, facts) for path in facts["tests"]],
    }
    for title, values in rows.items():
        if values:
            lines = (
                values if title in ("generates", "proved by", "settings") else [", ".join(values)]
            )
            output.say(f"  {title:12}{lines[0]}")
            for line in lines[1:]:
                output.say(f"  {'':12}{line}")


def _told(path: str, facts: dict[str, Any]) -> str:
    """A file; with the patterns without which it is not there, where there are some."""
    further = [name for name in facts["with"].get(path, []) if name not in facts["requires"]]
    return f"{path} (with {' and '.join(further)})" if further else path
