"""`perfgen new NAME`: a new service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfgen.commands.options import complete_pattern
from perfgen.output import Output


def new(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Name of the service and its folder: a-z, 0-9 and hyphens."
        ),
    ],
    preset: Annotated[
        list[str] | None,
        typer.Option(metavar="PRESET", help="Start from minimal, standard or everything."),
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="PATTERN", help="Add a pattern.", autocompletion=complete_pattern
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            metavar="PATTERN",
            help="Leave a pattern out.",
            autocompletion=complete_pattern,
        ),
    ] = None,
    description: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="What it does, in one sentence.")
    ] = None,
    python: Annotated[
        list[str] | None, typer.Option(metavar="VERSION", help="Python that it runs on, like 3.13.")
    ] = None,
    max_replicas: Annotated[
        list[str] | None, typer.Option(metavar="N", help="Highest number of replicas.")
    ] = None,
    max_connections: Annotated[
        list[str] | None,
        typer.Option(metavar="N", help="max_connections of the PostgreSQL server."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Answer any question of the template."),
    ] = None,
    answers: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Take answers from a YAML or JSON file; - is standard input."
        ),
    ] = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Ask nothing: take defaults for the rest.")
    ] = False,
    output: Annotated[
        Path,
        typer.Option("--output", "-C", metavar="FOLDER", help="Where the service's folder goes."),
    ] = Path(),
    template: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            envvar="PERFGEN_TEMPLATE",
            help="Another template: a git URL, repository or bundle.",
        ),
    ] = None,
    template_version: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Another version of the template than the newest."),
    ] = None,
    git: Annotated[
        bool, typer.Option("--git/--no-git", help="Make a repository with a first commit.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the files.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; ask nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    debug: Annotated[  # noqa: ARG001 (for cli.run)
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Write a new service. On a terminal it asks what is not given, otherwise it names what is missing."""
    from perfgen.answers import Flags
    from perfgen.answers import once
    from perfgen.creation import Creation

    own = {
        "description": once("--description", description),
        "python_version": once("--python", python),
        "max_replicas": once("--max-replicas", max_replicas),
        "max_connections": once("--max-connections", max_connections),
    }
    Creation(
        name=name,
        parent=output,
        flags=Flags(
            once("--preset", preset), with_ or [], without or [], settings or [], answers, own
        ),
        defaults=defaults,
        git=git,
        dry_run=dry_run,
        output=Output(as_json=as_json, quiet=quiet),
    ).run(template, template_version)
