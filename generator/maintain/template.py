"""The template of this working tree: copied, read, and rendered through copier's public interface."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import copier
import yaml

from perfgen.catalogue import Catalogue
from perfgen.resources import PARTS

ROOT = Path(__file__).resolve().parents[2]


def copy_template(target: Path, root: Path = ROOT) -> Path:
    """Copy the template into `target` as the next commit would have it, changed and new files too.

    A plain folder: copier reads it where it lies and clones nothing.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = root / name
        if source.is_file():  # a deleted file is still in the index
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
    return target


def read_catalogue(template: Path = ROOT) -> Catalogue:
    """The manifests of the template in that folder."""
    manifests = sorted((template / "patterns").glob("*.yml"))
    return Catalogue(yaml.safe_load(path.read_text("utf-8")) for path in manifests)


def render(template: Path, target: Path, patterns: Iterable[str], **answers: Any) -> Path:
    """Render the service with these patterns into the new folder `target`; copier's errors pass."""
    data = {"project": "demo", "patterns": list(patterns), **answers}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", copier.errors.DirtyLocalWarning)
        copier.run_copy(str(template), target, data=data, vcs_ref="HEAD", defaults=True, quiet=True)
    return target
