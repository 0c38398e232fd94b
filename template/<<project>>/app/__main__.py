"""`python -m app COMMAND`."""

import signal
import sys
from typing import Any


def _stop(*_: Any) -> None:
    sys.exit(0)


if __name__ == "__main__":
    # First of all, as importing takes its time: the first process of a container has no handler
    # by default, and would ignore that it is to stop.
    signal.signal(signal.SIGTERM, _stop)
    from app.commands import main

    sys.exit(main())
