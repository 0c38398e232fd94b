"""What can go wrong, as one sentence and what to do about it."""

from collections.abc import Iterable

DONE, MISTAKE, CONFLICTS, FAULT, INTERRUPTED = 0, 1, 2, 3, 130


class Refused(Exception):
    """The user's mistake, or something about the machine that the user can change."""

    exit_code = MISTAKE

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class Fault(Refused):
    """A fault of ours, or of a tool underneath."""

    exit_code = FAULT


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean cache?`, or the known words when nothing is near."""
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
