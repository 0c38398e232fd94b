"""`perfgen check`: whether a service is sound, for CI."""

from pathlib import Path

from perfgen.commands.options import AsJson
from perfgen.commands.options import Debug
from perfgen.commands.options import Project
from perfgen.commands.options import Quiet
from perfgen.output import Output

HELP = """Check that a service is sound; for CI. Exits with 1 and a line for each problem when it is not.

\b
  change     no add, remove or update waits to be finished
  conflicts  no file is unmerged, and none has conflict markers
  lock       uv.lock is of pyproject.toml
  template   the version that the service was made from can be had
  answers    they are valid for that version
  files      they are made with these answers: every pattern's are there, and no others

It writes nothing, and needs no network unless the template comes from there.

\b
Examples:
  perfgen check
  perfgen check --json
"""


def check(
    project: Project = Path(),
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 (for cli.run)
) -> int:
    """Check; see HELP."""
    from perfgen import checkup

    return checkup.check(project, Output(as_json=as_json, quiet=quiet))
