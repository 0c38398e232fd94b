"""`perfgen update`: the template's newer version in a service, and the end of a change with conflicts."""

from pathlib import Path
from typing import Annotated

import typer

from perfgen.commands.options import AsJson
from perfgen.commands.options import Debug
from perfgen.commands.options import DryRun
from perfgen.commands.options import Project
from perfgen.commands.options import Quiet
from perfgen.commands.options import Settings
from perfgen.errors import Refused
from perfgen.output import Output

HELP = """Bring the template's newer version into a service. Your changes are merged, and the result is staged.

\b
Where you and the template changed the same lines, both stay, between markers, as with `git merge`:
say in the file what both meant, `git add` it, and go on with --continue. Or have everything back with --abort.

\b
Examples:
  perfgen update --dry-run
  perfgen update
  perfgen update --to 0.3.0 --set python_version=3.13
  perfgen update --continue
"""


def update(
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="This version, not the newest.")
    ] = None,
    settings: Settings = None,
    go_on: Annotated[
        bool, typer.Option("--continue", help="Finish a change whose conflicts are resolved.")
    ] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Undo a change that is not committed.")
    ] = False,
    project: Project = Path(),
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 (for cli.run)
) -> int:
    """Update; see HELP."""
    from perfgen import ending
    from perfgen.evolution import Evolution

    output = Output(as_json=as_json, quiet=quiet)
    if go_on or abort:
        if go_on and abort:
            raise Refused("--continue and --abort are two ways to end a change.", "Choose one.")
        if to or settings or dry_run:
            raise Refused(
                f"--{'continue' if go_on else 'abort'} goes with no other option.",
                "Leave the others out.",
            )
        return ending.proceed(project, output) if go_on else ending.abort(project, output)
    return Evolution("perfgen update", project, settings or [], dry_run, output).update(to)
