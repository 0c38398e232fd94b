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

HELP = """Show where the template of a service comes from, or change it. Tells which versions there are.

NEW is a git URL, a repository's folder, a bundle, or `embedded` for what perfgen itself brings. It must have the
service's version of the template, the very same. What the template writes by its source, as `renovate.json` for a
URL, comes or goes with it; your changes are merged, and the result is staged.

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
            help="Only record it, when the present source cannot be had: nothing is compared or merged.",
        ),
    ] = False,
    project: Project = Path(),
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 (for cli.run)
) -> int:
    """Show, or change; see HELP."""
    output = Output(as_json=as_json, quiet=quiet)
    if new is None:
        if dry_run or unchecked:
            raise Refused("There is nothing to change.", "Name the new source.")
        from perfgen import origin

        return origin.show(project, output)
    from perfgen.moving import Move

    return Move(project, new, unchecked, dry_run, output).run()
