"""The text of `perfgen --help`, which is kept so that Typer need not be imported for it.

python -m maintain.overview   write it
"""

from __future__ import annotations

import os
import subprocess
import sys

from perfgen.overview import TEXT
from perfgen.overview import WIDTH


def printed(columns: int = WIDTH) -> str:
    """What Typer prints on a terminal of so many columns."""
    code = "from perfgen.cli import run; run(['--help'])"
    environment = os.environ | {"COLUMNS": str(columns)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    TEXT.write_text(printed())
