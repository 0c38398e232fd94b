"""Which files the user's own commits touched."""

import os

from perfgen.service import ANSWERS
from perfgen.service import Service


def touched(service: Service) -> set[str] | None:
    """The files of the service in commits that left the answers alone: a change of perfgen's touches these, too.

    None where the history is not all there.
    """
    if service.git("rev-parse", "--is-shallow-repository").strip() == b"true":
        return None
    listed = service.git("rev-list", "--full-history", service.head, "--", ".")
    commits = set(listed.split())
    # -c: of a merge, only what it has from neither side
    options = ("--stdin", "-r", "-z", "-c", "--root", "--no-renames", "--name-only")
    answer = service.git("diff-tree", *options, "--", ".", data=listed)
    found: set[bytes] = set()
    one: set[bytes] = set()
    answers = os.fsencode(service.prefix + ANSWERS)
    for token in answer.split(b"\0"):
        if token in commits:
            found |= one if answers not in one else set()
            one = set()
        elif token:
            one.add(token)
    found |= one if answers not in one else set()
    return {os.fsdecode(path)[len(service.prefix) :] for path in found}
