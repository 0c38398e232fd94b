"""What the fixtures are, for their users' signatures."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pexpect

Run = Callable[..., subprocess.CompletedProcess[str]]
Git = Callable[..., str]
Tree = Callable[[Path], dict[str, tuple[bytes, bool]]]
Terminal = Callable[..., pexpect.spawn]
Made = tuple[Path, subprocess.CompletedProcess[str]]
