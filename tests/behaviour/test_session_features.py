"""session: what WELCOME announces, by the settings of the application, and that it is so over a wire."""

import asyncio
from typing import Any

import pytest
from support.raw_client import HELLO
from support.session_clients import Clients

import serverwamp_fast as wamp
from serverwamp_fast.adapters.async_base import AsyncSupport
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport
from serverwamp_fast.session import ROLES

ALL = {
    'call_canceling', 'call_timeout', 'caller_identification', 'progressive_call_invocations',
    'progressive_call_results',
}  # fmt: skip


class WithoutTimers(AsyncioAsyncSupport):
    call_later = AsyncSupport.call_later


class WithoutEvents(AsyncioAsyncSupport):
    new_event = AsyncSupport.new_event


class WithoutEither(WithoutTimers):
    new_event = AsyncSupport.new_event


class Derived(AsyncioAsyncSupport):
    @classmethod
    def call_later(cls, delay: float, callback: Any) -> Any:
        return super().call_later(delay, callback)


SETTINGS: dict[str, tuple[dict[str, Any], set[str]]] = {
    'usual': ({}, set()),
    'derived': ({'async_support': Derived}, set()),
    'synchronized': (
        {'synchronize_requests': True}, {'call_canceling', 'progressive_call_invocations'},
    ),
    'no timers': ({'async_support': WithoutTimers}, {'call_timeout'}),
    'no events': ({'async_support': WithoutEvents}, {'progressive_call_invocations'}),
    'neither': ({'async_support': WithoutEither}, {'call_timeout', 'progressive_call_invocations'}),
    'nothing': (
        {'async_support': WithoutEither, 'synchronize_requests': True},
        {'call_timeout', 'call_canceling', 'progressive_call_invocations'},
    ),
}  # fmt: skip


@pytest.fixture(params=['native', 'own'])
def clients(request: pytest.FixtureRequest) -> Clients:
    return Clients(request.param)


class Procedures:
    """`wait` waits for the gate, `open` opens it, and `join` joins what the CALLs of a progressive call bring."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.gate = asyncio.Event()
        self.app = wamp.Application(**options)
        routes = wamp.RPCRouteSet()

        @routes.route('wait')
        async def wait() -> str:
            await self.gate.wait()
            return 'waited'

        @routes.route('echo')
        async def echo(value: Any) -> Any:
            return value

        @routes.route('join')
        async def join(request: Any) -> str:
            return ''.join([part.args[0] async for part in request.inputs])

        self.app.add_rpc_routes(routes)


async def result(client: Any) -> tuple[int, Any]:
    """Return the number of the call that was answered, and the value."""
    code, request, details, (value,) = await client.hear()
    assert (code, details) == (50, {})
    return request, value


@pytest.mark.parametrize('setting', SETTINGS)
def test_announced_is_what_is_there(run: Any, clients: Clients, setting: str) -> None:
    options, missing = SETTINGS[setting]

    async def main() -> None:
        async with clients.of(Procedures(options).app) as connect:
            _, _, details = await (await connect()).ask(*HELLO)
            assert details['roles']['dealer']['features'] == dict.fromkeys(ALL - missing, True)
            assert details['roles']['broker'] == ROLES['broker']

    run(main())


@pytest.mark.parametrize('setting', SETTINGS)
def test_a_timeout(run: Any, clients: Clients, setting: str) -> None:
    """Where it is not announced, the call is as if it had none."""
    options, missing = SETTINGS[setting]

    async def main() -> None:
        procedures = Procedures(options)
        async with clients.of(procedures.app) as connect:
            client = await connect()
            await client.hello()
            await client.say([48, 1, {'timeout': 1}, 'wait'])
            if 'call_timeout' in missing:
                # Longer than that, and then some.
                await asyncio.sleep(0.05)
                procedures.gate.set()
                assert await result(client) == (1, 'waited')
            else:
                assert (await client.hear())[4] == 'wamp.error.timeout'

    run(main())


@pytest.mark.parametrize('setting', SETTINGS)
def test_cancelling(run: Any, clients: Clients, setting: str) -> None:
    """Where it is not announced, CANCEL comes when the call has ended, and does nothing."""
    options, missing = SETTINGS[setting]

    async def main() -> None:
        procedures = Procedures(options)
        async with clients.of(procedures.app) as connect:
            client = await connect()
            await client.hello()
            await client.say([48, 1, {}, 'wait'], [49, 1, {'mode': 'kill'}], [48, 2, {}, 'echo', ['next']])
            if 'call_canceling' not in missing:
                heard = [await client.hear(), await client.hear()]
                assert sorted(message[:2] for message in heard) == [[8, 48], [50, 2]]
                return
            procedures.gate.set()
            assert await result(client) == (1, 'waited')
            assert await result(client) == (2, 'next')

    run(main())


@pytest.mark.parametrize('setting', SETTINGS)
def test_a_progressive_call(run: Any, clients: Clients, setting: str) -> None:
    """Where it is not announced, it is refused or fails; other calls of the session are none the worse for it."""
    options, missing = SETTINGS[setting]

    async def main() -> None:
        async with clients.of(Procedures(options).app) as connect:
            client = await connect()
            await client.hello()
            await client.say([48, 1, {'progress': True}, 'join', ['a']])
            if 'progressive_call_invocations' in missing:
                code, request_type, request, _, uri, *_ = await client.hear()
                assert (code, request_type, request) == (8, 48, 1)
                is_refused = options.get('synchronize_requests')
                assert uri == ('wamp.error.feature_not_supported' if is_refused else 'wamp.error.runtime_error')
            else:
                await client.say([48, 1, {}, 'join', ['b']])
                assert await result(client) == (1, 'ab')
            assert await client.call(2, 'echo', 'next') == ['next']

    run(main())
