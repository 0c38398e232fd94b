"""`perfgen add PATTERN…`: patterns for a service that is there already."""

from pathlib import Path

from perfgen.commands.options import AsJson
from perfgen.commands.options import Debug
from perfgen.commands.options import DryRun
from perfgen.commands.options import Patterns
from perfgen.commands.options import Project
from perfgen.commands.options import Quiet
from perfgen.commands.options import Settings
from perfgen.output import Output

HELP = """Add patterns to a service. Your changes are merged, and the result is staged for your commit.

\b
Examples:
  perfgen add cache
  perfgen add queue scheduler --dry-run
  perfgen add database --set max_connections=200
"""


def add(
    patterns: Patterns,
    settings: Settings = None,
    project: Project = Path(),
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 (for cli.run)
) -> int:
    """Add patterns; see HELP."""
    from perfgen import selection
    from perfgen.evolution import Evolution

    command = f"perfgen add {' '.join(patterns)}"
    output = Output(as_json=as_json, quiet=quiet)
    run = Evolution(command, project, settings or [], dry_run, output)
    return run.select(lambda catalogue, present: selection.more(catalogue, present, patterns))
