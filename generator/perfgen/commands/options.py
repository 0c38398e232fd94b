"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Project = Annotated[
    Path,
    typer.Option(
        "--project", "-C", metavar="FOLDER", help="The service's folder, or one inside it."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Write nothing; list the files by class, and the diff.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; ask nothing.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Answer a question of the template."),
]


def complete_pattern(incomplete: str) -> list[str]:
    """The patterns whose names begin with what is typed."""
    from perfgen import resources

    folder = resources.root() / "patterns"
    return sorted(path.stem for path in folder.glob(f"{incomplete}*.yml"))


Patterns = Annotated[
    list[str],
    typer.Argument(metavar="PATTERN...", help="Their names.", autocompletion=complete_pattern),
]
