"""What can go wrong, as one sentence and what to do about it."""

from collections.abc import Collection

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


def nearest(word: str, known: Collection[str]) -> str:
    """`did you mean cache?`, or the known words when nothing is near: for the end of a sentence."""
    near = _near(word, known)
    return f"did you mean {near}?" if near else f"known are {', '.join(sorted(known)) or 'none'}"


def suggestion(word: str, known: Collection[str], otherwise: str) -> str:
    """`Did you mean Makefile?`, or what is to be said `otherwise`: sentences of their own."""
    near = _near(word, known)
    return f"Did you mean {near}?" if near else otherwise


def _near(word: str, known: Collection[str]) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, sorted(known), n=1, cutoff=0.5)), "")
