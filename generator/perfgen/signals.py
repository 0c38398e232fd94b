"""Ctrl-C, SIGTERM and SIGHUP become one Interrupted, and never in the middle of what must be whole."""

import contextlib
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_held = 0
_waiting = False
_over = False
_came = False


class Interrupted(KeyboardInterrupt):
    """One of the signals has come.

    A class of its own: where a plain KeyboardInterrupt passes through `exec` of a text (as in the
    making of every dataclass), CPython remembers it, and ends by SIGINT whatever the exit code is.
    """


def install() -> None:
    """Let the three signals end the command; only the first one raises, so that clean-up runs undisturbed."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, _arrived)


def _arrived(_number: int, _frame: FrameType | None) -> None:
    global _waiting, _came
    _came = True
    if _held:
        _waiting = True
    else:
        _raise()


def _raise() -> None:
    global _over
    if not _over:
        _over = True
        raise Interrupted


def came(patience: float = 0) -> bool:
    """Whether one has come, or comes within `patience` seconds: what fails then fails because of it."""
    if not _came and patience:
        with contextlib.suppress(Interrupted):
            time.sleep(patience)
    return _came


def hold() -> None:
    """From here on a signal waits for `release`."""
    global _held
    _held += 1


def release() -> None:
    """Undo one `hold`; a signal that came meanwhile raises now."""
    global _held
    _held -= 1
    if _waiting and not _held:
        _raise()


@contextmanager
def waiting() -> Iterator[None]:
    """Within, signals wait; when all went well they change nothing any more, since the work is done."""
    hold()
    try:
        yield
        ignore()
    finally:
        release()


def ignore() -> None:
    """The work is done: a signal no longer changes anything, not even while Python shuts down."""
    global _over
    _over = True
    for number in _SIGNALS:
        if signal.getsignal(number) is _arrived:
            signal.signal(number, signal.SIG_IGN)
