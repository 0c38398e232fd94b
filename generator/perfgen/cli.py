"""The command line: which commands there are, and how each may end."""

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from perfgen import __version__
from perfgen import signals
from perfgen.errors import DONE
from perfgen.errors import INTERRUPTED
from perfgen.errors import MISTAKE
from perfgen.errors import Fault
from perfgen.errors import Refused
from perfgen.output import Output

# As the help lists them: each is the function of its name in the module of its name.
COMMANDS = ("new", "patterns", "add", "remove", "check", "diff", "doctor", "source", "update")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"perfgen {__version__}")
        raise typer.Exit


def _perfgen(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def application(args: list[str]) -> typer.Typer:
    """The program, with the one command that `args` begin with where they do: Typer takes long for each."""
    program = typer.Typer(
        name="perfgen",
        help="Write production Python web services with exactly the patterns they need, and keep them up to date.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback()(_perfgen)
    for name in args[:1] if args and args[0] in COMMANDS else COMMANDS:
        module = importlib.import_module(f"perfgen.commands.{name}")
        program.command(name, help=getattr(module, "HELP", None))(getattr(module, name))
    return program


def run(args: list[str]) -> int:
    """Run the command in `args` and return the exit code; an error ends in a sentence."""
    output = Output(as_json="--json" in args)
    args = args or ["--help"]
    try:
        code = int(application(args)(args, prog_name="perfgen", standalone_mode=False) or DONE)
        sys.stdout.flush()
        return _interrupted() if code == INTERRUPTED else code
    except Refused as error:
        # A tool underneath may end of a Ctrl-C before our own share of it has arrived.
        patience = 0.2 if error.__cause__ else 0
        return _interrupted() if signals.came(patience) else _failed(error, output, args)
    except (typer.Abort, KeyboardInterrupt):
        return _interrupted()
    except BrokenPipeError:
        return MISTAKE
    except OSError as error:
        return _failed(_gone() or _of_system(error), output, args)
    except Exception as error:
        if signals.came():
            return _interrupted()
        if message := getattr(
            error, "format_message", None
        ):  # a flag or argument that typer refuses
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "perfgen"
            usage = Refused(str(message()), f"See `{command} --help`.")
            return _failed(usage, output, args) if message() else MISTAKE
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        fault = Fault(
            f"perfgen failed: {words}",
            "Run it again with --debug for the whole story, and report it.",
        )
        return _failed(fault, output, args)


def _of_system(error: OSError) -> Refused:
    where = f"{error.filename}: " if error.filename else ""
    return Refused(f"{where}{error.strerror or error}.")


def _gone() -> Refused | None:
    """Why nothing works in a current folder that is no more: a change may have removed it."""
    try:
        Path.cwd()
    except FileNotFoundError:
        was = Path(os.environ.get("PWD") or "/")  # as the shell knows it
        there = next(place for place in (was, *was.parents) if place.is_dir())
        return Refused("The current folder does not exist any more.", f"First: cd {there}")
    return None


def _interrupted() -> int:
    print("Interrupted; nothing was written.", file=sys.stderr)
    return INTERRUPTED


def _failed(error: Refused, output: Output, args: list[str]) -> int:
    if "--debug" in args:
        import traceback

        traceback.print_exc()
    with output.best_effort():
        output.error(error)
    return error.exit_code
