"""`python -m dev.bench`: exit code 0 when all objectives are met, 1 when one is not, else 2."""

import sys
import traceback


def run() -> int:
    """Measure; the exit code, also when something fails: Python's own would be that of a miss."""
    try:
        from dev.bench.command import main

        return main()
    except Exception:
        traceback.print_exc()
        print("Not measured: that was not to happen.", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(run())
