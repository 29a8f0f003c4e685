"""What the log tells of settings that let strangers in, or tell them something."""

import asyncio
import logging
import signal
from typing import Any

import pytest
from compat.test_documented import run

import serverwamp_fast as wamp


def warnings_of(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [
        r.getMessage()
        for r in caplog.records
        if r.levelname == 'WARNING' and text in r.getMessage()
    ]


@pytest.mark.parametrize(('options', 'count'), [
    ({}, 1), ({'allow_default_realm': True}, 0), ({'allow_default_realm': False}, 0),
])  # fmt: skip
@pytest.mark.parametrize(
    'server', ['asgi_application', 'aiohttp_websocket_handler', 'websockets_handler', None]
)
def test_default_realm(
    options: Any, count: int, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = wamp.Application(**options)
    app.add_realm(wamp.Realm('shop'))
    for _ in range(2):
        if server:
            getattr(app, server)()
        else:
            run(app, realm='elsewhere')
    lines = warnings_of(caplog, 'allow_default_realm=False')
    assert len(lines) == count
    assert all('shop' in line for line in lines)


@pytest.mark.parametrize(('options', 'count'), [
    ({}, 1), ({'allow_default_realm': True}, 0), ({'allow_default_realm': False}, 0),
])  # fmt: skip
def test_default_realm_on_the_native_server(
    options: Any, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = wamp.Application(**options)
    app.add_realm(wamp.Realm('shop'))

    async def main() -> None:
        for _ in range(2):
            server = await app.serve('127.0.0.1', 0)
            # At start, not when the first client comes.
            assert len(warnings_of(caplog, 'allow_default_realm=False')) == count
            server.close()
            await server.wait_closed()

    asyncio.run(main())
    lines = warnings_of(caplog, 'allow_default_realm=False')
    assert len(lines) == count
    assert all('shop' in line for line in lines)


def test_default_realm_of_run(caplog: pytest.LogCaptureFixture) -> None:
    """Serves until the line that says where comes, and ends then as by Ctrl-C."""
    caplog.set_level(logging.INFO, 'serverwamp_fast')
    app = wamp.Application()
    app.add_realm(wamp.Realm('shop'))

    class Interrupt(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            signal.raise_signal(signal.SIGINT)

    interrupt = Interrupt()
    run_logger = logging.getLogger('serverwamp_fast.adapters.native_run')
    run_logger.addHandler(interrupt)
    try:
        app.run(port=0)
    finally:
        run_logger.removeHandler(interrupt)
    names = [record.name for record in caplog.records]
    assert names == ['serverwamp_fast.application', 'serverwamp_fast.adapters.native_run']
    (line,) = warnings_of(caplog, 'allow_default_realm=False')
    assert 'shop' in line


def test_only_a_default_realm(caplog: pytest.LogCaptureFixture) -> None:
    app = wamp.Application()
    app.asgi_application()
    run(app)
    assert warnings_of(caplog, 'allow_default_realm') == []


async def look_up(session: Any) -> Any:
    return None


@pytest.mark.parametrize('name', ['set_cra_handlers', 'set_scram_handlers'])
def test_mocks(name: str, caplog: pytest.LogCaptureFixture) -> None:
    realm = wamp.Realm('shop')
    mock = wamp.CRAAuthRequirement('', auth_role='a', auth_provider='b')
    if name == 'set_scram_handlers':
        mock = wamp.derive_scram_credential('nobody')
    getattr(realm, name)(look_up, look_up, mock=mock)
    assert warnings_of(caplog, 'mock=') == []
    for _ in range(2):
        getattr(realm, name)(look_up, look_up)
    (line,) = warnings_of(caplog, 'mock=')
    assert f'{name}()' in line
    assert 'shop' in line
