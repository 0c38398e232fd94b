"""What must hold of the name and the place of a new service, and of what was written."""

import os
import re
from pathlib import Path

from perfgen.errors import Refused

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40  # names of Kubernetes objects must fit, with what is put behind them


def check_name(name: str) -> None:
    """Refuse what cannot name a service, with a name that can."""
    if NAME.fullmatch(name) and len(name) <= LONGEST:
        return
    words = [word for word in re.split(r"[^a-z0-9]+", name.rsplit("/", 1)[-1].lower()) if word]
    better = "-".join(words).lstrip("0123456789-")[:LONGEST].rstrip("-")
    where = " --output chooses the folder it goes into." if "/" in name else ""
    raise Refused(
        f"{name!a} cannot be the name of a service:"
        f" use lower-case letters, digits and single hyphens, a letter first, at most {LONGEST} characters.",
        (f"For example {better}." if better else "For example my-service.") + where,
    )


def check_place(parent: Path, target: Path) -> None:
    """Refuse a place where the service cannot come to lie."""
    if not parent.is_dir():
        raise Refused(
            f"The folder {parent} does not exist.",
            "Make it first, or choose another with --output.",
        )
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise Refused(
            f"{target} is in the way: it is not a folder.", "Move it away, or choose another name."
        )
    if target.is_dir() and any(target.iterdir()):
        raise Refused(
            f"{target} exists and is not empty.",
            "Choose another name, or another folder with --output.",
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise Refused(f"The folder {parent} cannot be written to.", "Choose another with --output.")


def check_lock(service: Path, name: str) -> None:
    """Refuse a name that one of the service's dependencies has: uv could not tell them apart."""
    lock = service / "uv.lock"
    if lock.is_file() and lock.read_text("utf-8").count(f'\nname = "{name}"\n') > 1:
        raise Refused(
            f"The service uses a package that is called {name} itself.", "Choose another name."
        )
