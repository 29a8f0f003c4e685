"""The functions and small classes of the modules, called with the same arguments in both packages."""

import asyncio
import re
import socket
from datetime import UTC, datetime
from typing import Any

import msgpack
import pytest

from compat.packages import ORACLE, SUBJECT
from compat.transcripts import plain

REQUESTS = [
    [1, 'realm', {}], [1, 'realm', {'authid': 'joe', 'authmethods': ['ticket']}], [1, 'realm', {'roles': {}}, 5],
    (1, 'realm', {}), [48, 1, {}, 'a.b'], [48, 1, {'timeout': 5}, 'a.b', [1, 2]], [48, 7, {}, 'a.b', [], {'k': 1}],
    (48, 7, {}, 'a.b', (1,), {'k': 1}), [32, 2, {}, 'a.b'], [32, 2, {'match': 'exact'}, 'a.b'], [34, 3, 99],
    [6, {}, 'wamp.close.normal'], [6, {'message': 'bye'}, 'a.b', 5],
]  # fmt: skip

NO_REQUESTS = [
    [], [999], 5, None, 'text', {}, [1], [48, 1, {}], [48, 'x', {}, 'a'], [48, 1, [], 'a'], [48, 1, {}, 5],
    [48, 1, {}, 'a', {}], [48, 1, {}, 'a', [], []], [32, 1, {}], [34, 1], [6], [6, {}, 5], [True, 'realm', {}],
    [1.0, 'realm', {}], ['1', 'realm', {}],
]  # fmt: skip


def outcome(function: Any, *args: Any, **kwargs: Any) -> Any:
    """What a call returns, or the name of what it raises."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        # A subclass may say more than the original's class.
        known = 'WAMPMsgParseError' in {base.__name__ for base in type(error).__mro__}
        return 'WAMPMsgParseError' if known else type(error).__name__


@pytest.mark.parametrize('message', REQUESTS, ids=repr)
def test_requests(message: Any) -> None:
    original, ours = (
        package.protocol.wamp_request_from_msg(message) for package in (ORACLE, SUBJECT)
    )
    assert type(ours).__name__ == type(original).__name__
    assert {key: plain(value) for key, value in vars(ours).items()} == {
        key: plain(value) for key, value in vars(original).items()
    }
    assert repr(ours) == repr(original)


@pytest.mark.parametrize('message', NO_REQUESTS, ids=repr)
def test_what_is_no_request(message: Any) -> None:
    for package in (ORACLE, SUBJECT):
        with pytest.raises(package.protocol.WAMPMsgParseError):
            package.protocol.wamp_request_from_msg(message)


def test_requests_compare_and_hash_as_frozen_dataclasses_do() -> None:
    for package in (ORACLE, SUBJECT):
        request = package.protocol.WAMPUnsubscribeRequest(request_id=1, subscription=2)
        assert request == package.protocol.WAMPUnsubscribeRequest(1, 2)
        assert request != package.protocol.WAMPUnsubscribeRequest(1, 3)
        assert hash(request) == hash(package.protocol.WAMPUnsubscribeRequest(1, 2))
        with pytest.raises(AttributeError):
            request.request_id = 5


BUILDERS = [
    ('call_result_response_msg', (None, None), (('x',), None), ((), {'k': 1}), (('x',), {'k': 1}), (None, None, True),
     (['x'], None, True)),
    ('call_error_response_msg', ('e.u',), ('e.u', ('x',)), ('e.u', None, {'k': 1}), ('e.u', ('x',), {'k': 1})),
    ('subscribed_response_msg', (5,)),
    ('subscribe_error_response_msg', ('e.u',)),
    ('unsubscribe_error_response_msg', ('e.u',)),
    ('unsubscribed_response_msg', ()),
]  # fmt: skip


@pytest.mark.parametrize(
    ('name', 'args'), [(name, args) for name, *calls in BUILDERS for args in calls], ids=repr
)
def test_answers_to_requests(name: str, args: Any) -> None:
    results = []
    for package in (ORACLE, SUBJECT):
        request = package.protocol.WAMPRPCRequest(7, options={}, uri='a.b')
        results.append(plain(getattr(package.protocol, name)(request, *args)))
    assert results[0] == results[1]


def test_unimplemented_response() -> None:
    """The original's ERROR lacks the type of the request that it answers."""
    messages = []
    for package in (ORACLE, SUBJECT):
        request = package.protocol.WAMPRPCRequest(7, options={}, uri='a.b')
        messages.append(plain(package.protocol.unimplemented_response_msg(request)))
    assert messages[0] == [8, 7, {}, 'wamp.error.not_implemented']
    assert messages[1] == (messages[0] if SUBJECT.is_oracle else [8, 48, *messages[0][1:]])


@pytest.mark.parametrize(
    ('name', 'args', 'kwargs'),
    [
        ('goodbye_msg', (), {}), ('goodbye_msg', ('a.b', 'text'), {}), ('goodbye_msg', (), {'message': ''}),
        ('abort_msg', ('a.b',), {}), ('abort_msg', ('a.b', 'text'), {}), ('ticket_challenge_msg', (), {}),
        ('cra_challenge_msg', ('challenge',), {}), ('event_msg', (1, 2), {}), ('event_msg', (1, 2, [3]), {}),
        ('event_msg', (1, 2), {'kwargs': {'k': 1}}), ('event_msg', (1, 2, None, None), {}),
        ('event_msg', (1, 2, (3,), {'k': 1}, 0, 'a.topic'), {}),
        ('event_msg', (), {'subscription_id': 1, 'publication_id': 2, 'trust_level': 5, 'specific_topic': ''}),
    ],
    ids=repr,
)  # fmt: skip
def test_messages(name: str, args: Any, kwargs: Any) -> None:
    original, ours = (
        plain(getattr(package.protocol, name)(*args, **kwargs)) for package in (ORACLE, SUBJECT)
    )
    assert ours == original


def test_welcome() -> None:
    """Ours may say more about itself."""
    for args in ((5,), (5, 'an agent')):
        original, ours = (
            plain(package.protocol.welcome_msg(*args)) for package in (ORACLE, SUBJECT)
        )
        assert ours[:2] == original[:2]
        assert set(original[2]) <= set(ours[2])
        assert set(original[2]['roles']) <= set(ours[2]['roles'])
        assert ours[2].get('agent') == original[2].get('agent')


def test_challenges() -> None:
    import json

    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for package in (ORACLE, SUBJECT):
        text = package.protocol.cra_challenge_string(5, 'joe', 'role', 'provider', 'nonce', at)
        challenge = json.loads(text)
        assert (challenge['authid'], challenge['authrole'], challenge['nonce']) == (
            'joe',
            'role',
            'nonce',
        )
        assert challenge['authprovider'] == 'provider'
        assert challenge['timestamp'].startswith('2026-01-02T03:04:05')
    for package in (ORACLE, SUBJECT):
        nonces = {package.protocol.scram_nonce() for _ in range(10)}
        assert len(nonces) == 10
        assert {len(nonce) for nonce in nonces} == {24}


def test_global_ids() -> None:
    for package in (ORACLE, SUBJECT):
        ids = {package.protocol.generate_global_id() for _ in range(1000)}
        assert len(ids) == 1000
        assert min(ids) >= 1
        assert 2**50 < max(ids) <= 2**53


@pytest.mark.parametrize(
    'name',
    ['', 'a', 'name', 'camelCase', 'CamelCase', 'HTTPServer', 'getHTTPResponse', 'getHTTP2Response', 'already_snake',
     'A', 'ABC', 'aB', 'userID', 'Ünïcode', 'x1Y2', '_private', '__Both__', 'with space', 'a.bC'],
)  # fmt: skip
def test_camel_to_snake(name: str) -> None:
    assert SUBJECT.helpers.camel_to_snake(name) == ORACLE.helpers.camel_to_snake(name)


@pytest.mark.parametrize(
    ('family', 'address'),
    [(socket.AF_INET, ('127.0.0.1', 80)), (socket.AF_INET6, ('::1', 80, 0, 0)), (socket.AF_UNIX, '/a/socket'),
     (socket.AF_UNIX, '')],
)  # fmt: skip
def test_format_sockaddr(family: int, address: Any) -> None:
    original, ours = (
        package.helpers.format_sockaddr(family, address) for package in (ORACLE, SUBJECT)
    )
    assert ours == original


@pytest.mark.parametrize(
    'data',
    [msgpack.packb(value) for value in (5, 'x', [1, {'a': (2,)}], b'\0', None)]
    + [b'', b'\xc1', b'\x05\x05'],
)
def test_msgpack_functions(data: bytes) -> None:
    size = len(data).to_bytes(4, 'big')
    for name, argument in (
        ('object_from_msgpack', data),
        ('objects_from_msgpack_batch', (size + data) * 2),
    ):
        original, ours = (
            outcome(list_of, getattr(package.helpers, name), argument)
            for package in (ORACLE, SUBJECT)
        )
        assert ours == original


@pytest.mark.parametrize(
    'text', ['5', '"x"', '[1,{"a":[2]}]', 'null', '', 'x', '[', '5 5', '{"a":1e5}']
)
def test_json_functions(text: str) -> None:
    for name, argument in (
        ('deserialize_msg', text),
        ('objects_from_json_batch', f'{text}\x1e[1]\x1e'),
    ):
        if name == 'objects_from_json_batch' and not text:
            argument = ''  # an empty message among others is row 17 of the differences
        original, ours = (
            outcome(list_of, getattr(package.json, name), argument) for package in (ORACLE, SUBJECT)
        )
        assert ours == original


def list_of(function: Any, argument: Any) -> Any:
    """The result of a function that may be a generator function in one package and return a list in the other."""
    result = function(argument)
    return list(result) if hasattr(result, '__next__') else result


@pytest.mark.parametrize(
    'value', [5, 'x', [1, (2,)], {'a': None}, b'\0\1', bytearray(b'x'), [b'']], ids=repr
)
def test_json_serialize(value: Any) -> None:
    texts = [package.json.serialize(value) for package in (ORACLE, SUBJECT)]
    assert texts[0] == texts[1]
    assert isinstance(texts[1], str)


def routers() -> list[Any]:
    return [package.routing.URIsRouter() for package in (ORACLE, SUBJECT)]


def test_router() -> None:
    def add_all(router: Any) -> Any:
        router.add_route('a.b', 'exact')
        router.add_prefix_route('a.', 'prefix')
        router.add_regex_route(r'a\.c.*', 'shadowed')
        router.add_regex_route(re.compile(r'b\.(\d+)$', re.IGNORECASE), 'regex')
        router.add_prefix_route('', 'everything')
        router.add_route('a.b', 'replaced')
        return router

    original, ours = (add_all(router) for router in routers())
    for uri in ('a.b', 'a.', 'a.c', 'a', 'b.5', 'B.5', 'b.5x', '', 'x', 'b.5\n', 'ü'):
        assert ours.resolve(uri) == original.resolve(uri), uri
    assert (original.camel_snake_conversion, ours.camel_snake_conversion) == (False, False)


def test_router_without_a_route() -> None:
    for package in (ORACLE, SUBJECT):
        router = package.routing.URIsRouter(camel_snake_conversion=True)
        assert router.camel_snake_conversion
        with pytest.raises(package.routing.NoSuchRouteError):
            router.resolve('a.b')
        with pytest.raises(re.error):
            router.add_regex_route('(', None)


@pytest.mark.parametrize('kind', ['RPCRouteSet', 'TopicRouteSet'])
def test_route_sets(kind: str) -> None:
    for package in (ORACLE, SUBJECT):
        routes = getattr(package.root, kind)()
        assert repr(routes) == f'<{kind} count=0>'

        @routes.route('a', extra=1)
        @routes.prefix_route('b')
        @routes.regex_route('c')
        async def handler() -> None:
            pass

        assert len(routes) == 3
        # Decorators give the handler back.
        assert asyncio.iscoroutinefunction(handler)
        regex, prefix, exact = routes
        assert (regex.uri_pattern, prefix.uri_prefix, exact.uri) == ('c', 'b', 'a')
        assert (exact.handler, exact.kwargs, regex.kwargs) == (handler, {'extra': 1}, {})
        assert routes[0] is regex
        assert list(routes[1:]) == [prefix, exact]
        assert exact in routes
        assert routes.index(exact) == 2
        assert routes.count(regex) == 1
        with pytest.raises(TypeError):
            package.root.Application().add_rpc_routes(routes)


def test_route_definitions() -> None:
    for package in (ORACLE, SUBJECT):

        async def handler() -> None:
            pass

        definition = package.rpc.route('a.b', handler)
        assert definition == package.rpc.RPCRouteDef('a.b', handler, {})
        router = package.routing.URIsRouter()
        router.add_routes([definition, package.rpc.RPCPrefixRouteDef('p.', handler, {})])
        assert router.resolve('a.b') is router.resolve('p.x') is handler


@pytest.mark.parametrize('camel', [False, True])
@pytest.mark.parametrize(
    ('args', 'kwargs'),
    [((), {'userName': 'Joe'}), ((), {'user_name': 'Joe'}), (('Joe',), {'theRest': 5}), ((), {})],
)
def test_rpc_router_by_hand(camel: bool, args: Any, kwargs: Any) -> None:
    """handle_rpc_call() of a router of the application's own, as a custom rpc handler would call it."""

    async def collect(package: Any) -> Any:
        router = package.rpc.RPCRouter(camel_snake_conversion=camel)
        routes = package.rpc.RPCRouteSet()

        @routes.route('greet')
        async def greet(user_name: str, session: Any, **others: Any) -> Any:
            yield package.rpc.RPCProgressReport(args=(session,))
            yield [user_name, sorted(others)]

        router.add_routes(routes)
        request = package.rpc.RPCRequest(
            id=1, session='the session', uri='greet', args=args, kwargs=kwargs
        )
        return [
            (
                type(result).__name__,
                getattr(result, 'error_uri', None),
                plain(result.args),
                dict(result.kwargs),
            )
            async for result in router.handle_rpc_call(request)
        ]

    original, ours = (asyncio.run(collect(package)) for package in (ORACLE, SUBJECT))
    # The sentence of an error stands in the arguments too.
    original = [
        (kind, uri, [kwargs['message']] if uri and 'message' in kwargs else args, kwargs)
        for kind, uri, args, kwargs in original
    ]
    assert ours == original


def test_result_objects() -> None:
    for package in (ORACLE, SUBJECT):
        rpc = package.rpc
        assert rpc.RPCResult() == rpc.RPCResult((), {})
        assert rpc.RPCErrorResult('a.b', ('x',)).args == ('x',)
        assert isinstance(rpc.RPCProgressReport(), rpc.RPCResult)
        request = rpc.RPCRequest(1, None, 'a.b', (), {})
        assert (request.timeout, request.disclose_caller, request.receive_progress) == (
            0,
            False,
            False,
        )
        assert request.partition_route is None
        request.uri = 'changed'
        assert request == rpc.RPCRequest(1, None, 'changed', (), {})
        error = package.root.SubscribeError('a.b')
        assert (error.error_uri, str(error)) == ('a.b', 'a.b')
        assert package.protocol.AuthenticationFailure('why').reason == 'why'
        event = package.protocol.WAMPEvent()
        assert (event.args, event.kwargs, event.details) == ((), {}, {})


def test_realm_settings() -> None:
    for package in (ORACLE, SUBJECT):

        async def function(session: Any) -> Any:
            yield

        realm = package.root.Realm('a.realm')
        assert realm.uri == 'a.realm'
        assert package.root.Realm().uri is None
        realm.set_rpc_handler(function)
        realm.set_subscription_handler(function)
        realm.set_authentication_handler(function)
        assert (
            realm.handle_rpc_call
            is realm.handle_subscription
            is realm.authenticate_session
            is function
        )
        realm.add_session_lifespan_handler(function)
        realm.add_session_lifespan_handler(function, authenticated_only=False)
        assert (
            list(realm.authed_session_lifespan_handlers)
            == list(realm.session_lifespan_handlers)
            == [function]
        )
        app = package.root.Application(allow_default_realm=False)
        for name, arguments in (
            ('set_authentication_handler', (function,)), ('set_rpc_handler', (function,)),
            ('set_subscription_handler', (function,)), ('add_transport_authenticator', (function,)),
            ('set_cra_handlers', (function, function)), ('set_ticket_authenticator', (function,)),
            ('add_session_lifespan_handler', (function,)), ('set_default_arg', ('name', 1)), ('add_rpc_routes', ([],)),
            ('add_topic_routes', ([],)),
        ):  # fmt: skip
            with pytest.raises(RuntimeError, match='default realm'):
                getattr(app, name)(*arguments)


def test_connection_base_class() -> None:
    async def drive(package: Any) -> Any:
        base = package.connection.Connection
        with pytest.raises(TypeError):
            base()

        class Recorded(base):
            def __init__(self) -> None:
                super().__init__()
                self.log: list[Any] = []

            async def iterate_msgs(self) -> Any:
                yield [1]

            async def send_msg(self, msg: Any) -> None:
                self.log.append(plain(msg))
                if len(self.log) > 3:
                    raise package.connection.ConnectionClosed

            async def close(self) -> None:
                self.log.append('closed')

        connection = Recorded()
        assert connection.transport_info == {}
        await connection.send_msgs(([1], [2]))
        await connection.abort('a.b', 'text')
        await connection.abort()
        return connection.log

    original, ours = (asyncio.run(drive(package)) for package in (ORACLE, SUBJECT))
    assert ours == original
    assert issubclass(SUBJECT.connection.ConnectionClosed, ConnectionError)
    assert SUBJECT.root.ConnectionClosed is SUBJECT.connection.ConnectionClosed
