"""install() and uninstall(): another package under the name `serverwamp`, tried in processes of their own."""

import subprocess
import sys
import textwrap

import pytest

from compat.packages import SUBJECT
from compat.test_api import MODULES

pytestmark = pytest.mark.skipif(
    SUBJECT.is_oracle, reason='serverwamp needs no other name for itself'
)


def run_python(code: str) -> None:
    """Runs code in a fresh interpreter. Anything on stderr is a failure too."""
    result = subprocess.run(
        [
            sys.executable,
            '-W',
            'error::DeprecationWarning:serverwamp_fast',
            '-c',
            textwrap.dedent(code),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ''


def test_every_module_is_the_same_object() -> None:
    run_python(f"""
        import importlib, sys
        import serverwamp_fast
        serverwamp_fast.install()
        import serverwamp
        assert serverwamp is serverwamp_fast
        for name in {MODULES!r}:
            ours = importlib.import_module(f'serverwamp_fast.{{name}}')
            alias = importlib.import_module(f'serverwamp.{{name}}')
            assert alias is ours is sys.modules[f'serverwamp.{{name}}'], name
            assert alias.__name__ == alias.__spec__.name == f'serverwamp_fast.{{name}}', alias.__spec__
        assert serverwamp_fast.__spec__.name == 'serverwamp_fast'
    """)


def test_imports_of_every_form() -> None:
    run_python("""
        import serverwamp_fast
        serverwamp_fast.install()
        import serverwamp as s
        import serverwamp.adapters.trio
        from serverwamp import Application, rpc
        from serverwamp.adapters import asgi
        from serverwamp.adapters.trio import TrioAsyncSupport
        from serverwamp.rpc import RPCRequest, RPCResult
        import serverwamp_fast.adapters.trio, serverwamp_fast.adapters.asgi
        assert Application is serverwamp_fast.Application
        assert rpc is serverwamp_fast.rpc
        assert asgi is serverwamp_fast.adapters.asgi
        assert TrioAsyncSupport is serverwamp_fast.adapters.trio.TrioAsyncSupport
        assert serverwamp.adapters.trio is serverwamp_fast.adapters.trio
        assert RPCResult is serverwamp_fast.RPCResult
        try:
            import serverwamp.no_such_module
        except ModuleNotFoundError as error:
            assert 'no_such_module' in str(error)
        else:
            raise AssertionError('imported a module that is not there')
    """)


def test_alias_first_and_own_name_later() -> None:
    """Submodules are not run twice when the alias is what asks for them first."""
    run_python("""
        import serverwamp_fast
        serverwamp_fast.install()
        from serverwamp.adapters import anyio as alias
        from serverwamp_fast.adapters import anyio as own
        assert alias is own
        import serverwamp.helpers
        assert serverwamp_fast.helpers is serverwamp.helpers
    """)


def test_idempotent() -> None:
    run_python("""
        import sys
        import serverwamp_fast
        serverwamp_fast.install()
        finders, modules = list(sys.meta_path), dict(sys.modules)
        serverwamp_fast.install()
        serverwamp_fast.install(force=True)
        assert sys.meta_path == finders
        assert dict(sys.modules) == modules
    """)


@pytest.mark.parametrize(
    'module', ['serverwamp', 'serverwamp.rpc', 'serverwamp.adapters.async_base']
)
def test_refuses_when_the_original_is_there(module: str) -> None:
    run_python(f"""
        import logging; logging.disable(logging.CRITICAL)
        import sys
        import {module}
        import serverwamp_fast
        original = sys.modules['serverwamp']
        try:
            serverwamp_fast.install()
        except RuntimeError as error:
            assert 'serverwamp' in str(error)
        else:
            raise AssertionError('installed over the original')
        import serverwamp
        assert serverwamp is original is not serverwamp_fast
        from serverwamp.routing import URIsRouter
        assert URIsRouter.__module__ == 'serverwamp.routing'
    """)


def test_force() -> None:
    run_python("""
        import logging; logging.disable(logging.CRITICAL)
        import serverwamp, serverwamp.rpc
        original = serverwamp
        import serverwamp_fast
        serverwamp_fast.install(force=True)
        import serverwamp
        from serverwamp.rpc import RPCRouter
        assert serverwamp is serverwamp_fast is not original
        assert RPCRouter is serverwamp_fast.rpc.RPCRouter
    """)


def test_uninstall_restores() -> None:
    run_python("""
        import logging; logging.disable(logging.CRITICAL)
        import sys
        import serverwamp_fast
        finders = list(sys.meta_path)
        serverwamp_fast.install()
        import serverwamp.rpc
        serverwamp_fast.uninstall()
        serverwamp_fast.uninstall()
        assert sys.meta_path == finders
        assert not [name for name in sys.modules if name.split('.')[0] == 'serverwamp']
        import serverwamp
        import serverwamp.adapters.asyncio
        assert serverwamp is not serverwamp_fast
        assert serverwamp.Application.__module__ == 'serverwamp.application'
        assert serverwamp_fast.Application.__module__ == 'serverwamp_fast.application'
    """)


def test_uninstall_after_force_gives_the_original_back() -> None:
    run_python("""
        import logging; logging.disable(logging.CRITICAL)
        import serverwamp
        original = serverwamp.Application
        import serverwamp_fast
        serverwamp_fast.install(force=True)
        serverwamp_fast.uninstall()
        import serverwamp
        assert serverwamp is not serverwamp_fast
        assert serverwamp.Application.__qualname__ == original.__qualname__
        assert serverwamp.Application.__module__ == 'serverwamp.application'
    """)


def test_not_installed_by_importing() -> None:
    run_python("""
        import logging; logging.disable(logging.CRITICAL)
        import sys
        import serverwamp_fast
        assert 'serverwamp' not in sys.modules
        import serverwamp
        assert serverwamp is not serverwamp_fast
    """)


def test_pickles_and_reloads_survive() -> None:
    """Objects know their module by its own name, so what was pickled under the alias is found without it."""
    run_python("""
        import pickle
        import serverwamp_fast
        serverwamp_fast.install()
        from serverwamp.rpc import RPCResult
        data = pickle.dumps(RPCResult(args=(1,)))
        serverwamp_fast.uninstall()
        assert pickle.loads(data) == serverwamp_fast.RPCResult(args=(1,))
    """)


def test_an_aliased_application_serves() -> None:
    run_python("""
        import asyncio
        import serverwamp_fast
        serverwamp_fast.install()
        import serverwamp
        from serverwamp.connection import Connection
        from serverwamp.adapters.asyncio import AsyncioAsyncSupport

        class Recorded(Connection):
            sent = []
            async def iterate_msgs(self):
                yield [1, 'realm', {'roles': {}}]
                yield [48, 1, {}, 'echo', [5]]
                while len(self.sent) < 2:
                    await asyncio.sleep(0.001)
            async def send_msg(self, msg):
                self.sent.append(msg)
            async def close(self):
                pass

        app = serverwamp.Application(async_support=AsyncioAsyncSupport)
        routes = serverwamp.RPCRouteSet()

        @routes.route('echo')
        async def echo(value):
            return value

        app.add_rpc_routes(routes)
        asyncio.run(asyncio.wait_for(app.handle_connection(Recorded()), 10))
        assert [message[0] for message in Recorded.sent] == [2, 50], Recorded.sent
        assert list(Recorded.sent[1][3]) == [5]
    """)
