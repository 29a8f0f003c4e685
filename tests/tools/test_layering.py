"""The order of the modules: left may import right, never back.

    adapters -> application -> driving, default_realm -> reading -> realm, handlers -> authentication
    -> rpc, events, publishing -> routing, session -> protocol -> json, helpers, connection, auth -> _core -> errors,
    and other modules that import nothing

The core is a house of floors, a folder each. A floor may cimport and import only from itself and from those below it:

    native -> dialogue -> broker -> dealer -> session -> framing -> wire -> base

Within a floor modules may use each other, but not in a circle.

What counts is what runs when a module is imported. A function may import from the left only where
LATER says so. Imports for the type checker alone are free; where they go back, a failure mentions
them, as they often tell its reason.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGE = 'serverwamp_fast'

# The first ones may import everything and are imported by none. `''` is the package itself.
LAYERS = [
    {'', '__main__', 'bench_command'},
    {'adapters'},
    {'application'},
    # Parts of the application: what drives its sessions, and its default realm's settings.
    {'driving', 'default_realm'},
    {'reading'},
    {'realm', 'handlers'},
    {'authentication'},
    {'rpc', 'events', 'publishing'},
    {'routing', 'session'},
    {'protocol'},
    {'json', 'helpers', 'connection', 'auth', 'built', 'limits', 'async_support'},
    {'_core', '_core.codecs', '_core.native'},
    {'_core.dialogue'},
    {'_core.broker'},
    {'_core.dealer'},
    {'_core.session'},
    {'_core.framing'},
    {'_core.wire'},
    {'_core.base'},
    {'errors', 'clients', 'mistakes', 'lone_arguments', 'alias', 'contexts', '__about__'},
]
# The application makes adapters for libraries that need not be installed, so it loads them when
# they are asked for.
LATER = {('application', 'adapters')}

# The core is synchronous: all of it can be driven without an event loop, but for the native
# transport.
LOOP_LIBRARIES = {'asyncio', 'anyio', 'trio', 'uvloop'}
LOOP_ALLOWED = {('_core.native.hubs', 'asyncio')}


@dataclass(frozen=True)
class Import:
    """`module` and `target` are dotted names, in this package without its own name in front."""

    module: str
    target: str
    place: str
    when: str = 'import'  # or 'call' or 'typing'
    ours: bool = True


def find_room(module: str) -> str:
    """Return what of a module's name has a place in LAYERS: its first part, and of the core also the floor."""
    parts = module.split('.')
    return '.'.join(parts[: 2 if parts[0] == '_core' else 1])


def find_layer(module: str) -> int | None:
    room = find_room(module)
    return next((number for number, rooms in enumerate(LAYERS) if room in rooms), None)


def is_module(root: Path, name: str) -> bool:
    path = root / PACKAGE / name.replace('.', '/')
    source = root / f'{name.replace(".", "/")}.pyx'
    return (
        path.with_suffix('.py').is_file()
        or (path / '__init__.py').is_file()
        or (name.startswith('_core.') and (path.with_suffix('.pxd').is_file() or source.is_file()))
    )


def resolve_targets(
    root: Path, module: str, is_package: bool, level: int, source: str, names: list[str]
) -> Iterator[tuple[str, bool]]:
    """Yield (dotted name, whether ours) of what `from <level dots><source> import <names>` gets."""
    if level:
        parts = [PACKAGE, *module.split('.')] if module else [PACKAGE]
        parts = parts[: len(parts) - level + is_package]
        source = '.'.join([*parts, *filter(None, [source])])
    if source.partition('.')[0] != PACKAGE:
        yield source, False
        return
    package = source.removeprefix(PACKAGE).removeprefix('.')
    for name in names or ['']:
        inner = '.'.join(filter(None, [package, name]))
        yield (inner if name and is_module(root, inner) else package), True


class PythonImports(ast.NodeVisitor):
    """Collects the imports of one Python module."""

    def __init__(self, root: Path, path: Path) -> None:
        parts = path.relative_to(root / PACKAGE).with_suffix('').parts
        self.is_package = parts[-1] == '__init__'
        self.module = '.'.join(parts[:-1] if self.is_package else parts)
        self.root = root
        self.path = path.relative_to(root)
        self.when = 'import'
        self.found: list[Import] = []
        self.visit(ast.parse(path.read_text('utf-8')))

    def add(self, node: ast.stmt, level: int, source: str, names: list[str]) -> None:
        place = f'{self.path}:{node.lineno}'
        for target, ours in resolve_targets(
            self.root, self.module, self.is_package, level, source, names
        ):
            self.found.append(Import(self.module, target, place, self.when, ours))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(node, 0, alias.name, [])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.add(node, node.level, node.module or '', [alias.name for alias in node.names])

    def visit_later(self, node: ast.AST) -> None:
        before, self.when = self.when, 'call'
        self.generic_visit(node)
        self.when = before

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_later

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in ('TYPE_CHECKING', 'typing.TYPE_CHECKING'):
            self.generic_visit(node)
            return
        before, self.when = self.when, 'typing'
        for statement in node.body:
            self.visit(statement)
        self.when = before
        for statement in node.orelse:
            self.visit(statement)


CYTHON_FROM = re.compile(r'^\s*from\s+(\.*)([\w.]*)\s+c?import\s+(\([^)]*\)|.+)', re.MULTILINE)
CYTHON_IMPORT = re.compile(r'^\s*c?import\s+(.+)', re.MULTILINE)
ASYNC_FUNCTION = re.compile(r'^\s*async\s+def\s', re.MULTILINE)
NO_CODE = re.compile(r"""\"\"\".*?\"\"\"|'''.*?'''|#[^\n]*""", re.DOTALL)


def read_cython(path: Path) -> str:
    """Return the source with comments and docstrings blanked out, its lines where they were."""
    return NO_CODE.sub(lambda match: '\n' * match.group().count('\n'), path.read_text('utf-8'))


def find_cython_sources(root: Path) -> list[Path]:
    return sorted([*root.glob('_core/**/*.pyx'), *root.glob(f'{PACKAGE}/_core/**/*.pxd')])


def name_cython_module(root: Path, path: Path) -> str:
    """Return the dotted name of a source or of an interface, which lie in folders of the same names."""
    parts = path.relative_to(root).with_suffix('').parts
    return '.'.join(parts[parts.index('_core') :])


def find_cython_imports(root: Path, path: Path) -> Iterator[Import]:
    module = name_cython_module(root, path)
    text = read_cython(path)
    for match in [*CYTHON_FROM.finditer(text), *CYTHON_IMPORT.finditer(text)]:
        # The pattern's leading white space may span lines; the statement is what counts.
        line = text.count('\n', 0, match.end()) + 1 - match.group(0).strip().count('\n')
        place = f'{path.relative_to(root)}:{line}'
        if match.re is CYTHON_FROM:
            dots, source, names = match.groups()
            statements = [(len(dots), source, split_names(names))]
        else:
            statements = [(0, name, []) for name in split_names(match.group(1))]
        for level, source, names in statements:
            for target, ours in resolve_targets(root, module, False, level, source, names):
                yield Import(module, target, place, ours=ours)


def split_names(text: str) -> list[str]:
    """Return the names of `a, b as c` or `(a, b)`."""
    return [part.split()[0] for part in text.strip('()\n ').split(',') if part.strip()]


def find_imports(root: Path) -> list[Import]:
    found = []
    for path in sorted(root.glob(f'{PACKAGE}/**/*.py')):
        found += PythonImports(root, path).found
    for path in find_cython_sources(root):
        found += find_cython_imports(root, path)
    return found


def find_modules(root: Path) -> set[str]:
    modules = {name_cython_module(root, path) for path in find_cython_sources(root)}
    for path in root.glob(f'{PACKAGE}/**/*.py'):
        parts = path.relative_to(root / PACKAGE).with_suffix('').parts
        modules.add('.'.join(part for part in parts if part != '__init__'))
    return modules


def reaching(graph: dict[str, set[str]], target: str) -> set[str]:
    """Return the modules from which a way leads to the target."""
    found = {target}
    while more := {module for module, targets in graph.items() if targets & found} - found:
        found |= more
    return found


def find_circles(imports: list[Import]) -> list[str]:
    """Return a sentence for each circle of modules of the core, by the first of them."""
    graph: dict[str, set[str]] = {}
    for found in imports:
        if found.ours and find_room(found.module) == find_room(found.target) and found.target != found.module:
            graph.setdefault(found.module, set()).add(found.target)
    faults = []
    for module in sorted(graph):
        seen, rest = set(), [module]
        while rest:
            new = graph.get(rest.pop(), set()) - seen
            seen |= new
            rest += new
        if module in seen and module.startswith('_core.') and module == min(seen & reaching(graph, module)):
            faults.append(f'{PACKAGE}.{module} imports itself by way of others.')
    return faults


def find_faults(root: Path) -> list[str]:
    """Return a sentence for each place in the tree that breaks the order."""
    faults = [
        f'{PACKAGE}.{module} has no place in LAYERS, tests/tools/test_layering.py.'
        for module in sorted(find_modules(root))
        if find_layer(module) is None
    ]
    back_for_typing = []
    for found in find_imports(root):
        if not found.ours:
            library = found.target.partition('.')[0]
            if (
                found.module.startswith('_core.')
                and library in LOOP_LIBRARIES
                and (found.module, library) not in LOOP_ALLOWED
            ):
                faults.append(f'{found.place}: the core is synchronous and must not use {library}.')
            continue
        here, there = find_layer(found.module), find_layer(found.target)
        if here is None or there is None or there >= here:
            continue
        sentence = f'{found.place}: {found.module} imports {found.target or PACKAGE}, to its left'
        rooms = found.module.partition('.')[0], found.target.partition('.')[0]
        if found.when == 'typing':
            back_for_typing.append(f'(For the type checker alone, so allowed: {sentence}.)')
        elif found.when == 'import' or rooms not in LATER:
            faults.append(f'{sentence}.')
    for path in find_cython_sources(root):
        text = read_cython(path)
        for match in ASYNC_FUNCTION.finditer(text):
            line = text.count('\n', 0, match.end()) + 1
            place = f'{path.relative_to(root)}:{line}'
            faults.append(f'{place}: the core is synchronous, no async def.')
    faults += find_circles(find_imports(root))
    return faults + back_for_typing if faults else []


def test_modules_import_only_to_the_right():
    assert find_faults(REPOSITORY) == []


def test_the_tree_is_really_read():
    found = find_imports(REPOSITORY)
    pairs = {(entry.module, entry.target) for entry in found}
    assert {('_core.dealer.routes', 'errors'), ('connection', 'errors')} <= pairs
    assert {'errors', 'connection', '_core.dealer.routes'} <= find_modules(REPOSITORY)


GOOD_TREE = {
    'serverwamp_fast/__init__.py': 'from serverwamp_fast.application import Application\n',
    'serverwamp_fast/adapters/__init__.py': '',
    'serverwamp_fast/adapters/asgi.py': 'import asyncio\nfrom ..connection import Connection\n',
    'serverwamp_fast/application.py': (
        'from serverwamp_fast.session import Session\n'
        'def asgi_application():\n'
        '    from serverwamp_fast.adapters import asgi\n'
    ),
    'serverwamp_fast/session.py': 'from ._core.framing import websocket\n',
    'serverwamp_fast/protocol.py': (
        'from typing import TYPE_CHECKING\n'
        'if TYPE_CHECKING:\n'
        '    from serverwamp_fast.session import Session\n'
    ),
    'serverwamp_fast/connection.py': 'from serverwamp_fast.errors import ConnectionClosed\n',
    'serverwamp_fast/errors.py': '',
    'serverwamp_fast/_core/__init__.py': '',
    'serverwamp_fast/_core/framing/websocket.pxd': 'from ..base.utf8 cimport Utf8Reader\n',
    'serverwamp_fast/_core/native/hubs.pxd': 'cimport cython\n',
    '_core/framing/websocket.pyx': (
        '"""Nothing is\nimport asyncio\nhere."""\n'
        'from libc.string cimport (memcpy,\n    memmove)\n'
        'from serverwamp_fast.errors import FrameError\n'
    ),
    '_core/native/hubs.pyx': 'import asyncio\nfrom ..framing.websocket cimport FrameReader\n',
    'serverwamp_fast/_core/wire/messages.pxd': '',
    '_core/native/peers.pyx': 'from .hubs cimport Hub\n',
    '_core/base/utf8.pyx': '# async def is not for the core\n',
}


def make_tree(root: Path, changes: dict[str, str]) -> Path:
    for name, text in (GOOD_TREE | changes).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, 'utf-8')
    return root


def test_a_tree_in_order_has_no_faults(tmp_path):
    assert find_faults(make_tree(tmp_path, {})) == []


@pytest.mark.parametrize(
    ('name', 'text', 'fault'),
    [
        (
            'serverwamp_fast/connection.py',
            '\nimport serverwamp_fast.session',
            'serverwamp_fast/connection.py:2: connection imports session, to its left.',
        ),
        (
            'serverwamp_fast/connection.py',
            'from . import session',
            'serverwamp_fast/connection.py:1: connection imports session, to its left.',
        ),
        (
            'serverwamp_fast/session.py',
            'from .adapters.asgi import Connection',
            'serverwamp_fast/session.py:1: session imports adapters.asgi, to its left.',
        ),
        (
            'serverwamp_fast/session.py',
            'from serverwamp_fast import Application',
            'serverwamp_fast/session.py:1: session imports serverwamp_fast, to its left.',
        ),
        (
            'serverwamp_fast/session.py',
            'def late():\n    from .application import Application',
            'serverwamp_fast/session.py:2: session imports application, to its left.',
        ),
        (
            'serverwamp_fast/application.py',
            'from .adapters import asgi',
            'serverwamp_fast/application.py:1: application imports adapters.asgi, to its left.',
        ),
        (
            'serverwamp_fast/errors.py',
            'from ._core.framing.websocket import FrameReader',
            'serverwamp_fast/errors.py:1: errors imports _core.framing.websocket, to its left.',
        ),
        (
            'serverwamp_fast/protocol.py',
            'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import this\n'
            'else:\n    from serverwamp_fast.session import Session',
            'serverwamp_fast/protocol.py:5: protocol imports session, to its left.',
        ),
        (
            'serverwamp_fast/metrics.py',
            '',
            'serverwamp_fast.metrics has no place in LAYERS, tests/tools/test_layering.py.',
        ),
        (
            '_core/framing/websocket.pyx',
            '\n\nfrom serverwamp_fast.connection import Connection',
            '_core/framing/websocket.pyx:3: _core.framing.websocket imports connection, to its left.',
        ),
        (
            '_core/framing/websocket.pyx',
            'cdef int late() except -1:\n    from serverwamp_fast import session',
            '_core/framing/websocket.pyx:2: _core.framing.websocket imports session, to its left.',
        ),
        (
            'serverwamp_fast/_core/framing/websocket.pxd',
            'from ...protocol cimport message',
            'serverwamp_fast/_core/framing/websocket.pxd:1: _core.framing.websocket imports protocol, to its left.',
        ),
        (
            '_core/base/utf8.pyx',
            'from ..framing.websocket cimport FrameReader',
            '_core/base/utf8.pyx:1: _core.base.utf8 imports _core.framing.websocket, to its left.',
        ),
        (
            'serverwamp_fast/_core/base/utf8.pxd',
            'from ..wire.messages cimport CALL',
            'serverwamp_fast/_core/base/utf8.pxd:1: _core.base.utf8 imports _core.wire.messages, to its left.',
        ),
        (
            '_core/native/hubs.pyx',
            'from .hubs cimport Hub\nfrom .peers cimport Peer',
            'serverwamp_fast._core.native.hubs imports itself by way of others.',
        ),
        (
            '_core/framing/websocket.pyx',
            'import os, asyncio',
            '_core/framing/websocket.pyx:1: the core is synchronous and must not use asyncio.',
        ),
        (
            '_core/native/hubs.pyx',
            'import uvloop',
            '_core/native/hubs.pyx:1: the core is synchronous and must not use uvloop.',
        ),
        (
            '_core/native/hubs.pyx',
            'import asyncio\n\nclass Transport:\n    async def read(self):\n        pass',
            '_core/native/hubs.pyx:4: the core is synchronous, no async def.',
        ),
    ],
)
def test_a_tree_out_of_order_is_found_out(tmp_path, name, text, fault):
    faults = find_faults(make_tree(tmp_path, {name: text}))
    assert faults[0] == fault
    assert [entry for entry in faults[1:] if not entry.startswith('(For the type checker')] == []


def test_a_failure_mentions_what_goes_back_for_the_type_checker(tmp_path):
    faults = find_faults(make_tree(tmp_path, {'_core/base/utf8.pyx': 'import asyncio'}))
    assert faults[1:] == [
        '(For the type checker alone, so allowed: serverwamp_fast/protocol.py:3: '
        'protocol imports session, to its left.)'
    ]
