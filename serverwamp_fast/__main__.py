"""The command line: `serverwamp-fast serve module:app` and `bench`, also as `python -m serverwamp_fast`."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import traceback
from typing import Any

from . import __version__, install
from .adapters.native import refusing_servers
from .adapters.native_run import CannotListen
from .application import Application
from .bench_command import add_bench_parser, run_bench
from .errors import CannotServe, UnsuitableAsyncSupport

HOST, PORT = '127.0.0.1', 8080


def parse_port(text: str) -> int:
    """Return the port number that a text is."""
    try:
        port = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number') from None
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f'ports go from 0 to 65535, so {port} is none')
    return port


def parse_mode(text: str) -> int:
    """Return the file mode that a text is, in octal."""
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise argparse.ArgumentTypeError(f'{text!r} is not a file mode; write three octal digits, such as 660')
    return mode


def parse_path(text: str) -> str:
    """Return the URL path that a text is."""
    if not text.startswith('/'):
        raise argparse.ArgumentTypeError(f'URL paths begin with a slash: say /{text}, not {text}')
    return text


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog='serverwamp-fast', description='Serve WAMP from Python.')
    parser.add_argument('--version', action='version', version=f'serverwamp-fast {__version__}')
    commands = parser.add_subparsers(dest='command', required=True)
    serve = commands.add_parser('serve', help='serve an application on the native server')
    serve.add_argument('app', metavar='module:app', help='where the Application object is')
    serve.add_argument('--host', help=f'the address to listen at ({HOST})')
    serve.add_argument('--port', type=parse_port, help=f'the port to listen at ({PORT})')
    serve.add_argument('--unix', metavar='PATH', help='listen at a Unix socket instead of host and port')
    serve.add_argument(
        '--unix-mode', type=parse_mode, metavar='MODE',
        help='the permissions of the Unix socket, in octal (666: everybody may connect)',
    )
    serve.add_argument(
        '--no-goodbye', action='store_true',
        help='end with Close 1012 alone, after which more clients reconnect by themselves, instead of GOODBYE',
    )
    serve.add_argument(
        '--path', type=parse_path, action='append', help='a URL path to serve; may be repeated (every path)'
    )
    serve.add_argument(
        '--alias', action='store_true', help='let the application import this package as serverwamp'
    )
    serve.set_defaults(refuse=serve.error)
    add_bench_parser(commands)
    return parser


def load_application(name: str) -> Application:
    """Return the application that `module:app` names. Raises CannotServe, and what the module raises."""
    module_name, _, attributes = name.partition(':')
    if module_name.endswith('.py') and os.path.isfile(module_name):
        raise CannotServe(f'Name the module as an import statement does, without .py, not the file {module_name!r}.')
    if not module_name or not attributes or module_name.startswith('.'):
        raise CannotServe(f'Name the application as module:app; {name!r} is not of that form.')
    try:
        with refusing_servers(module_name):
            found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f'{module_name}.'.startswith(f'{error.name}.'):
            raise CannotServe(f'There is no module {error.name!r} to be found from {os.getcwd()}.') from error
        if error.name == 'serverwamp':
            raise CannotServe(
                f'{module_name!r} imports serverwamp, which is not installed. With --alias it gets serverwamp_fast '
                f'under that name.'
            ) from error
        raise
    for attribute in attributes.split('.'):
        if not hasattr(found, attribute):
            raise CannotServe(f'The module {module_name!r} has no {attributes!r}.')
        found = getattr(found, attribute)
    if not isinstance(found, Application):
        kind = type(found)
        if any(base.__module__.partition('.')[0] == 'serverwamp' for base in kind.__mro__):
            raise CannotServe(
                f'{name!r} is an object of serverwamp, not of serverwamp_fast. With --alias the module gets '
                f'serverwamp_fast when it imports serverwamp.'
            )
        raise CannotServe(f'{name!r} is of the type {kind.__name__}; an Application of serverwamp_fast is needed.')
    return found


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = build_parser().parse_args(argv)
    if options.command == 'bench':
        return run_bench(options)
    if options.unix is not None and (options.host is not None or options.port is not None):
        options.refuse('--unix is where to listen instead of --host and --port; leave these out, or --unix')
    if options.unix_mode is not None and options.unix is None:
        options.refuse('--unix-mode is for the socket of --unix, which is not there')
    host = HOST if options.host is None else options.host
    port = PORT if options.port is None else options.port
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(levelname)s %(name)s: %(message)s')
    sys.path.insert(0, os.getcwd())
    if options.alias:
        install()
    try:
        app = load_application(options.app)
    except CannotServe as error:
        print(f'serverwamp-fast: {error}', file=sys.stderr)
        return 2
    except Exception:
        # Of the module, as it is imported: where it comes from is what its author wants to know.
        traceback.print_exc()
        print(f'serverwamp-fast: {options.app!r} could not be loaded; the reason is above.', file=sys.stderr)
        return 2
    try:
        app.run(
            host, port, path=options.path, unix_path=options.unix,
            unix_mode=0o666 if options.unix_mode is None else options.unix_mode,
            goodbye=not options.no_goodbye,
        )
    except CannotListen as error:
        print(f'serverwamp-fast: {error}', file=sys.stderr)
        return 1
    except UnsuitableAsyncSupport as error:
        print(f'serverwamp-fast: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
