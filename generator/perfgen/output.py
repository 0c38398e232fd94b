"""What the commands say: results on stdout, notes, progress and errors on stderr."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perfgen.errors import Refused


class Output:
    """How one command talks: for people, for machines (`json`), or not at all (`quiet`)."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def say(self, text: str = "") -> None:
        """A line of the result, for people."""
        if not self.quiet and not self.as_json:
            print(text)

    def note(self, text: str) -> None:
        """Something to know that is not the result."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def result(self, data: dict[str, Any]) -> None:
        """The whole result, for machines."""
        if self.as_json:
            import json

            print(json.dumps(data, indent=2))

    def error(self, error: Refused) -> None:
        """The sentence and what to do; said even when quiet."""
        print(f"{style('Error:', '31')} {error.sentence}", file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)
        self.result({"error": error.sentence, "hint": error.hint, "exit_code": error.exit_code})

    @contextmanager
    def best_effort(self) -> Iterator[None]:
        """Within, what cannot be said is lost and no error: the work is done."""
        try:
            yield
            sys.stdout.flush()
        except OSError:
            # or Python would fail once more when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    @contextmanager
    def progress(self, what: str) -> Iterator[None]:
        """Show on a terminal that `what` goes on, once it has taken a second."""
        if self.quiet or self.as_json or not sys.stderr.isatty():
            yield
            return
        done = threading.Event()
        ticker = threading.Thread(target=_tick, args=(what, done), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()


def _tick(what: str, done: threading.Event) -> None:
    start = time.monotonic()
    if done.wait(1.0):
        return
    while not done.wait(0.2):
        print(f"\r{what} ({time.monotonic() - start:.0f} s)", end="", file=sys.stderr, flush=True)
    print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def style(text: str, code: str) -> str:
    """`text` in colour when stderr is a terminal that wants it."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty():
        return text
    return f"\x1b[{code}m{text}\x1b[0m"
