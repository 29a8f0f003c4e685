"""Authentication by published clients: autobahn and xconn, with right and wrong secrets, see auth_site.py."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from interop.auth_site import ANN_KEY, JOE_KEY, ROLES
from interop.clients import CallFailed, make_serializers
from interop.sites import Site, running_site

pytest.importorskip('autobahn', reason='autobahn is not installed')
pytest.importorskip('xconn', reason='xconn is not installed')
pytest.importorskip('argon2', reason='argon2-cffi is not installed')

DEADLINE = 30  # seconds, for clients that would wait for ever
SERVERS = ('native', 'aiohttp', 'uvicorn')
KEYS = {'joe': JOE_KEY, 'ann': ANN_KEY}


@pytest.fixture(scope='module')
def find_site() -> Iterator[Callable[..., Site]]:
    """The sites by server, each started when it is first asked for."""
    with contextlib.ExitStack() as stack:
        running: dict[Any, Site] = {}

        def find(server: str, tls: bool = False) -> Site:
            if (server, tls) not in running:
                running[server, tls] = stack.enter_context(
                    running_site(server, tls=tls, program='auth_site.py')
                )
            return running[server, tls]

        yield find


def secret_of(method: str, user: str, salted: bool = False) -> dict[str, str]:
    """What a client has to know, by autobahn's names."""
    if method == 'ticket':
        return {'ticket': f'ticket of {user}'}
    if method == 'wampcra':
        return {'secret': f'password of {user}' if salted else f'secret of {user}'}
    if method == 'cryptosign':
        return {'privkey': KEYS.get(user, '0c' * 32)}
    return {'password': f'password of {user}'}


async def join_by_autobahn(
    site: Site, realm: str, method: str, authid: str | None, secret: dict[str, str],
    *, extra: dict[str, Any] | None = None, serializer: str = 'json', headers: dict[str, str] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """What WELCOME says, and what the procedure auth.whoami does. Raises CallFailed for ABORT."""
    import txaio

    txaio.use_asyncio()
    loop = txaio.config.loop = asyncio.get_running_loop()
    from autobahn.asyncio.wamp import Session
    from autobahn.asyncio.websocket import WampWebSocketClientFactory
    from autobahn.wamp import types
    from autobahn.wamp.auth import create_authenticator

    joined: asyncio.Future[Any] = loop.create_future()
    closed: asyncio.Future[None] = loop.create_future()

    class Client(Session):  # type: ignore[misc]
        def onJoin(self, details: Any) -> None:
            joined.set_result(details)

        def onLeave(self, details: Any) -> None:
            if not joined.done():
                joined.set_exception(CallFailed(details.reason, [details.message], {}))
            self.disconnect()

        def onDisconnect(self) -> None:
            closed.set_result(None)

    session = Client(types.ComponentConfig(realm=realm))
    if method != 'anonymous':
        options: dict[str, Any] = dict(secret)
        if authid is not None:
            options['authid'] = authid
        if extra is not None:
            options['authextra'] = extra
        session.add_authenticator(create_authenticator(method, **options))
    factory = WampWebSocketClientFactory(
        lambda: session, url=site.url, serializers=make_serializers(serializer), headers=headers
    )
    await loop.create_connection(factory, '127.0.0.1', site.port, ssl=site.context)
    try:
        details = await joined
        answer = await session.call('auth.whoami')
        session.leave()
    finally:
        await closed
    names = ('authid', 'authrole', 'authmethod', 'authprovider', 'authextra')
    return {name: getattr(details, name) for name in names}, dict(answer.kwresults)


async def join_by_xconn(
    site: Site, realm: str, method: str, authid: str, secret: dict[str, str], serializer: str = 'json'
) -> tuple[dict[str, Any], dict[str, Any]]:
    import xconn
    from wampproto import auth

    kinds = {
        'ticket': auth.TicketAuthenticator,
        'wampcra': auth.WAMPCRAAuthenticator,
        'cryptosign': auth.CryptoSignAuthenticator,
    }
    serializers = {'json': xconn.JSONSerializer, 'msgpack': xconn.MsgPackSerializer, 'cbor': xconn.CBORSerializer}
    authenticator = kinds[method](authid, *secret.values(), {'from': 'xconn'})
    client = xconn.AsyncClient(authenticator, serializers[serializer]())
    session = await client.connect(site.url, realm)
    details = session._base_session.session_details
    answer = await session.call('auth.whoami')
    await session.leave()
    return {'authid': details.authid, 'authrole': details.authrole}, dict(answer.kwargs)


def run(coroutine: Any) -> Any:
    async def main() -> Any:
        async with asyncio.timeout(DEADLINE):
            return await coroutine

    return asyncio.run(main())


SERIALIZERS = ['json', 'msgpack', 'cbor']
METHODS = [
    ('ticket', 'ticket'), ('cra', 'wampcra'), ('cra-salted', 'wampcra'), ('cryptosign', 'cryptosign'),
    ('autobahn', 'scram'), ('any', 'ticket'), ('any', 'wampcra'), ('any', 'cryptosign'),
]  # fmt: skip


@pytest.mark.parametrize('server', SERVERS)
@pytest.mark.parametrize(('realm', 'method'), METHODS)
@pytest.mark.parametrize('serializer', SERIALIZERS)
def test_autobahn_gets_in(
    server: str, realm: str, method: str, serializer: str, find_site: Callable[..., Site]
) -> None:
    for user in 'joe', 'ann':
        secret = secret_of(method, user, realm == 'cra-salted')
        # The library's SCRAM has no authextra of one's own.
        extra = None if method == 'scram' else {'from': 'autobahn'}
        welcome, whoami = run(
            join_by_autobahn(
                find_site(server), realm, method, user, secret, extra=extra, serializer=serializer
            )
        )
        assert welcome.pop('authextra')['greeting'] == f'Hello {user}'
        assert welcome == {
            'authid': user, 'authrole': ROLES[user], 'authmethod': method, 'authprovider': realm,
        }  # fmt: skip
        assert (whoami['identity'], whoami['authid'], whoami['authrole']) == (user, user, ROLES[user])
        if extra is not None:
            assert whoami['extra']['from'] == 'autobahn'


@pytest.mark.parametrize('server', SERVERS)
@pytest.mark.parametrize(('realm', 'method'), METHODS)
@pytest.mark.parametrize('serializer', SERIALIZERS)
@pytest.mark.parametrize(('user', 'secret_owner'), [('joe', 'ann'), ('nobody', 'nobody')])
def test_autobahn_is_refused(
    server: str, realm: str, method: str, serializer: str, user: str, secret_owner: str,
    find_site: Callable[..., Site],
) -> None:  # fmt: skip
    if method == 'cryptosign':
        # The key alone says who it is; this one is nobody's.
        user = secret_owner = 'nobody'
    secret = secret_of(method, secret_owner, realm == 'cra-salted')
    with pytest.raises(CallFailed) as caught:
        run(join_by_autobahn(find_site(server), realm, method, user, secret, serializer=serializer))
    assert caught.value.uri == 'wamp.error.authentication_failed'
    assert caught.value.values == ['Authentication failed.']


def test_a_key_tells_who_it_is(find_site: Callable[..., Site]) -> None:
    """Without an authid, and with another one's."""
    for authid in None, 'ann':
        welcome, _ = run(
            join_by_autobahn(
                find_site('native'), 'cryptosign', 'cryptosign', authid, secret_of('cryptosign', 'joe')
            )
        )
        assert (welcome['authid'], welcome['authrole']) == ('joe', 'user')


@pytest.mark.parametrize('server', SERVERS)
def test_a_method_that_the_realm_does_not_have(server: str, find_site: Callable[..., Site]) -> None:
    with pytest.raises(CallFailed) as caught:
        run(join_by_autobahn(find_site(server), 'cra', 'ticket', 'joe', secret_of('ticket', 'joe')))
    assert caught.value.uri == 'wamp.error.no_matching_auth_method'


@pytest.mark.parametrize('server', SERVERS)
def test_a_cookie(server: str, find_site: Callable[..., Site]) -> None:
    async def join(cookie: str) -> Any:
        return await join_by_autobahn(
            find_site(server), 'transport', 'anonymous', None, {}, headers={'Cookie': cookie}
        )

    welcome, whoami = run(join('user=ann'))
    assert (welcome['authid'], welcome['authrole'], welcome['authmethod']) == ('ann', 'admin', 'transport')
    assert whoami['identity'] == 'ann'
    with pytest.raises(CallFailed) as caught:
        run(join('user=eve'))
    assert caught.value.uri == 'wamp.error.authentication_failed'


def bound_site(site: Site, version: ssl.TLSVersion) -> Site:
    """The same site, for clients of one version of TLS."""
    assert site.context is not None
    site.context.minimum_version = site.context.maximum_version = version
    return site


@pytest.mark.parametrize('server', ['native', 'aiohttp'])
def test_channel_binding(server: str, find_site: Callable[..., Site]) -> None:
    async def join(version: ssl.TLSVersion) -> Any:
        site = bound_site(find_site(server, tls=True), version)
        return await join_by_autobahn(
            site, 'cryptosign', 'cryptosign', 'joe', secret_of('cryptosign', 'joe'),
            extra={'channel_binding': 'tls-unique'},
        )  # fmt: skip

    welcome, whoami = run(join(ssl.TLSVersion.TLSv1_2))
    assert welcome['authid'] == 'joe'
    assert whoami['extra']['channel_binding'] == 'tls-unique'
    with pytest.raises(CallFailed) as caught:
        run(join(ssl.TLSVersion.TLSv1_3))
    assert caught.value.uri == 'wamp.error.authentication_failed'
    assert 'channel binding' in caught.value.values[0]


XCONN_METHODS = [pair for pair in METHODS if pair[1] != 'scram']


@pytest.mark.parametrize('server', SERVERS)
@pytest.mark.parametrize(('realm', 'method'), XCONN_METHODS)
@pytest.mark.parametrize('serializer', SERIALIZERS)
def test_xconn_gets_in(
    server: str, realm: str, method: str, serializer: str, find_site: Callable[..., Site]
) -> None:
    secret = secret_of(method, 'joe', realm == 'cra-salted')
    welcome, whoami = run(
        join_by_xconn(find_site(server), realm, method, 'joe', secret, serializer)
    )
    assert welcome == {'authid': 'joe', 'authrole': 'user'}
    assert (whoami['identity'], whoami['extra']['from']) == ('joe', 'xconn')


@pytest.mark.parametrize('server', SERVERS)
@pytest.mark.parametrize(('realm', 'method'), XCONN_METHODS)
@pytest.mark.parametrize('serializer', SERIALIZERS)
@pytest.mark.parametrize('user', ['joe', 'nobody'])
def test_xconn_is_refused(
    server: str, realm: str, method: str, serializer: str, user: str, find_site: Callable[..., Site]
) -> None:
    from wampproto.exception import ApplicationError

    with pytest.raises(ApplicationError) as caught:
        run(join_by_xconn(find_site(server), realm, method, user, secret_of(method, 'nobody'), serializer))
    assert str(caught.value) == 'wamp.error.authentication_failed'
