"""The commands of `python -m app`: the processes and tools of this service."""

import argparse
import sys

import uvloop

from app.http import logs
from app.main import create_api
from app.main import create_app
from app.main import create_internal_app
from app.pattern import Command
from app.patterns import MIDDLEWARE
from app.patterns import PATTERNS
from app.server import public_port
from app.server import run
from app.service import Service
from app.settings import SettingsError


def _api(_: argparse.Namespace) -> int:
    service = Service(PATTERNS)
    logs.configure(service.core.log_level)
    api = create_api(service)
    work = public_port(service, create_app(service, api, MIDDLEWARE))
    uvloop.run(run(service, create_internal_app(service, api), work, balanced=True))
    return 0


API = Command(name="api", help="serve HTTP", run=_api)


def main() -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m app")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (API, *(c for pattern in PATTERNS for c in pattern.commands)):
        sub = commands.add_parser(command.name, help=command.help)
        command.arguments(sub)
        sub.set_defaults(run=command.run)
    arguments = parser.parse_args()
    try:
        return int(arguments.run(arguments))
    except (SettingsError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
