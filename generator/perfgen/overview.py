"""What `perfgen --help` prints, kept as a text: importing Typer alone takes longer than all else it needs."""

import os
import shutil
from pathlib import Path

WIDTH = 80  # columns; where there are as many, Typer's text does not depend on them
TEXT = Path(__file__).with_name("overview.txt")


def kept(args: list[str]) -> str:
    """What Typer would print for `args`, or nothing where it has to be asked itself."""
    completes = "_PERFGEN_COMPLETE" in os.environ  # a shell asks for completions, without arguments
    if completes or args not in ([], ["-h"], ["--help"]):
        return ""
    return TEXT.read_text() if shutil.get_terminal_size().columns >= WIDTH else ""
