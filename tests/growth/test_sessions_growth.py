"""Sessions that live long don't grow, whatever their clients do in them. In child processes, see isolated.py."""

import pytest
from support.isolated import run_isolated

CHILD = '''
import asyncio, itertools
import serverwamp_fast as wamp
from support.raw_client import make_app
from support.session_clients import Clients

# So many that what the interpreter keeps for itself, up to a few hundred blocks on Python 3.11 and 3.12, is no growth.
ROUNDS = 3000
numbers = itertools.count(1)


def make():
    app = make_app()
    app.allow_subscribe('topic.', match='prefix')
    app.allow_publish('topic.', match='prefix')
    routes = wamp.RPCRouteSet()

    @routes.route('wait')
    async def wait():
        await asyncio.Event().wait()

    @routes.route('pause')
    async def pause():
        # CANCEL comes in meanwhile.
        for _ in range(50):
            await asyncio.sleep(0)
        return 'done'

    @routes.route('fail')
    async def fail():
        await asyncio.sleep(0)
        return wamp.RPCErrorResult('com.example.no')

    @routes.route('progress')
    async def progress():
        for number in range(3):
            yield wamp.RPCProgressReport((number,))
            await asyncio.sleep(0)
        yield 'end'

    @routes.route('sum')
    async def add_up(request):
        return sum([item.args[0] async for item in request.inputs])

    @routes.route('first')
    async def first(request):
        return list((await anext(request.inputs)).args)

    app.add_rpc_routes(routes)
    return app


async def final(client):
    """The next message that is no progressive result."""
    message = await client.hear()
    while message[0] == 50 and message[2]:
        message = await client.hear()
    return message


async def ask(client, expected, *requests):
    """Send requests that the next number is put into, and wait for their answer."""
    number = next(numbers)
    await client.say(*([code, number, *rest] for code, *rest in requests))
    answer = await final(client)
    assert (answer[4] if answer[0] == 8 else answer[0]) == expected, (requests, answer)


async def calls(clients):
    """Calls that stay in the table of running calls for a time, with every end that there is."""
    for client in clients:
        await ask(client, 50, [48, {}, 'pause'])
        await ask(client, 'com.example.no', [48, {}, 'fail'])
        await ask(client, 50, [48, {'receive_progress': True}, 'progress'])
        await ask(client, 'wamp.error.canceled', [48, {}, 'pause'], [49, {'mode': 'skip'}])
        await ask(client, 'wamp.error.canceled', [48, {}, 'wait'], [49, {'mode': 'kill'}])
        await ask(client, 'wamp.error.canceled', [48, {}, 'wait'], [49, {'mode': 'killnowait'}])
        await ask(client, 'wamp.error.timeout', [48, {'timeout': 1}, 'wait'])
        # Progressive invocations: to their end, and given up by the procedure before it.
        await ask(client, 50, *([48, {'progress': step < 3}, 'sum', [step]] for step in range(4)))
        await ask(client, 50, *([48, {'progress': step < 3}, 'first', [step]] for step in range(4)))
        await ask(client, 50, [48, {}, 'echo'])


async def publishing(clients):
    """Subscriptions of every kind come and go, and events of every kind are published."""
    # All clients ask for the same topics. There are always new ones.
    number = next(numbers)
    topics = [[f'topic.{number}.x', {}], [f'topic.{number}', {'match': 'prefix'}],
              [f'topic.{number}.', {'match': 'wildcard'}]]
    ids = {}
    for client in clients:
        ids[client] = []
        for topic, options in topics:
            answer = await client.ask(32, next(numbers), options, topic)
            assert answer[0] == 33, answer
            ids[client].append(answer[2])
    publisher, *others = clients
    await publisher.say([16, next(numbers), {'acknowledge': True}, topics[0][0], [1]])
    assert (await publisher.hear())[0] == 17
    for client in others:
        for _ in topics:
            assert (await client.hear())[0] == 36
    # Retained, for a topic that stays the same; and to nobody.
    await publisher.say([16, next(numbers), {'acknowledge': True, 'retain': True}, 'topic.kept', [number]])
    assert (await publisher.hear())[0] == 17
    await publisher.say([16, next(numbers), {'acknowledge': True, 'eligible': [number]}, topics[0][0]])
    assert (await publisher.hear())[0] == 17
    for client in clients:
        for id in ids[client]:
            assert (await client.ask(34, next(numbers), id))[0] == 35
    for client in others:
        answer = await client.ask(32, next(numbers), {'get_retained': True}, 'topic.kept')
        assert answer[0] == 33
        assert list((await client.hear())[4]) == [number]
        assert (await client.ask(34, next(numbers), answer[2]))[0] == 35


async def start():
    serving = Clients(kind).of(make())
    connect = await serving.__aenter__()
    clients = [await connect() for _ in range(3)]
    for client in clients:
        await client.hello()
    return serving, clients

kind, use = {kind!r}, {use}
with asyncio.Runner() as runner:
    serving, clients = runner.run(start())
    check_growth(lambda: runner.run(use(clients)), ROUNDS)
    runner.run(serving.__aexit__(None, None, None))
print('done')
'''


@pytest.mark.parametrize('use', ['calls', 'publishing'])
@pytest.mark.parametrize('kind', ['native', 'own connection'])
def test_long_sessions_do_not_grow(kind: str, use: str) -> None:
    source = CHILD.replace('{kind!r}', repr(kind)).replace('{use}', use)
    assert run_isolated(source) == 'done\n'
