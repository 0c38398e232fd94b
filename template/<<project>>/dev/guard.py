"""Ends what a killed process left behind. `dev.processes` starts it and writes to it.

A line is `+ PID SIGNAL` for a process to be ended, or `- PID` for one that has ended. The input
ends when whoever writes it ends, however that happens, `kill -9` included.
"""

import os
import signal
import sys
import time

PATIENCE_S = 10


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _end(left: dict[int, int]) -> None:
    for pid, number in reversed(left.items()):
        if _alive(pid):
            os.kill(pid, number)
    deadline = time.monotonic() + PATIENCE_S
    while any(map(_alive, left)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in filter(_alive, left):
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Keep the list until the input ends, then end what is on it, the latest first."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    left: dict[int, int] = {}
    for line in sys.stdin:
        sign, pid, *number = line.split()
        if sign == "+":
            left[int(pid)] = int(number[0])
        else:
            left.pop(int(pid), None)
    _end(left)


if __name__ == "__main__":
    main()
