"""`perfgen source [NEW]`: where the template of a service comes from."""

from pathlib import Path
from typing import Annotated

import typer

from perfgen.commands.options import AsJson
from perfgen.commands.options import Debug
from perfgen.commands.options import DryRun
from perfgen.commands.options import Project
from perfgen.commands.options import Quiet
from perfgen.errors import Refused
from perfgen.output import Output

HELP = """Show where the template of a service comes from, and which versions there are; or change where.

NEW is a git URL, a repository's folder, a bundle, or `embedded` for what perfgen itself brings. It must have the
service's version of the template, the very same; only what the service records is changed.

\b
Examples:
  perfgen source
  perfgen source gh:acme/service-template
  perfgen source ../service-template --dry-run
  perfgen source embedded
"""


def source(
    new: Annotated[
        str | None, typer.Argument(metavar="NEW", help="Where it is to come from.")
    ] = None,
    unchecked: Annotated[
        bool,
        typer.Option(
            "--unchecked",
            help="Also when the present source cannot be had, so that nothing can be compared.",
        ),
    ] = False,
    project: Project = Path(),
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 (for cli.run)
) -> int:
    """Show, or change; see HELP."""
    from perfgen import origin

    output = Output(as_json=as_json, quiet=quiet)
    if new is None:
        if dry_run or unchecked:
            raise Refused("There is nothing to change.", "Name the new source.")
        return origin.show(project, output)
    return origin.Move(project, new, unchecked, dry_run, output).run()
