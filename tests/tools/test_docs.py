"""What the documentation shows: its Python runs, and clients get what it says they get.

The blocks of a page marked `python` are one module, in the order of the page. Those marked `wamp` are then
held with the `app` of that module on the native server, each in a session of its own.
"""

import importlib.util
import re
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import pytest
from support.conversations import Conversation, offered
from support.raw_client import serving

import serverwamp_fast as wamp

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
# Words on a page, and what its blocks need then beside the package's own requirements.
OPTIONAL = {'aiohttp': 'aiohttp', 'trio': 'trio', 'cryptosign': 'cryptography', 'argon2': 'argon2', 'cbor2': 'cbor2'}


def find_blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """Return the page's blocks of a language, each with the number of its first line."""
    text = page.read_text(encoding='utf-8')
    return [
        (text.count('\n', 0, found.start(1)) + 1, found[1])
        for found in re.finditer(rf'^```{language}\n(.*?)^```$', text, re.DOTALL | re.MULTILINE)
    ]


def run_page(page: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[types.ModuleType, list[Any]]:
    """Run a page's Python. Returns the module, and the applications that app.run() would have served."""
    module = types.ModuleType('page')
    served: list[Any] = []
    monkeypatch.setattr(wamp.Application, 'run', lambda app, *args, **options: served.append(app))
    # The classes that a block makes look for their module.
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for line, block in find_blocks(page, 'python'):
        exec(compile('\n' * (line - 1) + block, page, 'exec', dont_inherit=True), vars(module))
    return module, served


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_page(run, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for word, name in OPTIONAL.items():
        if word in page.read_text(encoding='utf-8') and importlib.util.find_spec(name) is None:
            pytest.skip(f'{name} is not installed')
    module, _ = run_page(page, monkeypatch)

    async def main() -> None:
        async with serving(module.app) as server:
            for line, block in find_blocks(page, 'wamp'):
                client = await server.connect(offered(block))
                try:
                    await Conversation(client).hold(block)
                except AssertionError as error:
                    raise AssertionError(f'{page.name}, the conversation in line {line}: {error}') from error
                client.close()

    if find_blocks(page, 'wamp'):
        run(main())


def test_the_readmes_ten_lines(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as a program they serve, and imported they don't."""
    served = []
    monkeypatch.setattr(wamp.Application, 'run', lambda app, **options: served.append((app, options)))
    _, block = find_blocks(ROOT / 'README.md', 'python')[0]
    exec(block, {'__name__': 'ten'})
    assert served == []
    exec(block, {'__name__': '__main__'})
    ((app, options),) = served
    assert options == {'host': '127.0.0.1', 'port': 8080}

    async def main() -> None:
        async with serving(app) as server:
            client = await server.join()
            assert await client.call(1, 'demo.add', 2, 3) == [5]

    run(main())


def test_the_reference_comes_with_what_it_imports() -> None:
    """Its pages are read from the modules, in an environment that has the dependency group `docs` alone."""
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))
    group = ' '.join(project['dependency-groups']['docs'])
    needed = set()
    for name in re.findall(r'automodule:: (\S+)$', (ROOT / 'docs/api.rst').read_text(encoding='utf-8'), re.MULTILINE):
        source = ROOT.joinpath(*name.split('.')).with_suffix('.py')
        if source.exists():
            needed |= set(re.findall(r'^ *(?:import|from) (\w+)', source.read_text(encoding='utf-8'), re.MULTILINE))
    optional = needed & project['project']['optional-dependencies'].keys()
    assert optional == {'aiohttp', 'anyio', 'trio'}
    assert [name for name in sorted(optional) if name not in group] == []


def test_every_logger_is_told() -> None:
    page = (ROOT / 'docs/serving.md').read_text(encoding='utf-8')
    names = set()
    for source in [*(ROOT / 'serverwamp_fast').glob('**/*.py'), *(ROOT / '_core').glob('**/*.pyx')]:
        text = source.read_text(encoding='utf-8')
        own = '.'.join(source.relative_to(ROOT).with_suffix('').parts).replace('_core', 'serverwamp_fast._core', 1)
        for variable, name in re.findall(r"^(\w*logger) = logging.getLogger\((.+)\)$", text, re.MULTILINE):
            # serverwamp's modules have some that nothing is logged with.
            if len(re.findall(rf'\b{variable}\b', text)) > 1:
                names.add(own if name == '__name__' else name.strip("'"))
    assert len(names) > 10
    assert [name for name in sorted(names) if f'`{name}`' not in page] == []


def test_conversations_fail_when_they_should(run) -> None:
    """The check itself: another answer, another order, a line too many."""
    app = wamp.Application(open_timeout=0.5)
    calls = wamp.RPCRouteSet()

    @calls.route('echo')
    async def echo(*args: Any) -> Any:
        return args

    app.add_rpc_routes(calls)
    app.allow_publish('news')
    app.allow_subscribe('news')

    async def main() -> None:
        async with serving(app) as server:
            for block in (
                'call echo [1]\n  result [2]\n',
                'call echo [1]\n  result [1] {"a": 2}\n',
                'call echo [1]\n  error wamp.error.runtime_error\n',
                'call nothing\n  result\n',
                'join demo\n  abort wamp.error.no_such_realm\n',
                'subscribe news\n  subscribed\npublish news\n  event news\n  with {"topic": "news"}\n',
                'offer wamp.2.msgpack\ncall echo ["\\u0000AA=="]\n  result ["\\u0000AQ=="]\n',
            ):
                client = await server.connect(offered(block))
                with pytest.raises(AssertionError):
                    await Conversation(client).hold(block)
                client.close()

    run(main())
