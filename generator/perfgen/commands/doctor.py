"""`perfgen doctor`: whether machine and service are fit for a change."""

from pathlib import Path
from typing import Annotated

import typer

from perfgen.commands.options import AsJson
from perfgen.commands.options import Debug
from perfgen.commands.options import Project
from perfgen.commands.options import Quiet
from perfgen.output import Output

HELP = """Tell whether machine and service are fit for a change. Where they are not, it says what to do.

\b
Examples:
  perfgen doctor
  perfgen doctor --fix      # also puts right what a killed command left behind
"""


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Put right what a killed command left behind.")
    ] = False,
    project: Project = Path(),
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 (for cli.run)
) -> int:
    """Examine; see HELP."""
    from perfgen.doctor import examine

    return examine(project, fix=fix, output=Output(as_json=as_json, quiet=quiet))
