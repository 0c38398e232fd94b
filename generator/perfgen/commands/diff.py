"""`perfgen diff`: how a service differs from its template, and a file brought back."""

from pathlib import Path
from typing import Annotated

import typer

from perfgen.commands.options import AsJson
from perfgen.commands.options import Debug
from perfgen.commands.options import Project
from perfgen.commands.options import Quiet
from perfgen.errors import Refused
from perfgen.output import Output

HELP = """Tell your own edits from the template's newer state. File by file, uncommitted ones too.

\b
  yours     you changed it; the template has nothing newer
  diverged  it differs although no commit of yours changed it: an update left it behind, and none will mend it
  both      you changed it, and the template has something newer
  newer     it is as the template gave it, and the template has something newer

FILE shows the difference itself. Paths are from the current folder, or from the service's when that is elsewhere.

\b
Examples:
  perfgen diff
  perfgen diff app/main.py
  perfgen diff --exit-code                  # for scripts: 1 when the service differs from its template
  perfgen diff --restore Makefile           # as the template gave it; shows the difference, and asks
"""


def diff(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Files or folders to show.")
    ] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Bring the files back as the template gave them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --restore: do not ask.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 when the service differs.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --restore: write nothing, show the difference.")
    ] = False,
    project: Project = Path(),
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 (for cli.run)
) -> int:
    """Compare, or restore; see HELP."""
    output = Output(as_json=as_json, quiet=quiet)
    if restore:
        from perfgen.restoring import Restoring

        if exit_code:
            raise Refused("--exit-code does not go with --restore.", "Leave one of them out.")
        if not files:
            raise Refused("--restore needs the files.", "Name them: perfgen diff --restore FILE...")
        return Restoring(project, files, yes, dry_run, output).run()
    if yes or dry_run:
        flag = "--yes" if yes else "--dry-run"
        raise Refused(f"{flag} goes with --restore only.", "`perfgen diff` never writes anything.")
    from perfgen.comparing import compare

    return compare(project, files or [], exit_code, output)
