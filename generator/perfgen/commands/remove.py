"""`perfgen remove PATTERN…`: a service with fewer patterns."""

from pathlib import Path

from perfgen.commands.options import AsJson
from perfgen.commands.options import Debug
from perfgen.commands.options import DryRun
from perfgen.commands.options import Patterns
from perfgen.commands.options import Project
from perfgen.commands.options import Quiet
from perfgen.commands.options import Settings
from perfgen.output import Output

HELP = """Remove patterns from a service. A file of theirs that you have changed is kept, as a conflict to decide.

\b
Examples:
  perfgen remove cache
  perfgen remove example --dry-run
"""


def remove(
    patterns: Patterns,
    settings: Settings = None,
    project: Project = Path(),
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 (for cli.run)
) -> int:
    """Remove patterns; see HELP."""
    from perfgen import selection
    from perfgen.evolution import Evolution

    command = f"perfgen remove {' '.join(patterns)}"
    output = Output(as_json=as_json, quiet=quiet)
    run = Evolution(command, project, settings or [], dry_run, output)
    return run.select(lambda catalogue, present: selection.less(catalogue, present, patterns))
