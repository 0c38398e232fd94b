"""Where the process starts: signals first, so that even an interrupted import ends in one line."""

import contextlib
import io
import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from perfgen import signals

        signals.install()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(
                stream, io.TextIOWrapper
            ):  # a terminal that cannot show a letter shows its number
                stream.reconfigure(errors="backslashreplace")
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        code = 130
    sys.exit(_flushed(code))


def _run(args: list[str]) -> int:
    from perfgen import overview

    if text := overview.kept(args):
        with contextlib.suppress(OSError):  # which Typer's attempt then tells
            print(text, end="", flush=True)
            return 0
    from perfgen.cli import run

    return run(args)


def _flushed(code: int) -> int:
    """Give up what stdout does not take, or Python would end with a traceback, and 120."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or 1
    return code


if __name__ == "__main__":
    main()
