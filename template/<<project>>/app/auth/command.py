"""`python -m app api-key NAME`: a new API key."""

import sys
from argparse import ArgumentParser
from argparse import Namespace

from app.auth.keys import BadEntry
from app.auth.keys import new_key
from app.pattern import Command


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="whose key it is")
    parser.add_argument("--tier", default="standard", help="what limits hold (standard)")
    parser.add_argument("--scopes", default="read,write", help="what it allows (read,write)")


def _run(arguments: Namespace) -> int:
    try:
        key, entry = new_key(arguments.name, arguments.tier, arguments.scopes.split(","))
    except BadEntry as error:
        print(error, file=sys.stderr)
        return 1
    print("The key, which is shown this once and stored nowhere:", key, "", sep="\n")
    print("Its entry, to be added to AUTH_API_KEYS, separated by a comma:", entry, sep="\n")
    return 0


API_KEY = Command(name="api-key", help="make an API key", run=_run, arguments=_arguments)
