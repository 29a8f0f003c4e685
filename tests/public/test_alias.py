"""alias: this package under the name `serverwamp`. In child processes, as it changes what `import` finds."""

from support.isolated import run_isolated


def test_installed() -> None:
    run_isolated(
        """
        import serverwamp_fast
        serverwamp_fast.install()

        import serverwamp
        import serverwamp.adapters.asyncio
        from serverwamp import Application, RPCRouteSet
        from serverwamp.adapters.async_base import AsyncSupport
        from serverwamp.protocol import WAMPMsgParseError
        import serverwamp_fast.adapters.async_base, serverwamp_fast.adapters.asyncio

        assert serverwamp is serverwamp_fast
        assert serverwamp.adapters is serverwamp_fast.adapters
        assert serverwamp.adapters.asyncio is serverwamp_fast.adapters.asyncio
        assert Application is serverwamp_fast.Application
        assert RPCRouteSet is serverwamp_fast.RPCRouteSet
        assert AsyncSupport is serverwamp_fast.adapters.async_base.AsyncSupport
        assert WAMPMsgParseError is serverwamp_fast.errors.WAMPMsgParseError
        """
    )


def test_every_module_of_serverwamp_is_there() -> None:
    run_isolated(
        """
        import importlib, pkgutil, sys
        from pathlib import Path
        from importlib.util import find_spec

        folder = Path(find_spec('serverwamp').origin).parent
        assert 'serverwamp' not in sys.modules
        names = [
            module.name for module in pkgutil.walk_packages([str(folder)], 'serverwamp.')
        ]
        assert 'serverwamp.rpc' in names and len(names) > 10
        sys.modules.pop('serverwamp', None)
        for name in [name for name in sys.modules if name.startswith('serverwamp.')]:
            del sys.modules[name]

        import serverwamp_fast
        serverwamp_fast.install()
        for name in names:
            module = importlib.import_module(name)
            real = importlib.import_module(name.replace('serverwamp', 'serverwamp_fast', 1))
            assert module is real, name
            assert sys.modules[name] is real
            assert module.__name__ == module.__spec__.name == real.__name__
            assert module.__spec__.loader is module.__loader__
        """
    )


def test_modules_that_were_imported_before_and_after() -> None:
    run_isolated(
        """
        import serverwamp_fast.rpc
        before = serverwamp_fast.rpc
        serverwamp_fast.install()
        import serverwamp.rpc
        assert serverwamp.rpc is before
        import serverwamp.adapters.trio as after
        import serverwamp_fast.adapters.trio
        assert after is serverwamp_fast.adapters.trio
        """
    )


def test_extension_modules() -> None:
    run_isolated(
        """
        import serverwamp_fast
        serverwamp_fast.install()
        import serverwamp._core.dealer.routes
        from serverwamp._core.dealer.plans import CallPlan
        import serverwamp_fast._core.dealer.plans, serverwamp_fast._core.dealer.routes
        assert serverwamp._core.dealer.routes is serverwamp_fast._core.dealer.routes
        assert CallPlan is serverwamp_fast._core.dealer.plans.CallPlan
        assert serverwamp._core.dealer.routes.__spec__.name == 'serverwamp_fast._core.dealer.routes'
        """
    )


def test_installing_twice() -> None:
    run_isolated(
        """
        import sys
        import serverwamp_fast
        serverwamp_fast.install()
        finders = list(sys.meta_path)
        serverwamp_fast.install()
        assert sys.meta_path == finders
        import serverwamp
        assert serverwamp is serverwamp_fast
        serverwamp_fast.uninstall()
        assert len(sys.meta_path) == len(finders) - 1
        """
    )


def test_refuses_when_the_original_is_there() -> None:
    run_isolated(
        """
        import sys
        import serverwamp.rpc
        import serverwamp_fast
        finders = list(sys.meta_path)
        original, modules = serverwamp, dict(sys.modules)
        try:
            serverwamp_fast.install()
        except RuntimeError as error:
            assert 'before anything imports serverwamp, or pass force=True' in str(error)
        else:
            raise AssertionError
        # Nothing has changed.
        import serverwamp
        assert serverwamp is original
        assert sys.meta_path == finders
        assert {name: sys.modules[name] for name in modules} == modules
        """
    )


def test_refuses_for_a_submodule_too() -> None:
    run_isolated(
        """
        import sys
        import serverwamp.helpers
        import serverwamp_fast
        del sys.modules['serverwamp']
        try:
            serverwamp_fast.install()
        except RuntimeError:
            pass
        else:
            raise AssertionError
        """
    )


def test_forced() -> None:
    run_isolated(
        """
        import serverwamp.rpc
        import serverwamp_fast
        original = serverwamp
        serverwamp_fast.install(force=True)
        import serverwamp.rpc
        import serverwamp_fast.rpc
        assert serverwamp is serverwamp_fast
        assert serverwamp.rpc is serverwamp_fast.rpc
        # Who has the original keeps it.
        assert original is not serverwamp_fast
        assert original.rpc is not serverwamp_fast.rpc
        """
    )


def test_uninstalled() -> None:
    run_isolated(
        """
        import sys
        import serverwamp_fast, serverwamp_fast.rpc
        serverwamp_fast.install()
        import serverwamp.rpc
        serverwamp_fast.uninstall()
        assert not [name for name in sys.modules if name.split('.')[0] == 'serverwamp']
        assert sys.modules['serverwamp_fast.rpc'] is serverwamp_fast.rpc

        import serverwamp.rpc
        assert serverwamp is not serverwamp_fast
        assert serverwamp.__name__ == 'serverwamp'
        assert serverwamp.rpc.RPCRouter is not serverwamp_fast.rpc.RPCRouter

        # The original is left alone.
        serverwamp_fast.uninstall()
        assert sys.modules['serverwamp'] is serverwamp
        """
    )


def test_installed_again() -> None:
    run_isolated(
        """
        import serverwamp_fast
        for _ in range(2):
            serverwamp_fast.install()
            import serverwamp.protocol
            assert serverwamp is serverwamp_fast
            serverwamp_fast.uninstall()
        """
    )


def test_without_the_original() -> None:
    run_isolated(
        """
        import sys
        from importlib.abc import MetaPathFinder

        class Blocker(MetaPathFinder):
            def find_spec(self, fullname, path, target=None):
                if fullname.split('.')[0] == 'serverwamp':
                    raise ModuleNotFoundError(fullname)

        sys.meta_path.insert(0, Blocker())
        import serverwamp_fast
        serverwamp_fast.install()
        import serverwamp.events
        assert serverwamp is serverwamp_fast
        serverwamp_fast.uninstall()
        try:
            import serverwamp
        except ModuleNotFoundError:
            pass
        else:
            raise AssertionError
        """
    )


def test_modules_that_do_not_exist() -> None:
    run_isolated(
        """
        import importlib
        import serverwamp_fast
        serverwamp_fast.install()
        for name in 'serverwamp.nothing', 'serverwamp.adapters.nothing', 'serverwamp.rpc.nothing':
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                assert error.name == name, error.name
            else:
                raise AssertionError(name)
        # Names that only begin like it are none of its business.
        for name in 'serverwampx', 'serverwamp_fastx':
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                continue
            raise AssertionError(name)
        """
    )


def test_specs_are_those_of_this_package() -> None:
    # importlib.reload(), importlib.resources and pickle go by them.
    run_isolated(
        """
        import importlib, importlib.resources, pickle
        import serverwamp_fast
        serverwamp_fast.install()
        import serverwamp, serverwamp.errors
        assert serverwamp.__spec__.name == 'serverwamp_fast'
        assert serverwamp.errors.__spec__.name == 'serverwamp_fast.errors'
        assert importlib.reload(serverwamp.errors) is serverwamp_fast.errors
        assert importlib.resources.files('serverwamp').joinpath('py.typed').is_file()
        from serverwamp.rpc import RPCResult
        pickled = pickle.dumps(RPCResult((1,)))
        assert b'serverwamp_fast' in pickled
        assert pickle.loads(pickled) == RPCResult((1,))
        """
    )


def test_imports_of_several_threads() -> None:
    run_isolated(
        """
        import importlib, sys, threading
        import serverwamp_fast
        serverwamp_fast.install()
        names = [
            'rpc', 'events', 'routing', 'session', 'connection', 'protocol', 'json', 'helpers',
            'adapters.asyncio', 'adapters.trio', 'adapters.anyio', 'adapters.asgi', 'adapters.aiohttp',
        ]
        together = threading.Barrier(len(names))
        sys.setswitchinterval(1e-6)

        def load(name):
            together.wait()
            importlib.import_module(f'serverwamp.{name}')

        threads = [threading.Thread(target=load, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in names:
            module = sys.modules[f'serverwamp.{name}']
            assert module is sys.modules[f'serverwamp_fast.{name}']
            assert module.__spec__.name == f'serverwamp_fast.{name}'
        """
    )


def test_adapters_are_there_as_an_attribute() -> None:
    """As they are of serverwamp, which imports its async_base by itself."""
    run_isolated(
        """
        import sys
        import serverwamp_fast

        assert serverwamp_fast.adapters.async_base.AsyncSupport
        # And nothing that needs a library that need not be there.
        assert not {'aiohttp', 'anyio', 'trio', 'uvloop', 'websockets'} & sys.modules.keys()
        """
    )
