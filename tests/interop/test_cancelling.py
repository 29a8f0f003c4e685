"""autobahn cancels and skips calls and sets timeouts, on every server. It closes the connection on a second answer.
xconn sets timeouts; it has no way to cancel.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from interop.clients import AutobahnClient, XconnClient
from interop.sites import Site, running_site

pytest.importorskip('autobahn', reason='autobahn is not installed')

DEADLINE = 30  # seconds, for clients that would wait for ever


@pytest.fixture(scope='module', params=['native', 'aiohttp', 'uvicorn'])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with running_site(request.param) as site:
        yield site


@pytest.fixture(params=['json', 'msgpack', 'cbor', 'json.batched'])
def run(request: pytest.FixtureRequest, site: Site) -> Any:
    def run_with_client(test: Any) -> None:
        async def main() -> None:
            async with asyncio.timeout(DEADLINE):
                client = AutobahnClient(request.param)
                await client.join(site)
                await test(client, f'{request.param} {id(test)}')
                # Still there, and no answer came twice.
                assert await client.call('interop.add', 1, 2) == ([3], {})
                assert not client.closed.done()
                await client.leave()

        asyncio.run(main())

    return run_with_client


def test_a_cancelled_call(run: Any) -> None:
    async def test(client: Any, name: str) -> None:
        calls = [client.session.call('interop.sleep', f'{name} {number}') for number in range(3)]
        await client.call('interop.nothing')
        for call in calls:
            call.cancel()
        for number in range(3):
            assert await client.call('interop.cancelled', f'{name} {number}') == ([True], {})

    run(test)


def test_a_cancelled_call_that_reports_progress(run: Any) -> None:
    async def test(client: Any, name: str) -> None:
        from autobahn.wamp import types

        reported: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        options = types.CallOptions(on_progress=reported.set_result)
        call = client.session.call('interop.sleep_reporting', name, options=options)
        assert await reported == name
        call.cancel()
        assert await client.call('interop.cancelled', name) == ([True], {})

    run(test)


def test_a_call_that_is_skipped(run: Any) -> None:
    """The caller is answered, and the handler goes on. autobahn has the message, but no function that sends it."""

    async def test(client: Any, name: str) -> None:
        from autobahn.wamp import exception, message, types

        begun: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        call = client.session.call('interop.linger', name, options=types.CallOptions(on_progress=begun.set_result))
        assert await begun == name
        (request,) = client.session._call_reqs
        client.session._transport.send(message.Cancel(request, mode=message.Cancel.SKIP))
        with pytest.raises(exception.ApplicationError) as raised:
            await call
        assert raised.value.error == 'wamp.error.canceled'
        assert await client.call('interop.finish', name) == ([True], {})

    run(test)


def test_a_call_that_takes_too_long(run: Any) -> None:
    async def test(client: Any, name: str) -> None:
        from autobahn.wamp import exception, types

        with pytest.raises(exception.ApplicationError) as raised:
            await client.session.call('interop.sleep', name, options=types.CallOptions(timeout=20))
        assert raised.value.error == 'wamp.error.timeout'
        assert await client.call('interop.cancelled', name) == ([True], {})

    run(test)


def test_what_is_announced(run: Any) -> None:
    async def test(client: Any, name: str) -> None:
        features = client.session._transport._session._router_roles['dealer']
        for feature in (
            'call_canceling', 'call_timeout', 'caller_identification', 'progressive_call_results',
        ):  # fmt: skip
            assert getattr(features, feature) is True

    run(test)


@pytest.mark.parametrize('serializer', ['json', 'msgpack', 'cbor'])
def test_a_call_of_xconn_that_takes_too_long(site: Site, serializer: str) -> None:
    pytest.importorskip('xconn', reason='xconn is not installed')
    from xconn.exception import ApplicationError

    async def main() -> None:
        async with asyncio.timeout(DEADLINE):
            client = XconnClient(serializer)
            await client.join(site)
            name = f'xconn {serializer}'
            with pytest.raises(ApplicationError) as raised:
                await client.session.call('interop.sleep', [name], options={'timeout': 20})
            assert raised.value.message == 'wamp.error.timeout'
            assert await client.call('interop.cancelled', name) == ([True], {})
            await client.leave()

    asyncio.run(main())
