"""Where the process starts: signals first, so that even an interrupted import ends in one line."""

import io
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
        from perfgen.cli import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
