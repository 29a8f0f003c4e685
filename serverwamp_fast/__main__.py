"""The command line: `serverwamp-fast serve module:app`, also as `python -m serverwamp_fast`."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from typing import Any

from . import __version__, install
from .adapters.native import UnsuitableAsyncSupport
from .application import Application


class CannotServe(Exception):
    """What the command line asks for can't be done. The text is a sentence that says why."""


def parse_port(text: str) -> int:
    """Return the port number that a text is."""
    try:
        port = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number') from None
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f'ports go from 0 to 65535, so {port} is none')
    return port


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog='serverwamp-fast', description='Serve WAMP from Python.')
    parser.add_argument('--version', action='version', version=f'serverwamp-fast {__version__}')
    commands = parser.add_subparsers(dest='command', required=True)
    serve = commands.add_parser('serve', help='serve an application on the native server')
    serve.add_argument('app', metavar='module:app', help='where the Application object is')
    serve.add_argument('--host', default='127.0.0.1', help='the address to listen at (%(default)s)')
    serve.add_argument('--port', type=parse_port, default=8080, help='the port to listen at (%(default)s)')
    serve.add_argument('--unix', metavar='PATH', help='listen at a Unix socket instead')
    serve.add_argument('--path', action='append', help='a URL path to serve; may be repeated (every path)')
    serve.add_argument(
        '--alias', action='store_true', help='let the application import this package as serverwamp'
    )
    return parser


def load_application(name: str) -> Application:
    """Return the application that `module:app` names. Raises CannotServe, and what the module raises."""
    module_name, _, attributes = name.partition(':')
    if not module_name or not attributes or module_name.startswith('.'):
        raise CannotServe(f'Name the application as module:app; {name!r} is not of that form.')
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f'{module_name}.'.startswith(f'{error.name}.'):
            raise
        raise CannotServe(f'There is no module {error.name!r} to be found from {os.getcwd()}.') from error
    for attribute in attributes.split('.'):
        if not hasattr(found, attribute):
            raise CannotServe(f'The module {module_name!r} has no {attributes!r}.')
        found = getattr(found, attribute)
    if not isinstance(found, Application):
        raise CannotServe(
            f'{name!r} is of the type {type(found).__name__}; an Application of serverwamp_fast is needed. An '
            f'application that imports serverwamp is served with --alias.'
        )
    return found


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(levelname)s %(name)s: %(message)s')
    sys.path.insert(0, os.getcwd())
    if options.alias:
        install()
    try:
        app = load_application(options.app)
    except CannotServe as error:
        print(f'serverwamp-fast: {error}', file=sys.stderr)
        return 2
    try:
        app.run(options.host, options.port, unix_path=options.unix, path=options.path)
    except OSError as error:
        print(f'serverwamp-fast: The server can not listen there: {error}.', file=sys.stderr)
        return 1
    except UnsuitableAsyncSupport as error:
        print(f'serverwamp-fast: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
