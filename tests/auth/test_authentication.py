"""authentication: the methods from HELLO to WELCOME or ABORT, on the native server and on a connection of one's own."""

import asyncio
import hmac
import json
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from support.session_clients import Clients

import serverwamp_fast as wamp
from serverwamp_fast.protocol import AuthenticationFailure

pytest.importorskip('cryptography', reason='cryptography is not installed')
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

REFUSED = {'message': 'Authentication failed.'}
KEY = Ed25519PrivateKey.from_private_bytes(b'\x0a' * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b'\x0b' * 32)
PUBLIC_KEY = KEY.public_key().public_bytes_raw().hex()
CREDENTIAL = wamp.derive_scram_credential(
    'pencil', kdf='pbkdf2', salt=b'salt', iterations=1, auth_role='writer', auth_provider='desk'
)
NONCE = 'Y2xpZW50'


@pytest.fixture(params=['native', 'own'])
def clients(request: pytest.FixtureRequest) -> Clients:
    return Clients(request.param)


def hello(*methods: str, authid: str | None = 'joe', **extra: Any) -> list[Any]:
    details: dict[str, Any] = {'roles': {'caller': {}}, 'authmethods': list(methods)}
    if authid is not None:
        details['authid'] = authid
    if extra:
        details['authextra'] = extra
    return [1, 'realm1', details]


def make_app(log: list[Any] | None = None) -> Any:
    """Every method; the only user is joe. `log` notes who has been identified."""
    app = wamp.Application()
    noted = [] if log is None else log

    async def check_ticket(session: Any, ticket: str) -> Any:
        noted.append(ticket)
        return session.auth_id == 'joe' and ticket == 'right' and {'name': 'Joe'}

    async def require(session: Any) -> Any:
        if session.auth_id == 'salted':
            key = wamp.derive_cra_key('password', 'its salt', 100, 16)
            return wamp.CRAAuthRequirement(key, 'clerk', 'books', 'its salt', 100, 16)
        if session.auth_id == 'raising':
            raise AuthenticationFailure('nobody may read this')
        return wamp.CRAAuthRequirement(b'secret', 'clerk', 'books') if session.auth_id == 'joe' else None

    async def find_credential(session: Any) -> Any:
        return CREDENTIAL if session.auth_id == 'joe' else None

    async def identify(session: Any) -> Any:
        noted.append(session.auth_id)
        return {'name': session.auth_id}

    async def check_key(session: Any, public_key: str) -> Any:
        noted.append(public_key)
        return 'Joe' if public_key == PUBLIC_KEY else None

    app.set_ticket_authenticator(check_ticket)
    app.set_cra_handlers(require, identify)
    app.set_cryptosign_authenticator(check_key)
    app.set_scram_handlers(find_credential, identify)
    routes = wamp.RPCRouteSet()

    @routes.route('whoami')
    async def whoami(session: Any) -> Any:
        return session.identity, dict(session.auth_extra)

    app.add_rpc_routes(routes)
    return app


def sign(challenge: str, key: bytes = b'secret') -> str:
    return b64encode(hmac.digest(key, challenge.encode(), 'sha256')).decode()


def sign_by_key(challenge: str, key: Ed25519PrivateKey = KEY) -> str:
    message = bytes.fromhex(challenge)
    return key.sign(message).hex() + message.hex()


def prove(challenge: dict[str, Any], password: bytes = b'pencil') -> tuple[str, str]:
    """A client's proof for SCRAM by PBKDF2, and the signature that it expects of the server."""
    from hashlib import pbkdf2_hmac

    salted = pbkdf2_hmac('sha256', password, b'salt', challenge['iterations'])
    nonce = challenge['nonce']
    messages = (
        f'n=joe,r={NONCE},r={nonce},s={challenge["salt"]},i={challenge["iterations"]},c=biws,r={nonce}'
    ).encode()
    client_key = hmac.digest(salted, b'Client Key', 'sha256')
    signature = hmac.digest(sha256(client_key).digest(), messages, 'sha256')
    proof = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
    server = hmac.digest(hmac.digest(salted, b'Server Key', 'sha256'), messages, 'sha256')
    return b64encode(proof).decode(), b64encode(server).decode()


Answer = Callable[[dict[str, Any]], str]
RIGHT: dict[str, tuple[list[Any], Answer]] = {
    'ticket': (hello('ticket', x=1), lambda details: 'right'),
    'wampcra': (hello('wampcra', x=1), lambda details: sign(details['challenge'])),
    'cryptosign': (hello('cryptosign', x=1, pubkey=PUBLIC_KEY), lambda details: sign_by_key(details['challenge'])),
    'wamp-scram': (hello('wamp-scram', x=1, nonce=NONCE), lambda details: prove(details)[0]),
    'scram': (hello('scram', x=1, nonce=NONCE), lambda details: prove(details)[0]),
}
ROLES = {'wampcra': ('clerk', 'books'), 'wamp-scram': ('writer', 'desk'), 'scram': ('writer', 'desk')}
IDENTITIES = {'ticket': {'name': 'Joe'}, 'cryptosign': 'Joe'}


async def challenge(client: Any, method: str, message: list[Any]) -> dict[str, Any]:
    code, name, details = await client.ask(*message)
    assert (code, name) == (4, method), details
    return dict(details)


@pytest.mark.parametrize('method', RIGHT)
def test_right_answers(run: Any, clients: Clients, method: str) -> None:
    async def main() -> None:
        async with clients.of(make_app()) as connect:
            client = await connect()
            message, answer = RIGHT[method]
            details = await challenge(client, method, message)
            code, number, welcome = await client.ask(5, answer(details), {})
            assert code == 2
            role, provider = ROLES.get(method, ('authenticated', 'serverwamp_fast'))
            assert (welcome['authrole'], welcome['authprovider']) == (role, provider)
            assert welcome['authmethod'] == method
            assert welcome['authid'] == ('Joe' if method == 'cryptosign' else 'joe')
            if 'scram' in method:
                signature = prove(details)[1]
                assert welcome['authextra'] == {'verifier': f'v={signature}', 'scram_server_signature': signature}
            else:
                assert 'authextra' not in welcome
            if method == 'wampcra':
                assert json.loads(details['challenge'])['session'] == number
            identity, extra = await client.call(1, 'whoami')
            assert identity == IDENTITIES.get(method, {'name': 'joe'})
            assert extra['x'] == 1

    run(main())


WRONG: dict[str, tuple[list[Any], Answer]] = {
    'a wrong ticket': (hello('ticket'), lambda details: 'wrong'),
    'another secret': (hello('wampcra'), lambda details: sign(details['challenge'], b'other')),
    'no signature': (hello('wampcra'), lambda details: ''),
    'a signature of something else': (hello('wampcra'), lambda details: sign('something else')),
    'an unknown user': (hello('wampcra', authid='eve'), lambda details: sign(details['challenge'], b'')),
    'an unknown user, by exception': (hello('wampcra', authid='raising'), lambda details: 'x'),
    'the password, where it is salted': (
        hello('wampcra', authid='salted'), lambda details: sign(details['challenge'], b'password'),
    ),
    'another key': (
        hello('cryptosign', pubkey=PUBLIC_KEY),
        lambda details: sign_by_key(details['challenge'], OTHER_KEY),
    ),
    'another challenge': (hello('cryptosign', pubkey=PUBLIC_KEY), lambda details: sign_by_key('0a' * 32)),
    'no key of ours': (
        hello('cryptosign', pubkey=OTHER_KEY.public_key().public_bytes_raw().hex()),
        lambda details: sign_by_key(details['challenge'], OTHER_KEY),
    ),
    'another password': (hello('scram', nonce=NONCE), lambda details: prove(details, b'pencils')[0]),
    'no base64': (hello('wamp-scram', nonce=NONCE), lambda details: 'ü'),
    'an unknown user of SCRAM': (hello('scram', authid='eve', nonce=NONCE), lambda details: prove(details)[0]),
}  # fmt: skip


@pytest.mark.parametrize('fault', WRONG)
def test_wrong_answers(run: Any, clients: Clients, fault: str) -> None:
    """The same answer to all of them."""

    async def main() -> None:
        async with clients.of(make_app()) as connect:
            client = await connect()
            message, answer = WRONG[fault]
            details = await challenge(client, message[2]['authmethods'][0], message)
            await client.say([5, answer(details), {}])
            assert await client.expect_abort('wamp.error.authentication_failed') == REFUSED

    run(main())


def test_a_salted_secret(run: Any, clients: Clients) -> None:
    async def main() -> None:
        async with clients.of(make_app()) as connect:
            client = await connect()
            details = await challenge(client, 'wampcra', hello('wampcra', authid='salted'))
            text = details.pop('challenge')
            assert details == {'salt': 'its salt', 'iterations': 100, 'keylen': 16}
            key = wamp.derive_cra_key('password', *details.values())
            assert (await client.ask(5, sign(text, key), {}))[0] == 2

    run(main())


@pytest.mark.parametrize('method', ['wampcra', 'scram'])
def test_unknown_users_look_like_others(run: Any, clients: Clients, method: str) -> None:
    async def main() -> None:
        async with clients.of(make_app()) as connect:

            async def ask(authid: str) -> dict[str, Any]:
                client = await connect()
                details = await challenge(client, method, hello(method, authid=authid, nonce=NONCE))
                await client.say([5, 'AAAA', {}])
                assert await client.expect_abort('wamp.error.authentication_failed') == REFUSED
                details.pop('nonce', None)
                if method == 'wampcra':
                    for name, value in json.loads(details.pop('challenge')).items():
                        if name not in ('nonce', 'session', 'timestamp', 'authid'):
                            details[name] = value
                return details

            known = await ask('salted' if method == 'wampcra' else 'joe')
            eve, again, eva = await ask('eve'), await ask('eve'), await ask('eva')
            assert eve == again
            assert eve['salt'] not in (known['salt'], eva['salt'])
            assert len(eve['salt']) == len(known['salt'])
            assert {**eve, 'salt': ''} == {**known, 'salt': ''}

    run(main())


@pytest.mark.parametrize(('method', 'known'), [('wampcra', 'salted'), ('scram', 'joe')])
def test_the_salt_of_unknown_users_depends_on_the_realms_key(
    run: Any, clients: Clients, method: str, known: str
) -> None:
    async def main() -> None:
        async def find_salt(mock_key: bytes | None) -> Any:
            """What a new server tells eve."""
            app = make_app()
            if mock_key is not None:
                app._enabled_default_realm.mock_key = mock_key
            async with clients.of(app) as connect:
                await challenge(await connect(), method, hello(method, authid=known, nonce=NONCE))
                details = await challenge(await connect(), method, hello(method, authid='eve', nonce=NONCE))
                return details['salt']

        salts = [await find_salt(mock_key) for mock_key in (b'one', b'one', b'two', None, None)]
        assert salts[0] == salts[1]
        assert len(set(salts)) == 4

    run(main())


def test_nobody_is_identified_who_is_not_authenticated(run: Any, clients: Clients) -> None:
    log: list[Any] = []

    async def main() -> None:
        async with clients.of(make_app(log)) as connect:
            for fault in WRONG:
                message, answer = WRONG[fault]
                if message[2]['authmethods'] == ['ticket'] or fault == 'no key of ours':
                    continue
                client = await connect()
                details = await challenge(client, message[2]['authmethods'][0], message)
                await client.say([5, answer(details), {}])
                await client.expect_abort('wamp.error.authentication_failed')

    run(main())
    assert log == []


@pytest.mark.parametrize('method', ['wampcra', 'cryptosign', 'scram'])
def test_an_answer_of_another_session(run: Any, clients: Clients, method: str) -> None:
    """A challenge is good for one session and once."""

    async def main() -> None:
        async with clients.of(make_app()) as connect:
            message, answer = RIGHT[method]
            first, second = await connect(), await connect()
            signature = answer(await challenge(first, method, message))
            await challenge(second, method, message)
            await second.say([5, signature, {}])
            assert await second.expect_abort('wamp.error.authentication_failed') == REFUSED
            assert (await first.ask(5, signature, {}))[0] == 2
            third = await connect()
            await challenge(third, method, message)
            await third.say([5, signature, {}])
            assert await third.expect_abort('wamp.error.authentication_failed') == REFUSED

    run(main())


@pytest.mark.parametrize(
    ('message', 'text'),
    [
        (hello('wampcra', authid=None), 'wampcra needs an authid in HELLO.'),
        (hello('scram', authid='', nonce=NONCE), 'scram needs an authid in HELLO.'),
        (hello('wamp-scram'), 'wamp-scram needs authextra.nonce in HELLO: random bytes in Base64.'),
        (hello('scram', nonce=5), 'scram needs authextra.nonce in HELLO: random bytes in Base64.'),
        (hello('scram', nonce='a,b'), 'scram needs authextra.nonce in HELLO: random bytes in Base64.'),
        (hello('cryptosign'), 'cryptosign needs authextra.pubkey in HELLO: 64 hexadecimal digits.'),
        (hello('cryptosign', pubkey='xx' * 32), 'cryptosign needs authextra.pubkey in HELLO: 64 hexadecimal digits.'),
        (
            hello('cryptosign', pubkey=PUBLIC_KEY, channel_binding='tls-unique'),
            'This channel binding is not available. The server has tls-unique, on direct connections by TLS 1.2.',
        ),
        (
            hello('scram', nonce=NONCE, channel_binding='tls-exporter'),
            'This channel binding is not available. The server has tls-unique, on direct connections by TLS 1.2.',
        ),
        (
            hello('scram', nonce=NONCE, channel_binding=['tls-unique']),
            'This channel binding is not available. The server has tls-unique, on direct connections by TLS 1.2.',
        ),
    ],
)
def test_what_hello_lacks(run: Any, clients: Clients, message: list[Any], text: str) -> None:
    async def main() -> None:
        async with clients.of(make_app()) as connect:
            client = await connect()
            await client.say(message)
            assert await client.expect_abort('wamp.error.authentication_failed') == {'message': text}

    run(main())


def test_an_authextra_that_is_no_dictionary(run: Any, clients: Clients) -> None:
    async def main() -> None:
        async with clients.of(make_app()) as connect:
            client = await connect()
            message = hello('ticket')
            message[2]['authextra'] = ['pubkey']
            await challenge(client, 'ticket', message)
            assert (await client.ask(5, 'right', {}))[0] == 2
            assert (await client.call(1, 'whoami'))[1] == {}

    run(main())


@pytest.mark.parametrize(
    ('offered', 'chosen'),
    [(('ticket', 'wampcra'), 'ticket'), (('wampcra', 'ticket'), 'wampcra'), (('xyz', 'anonymous', 'scram'), 'scram')],
)
def test_the_clients_order(run: Any, clients: Clients, offered: tuple[str, ...], chosen: str) -> None:
    async def main() -> None:
        async with clients.of(make_app()) as connect:
            client = await connect()
            await challenge(client, chosen, hello(*offered, nonce=NONCE))

    run(main())


@pytest.mark.parametrize('offered', [(), ('anonymous',), ('xyz', 'cookie')])
def test_no_method_in_common(run: Any, clients: Clients, offered: tuple[str, ...]) -> None:
    async def main() -> None:
        async with clients.of(make_app()) as connect:
            client = await connect()
            await client.say(hello(*offered))
            details = await client.expect_abort('wamp.error.no_matching_auth_method')
            assert details['message'] == (
                'This realm wants one of ticket, wampcra, cryptosign, wamp-scram, scram in authmethods.'
            )

    run(main())


def test_the_transport_comes_first(run: Any, clients: Clients) -> None:
    app = make_app()

    async def look(session: Any) -> Any:
        return {'local': True} if session.auth_id == 'local' else None

    app.add_transport_authenticator(look)

    async def main() -> None:
        async with clients.of(app) as connect:
            client = await connect()
            code, number, details = await client.ask(*hello('ticket', authid='local'))
            # The authid of HELLO is a claim that nothing has shown.
            assert (code, details['authmethod'], details['authid']) == (2, 'transport', str(number))
            await challenge(await connect(), 'ticket', hello('ticket'))

    run(main())


def test_what_authenticators_say_of_a_client(run: Any, clients: Clients) -> None:
    app = wamp.Application()

    async def check(session: Any, ticket: str) -> Any:
        return wamp.AuthenticatedAs(
            {'id': 5}, auth_role='boss', auth_provider='hr', auth_extra={'since': 1999}, auth_id='j.doe'
        )

    app.set_ticket_authenticator(check)

    async def main() -> None:
        async with clients.of(app) as connect:
            client = await connect()
            await challenge(client, 'ticket', hello('ticket'))
            _, _, details = await client.ask(5, 'any', {})
            names = ('authid', 'authrole', 'authmethod', 'authprovider', 'authextra')
            assert [details[name] for name in names] == ['j.doe', 'boss', 'ticket', 'hr', {'since': 1999}]

    run(main())


def test_a_reason_for_the_client(run: Any, clients: Clients) -> None:
    app = wamp.Application()

    async def check(session: Any, ticket: str) -> Any:
        raise AuthenticationFailure('This ticket has expired.')

    app.set_ticket_authenticator(check)

    async def main() -> None:
        async with clients.of(app) as connect:
            client = await connect()
            await challenge(client, 'ticket', hello('ticket'))
            await client.say([5, 'old', {}])
            assert await client.expect_abort('wamp.error.authentication_failed') == {
                'message': 'This ticket has expired.'
            }

    run(main())


def test_sessions_side_by_side(run: Any, clients: Clients) -> None:
    """Each answer goes to the session whose client sent it."""

    async def main() -> None:
        async with clients.of(make_app()) as connect:

            async def join(method: str) -> int:
                client = await connect()
                message, answer = RIGHT[method]
                details = await challenge(client, method, message)
                await asyncio.sleep(0)
                return int((await client.ask(5, answer(details), {}))[0])

            assert await asyncio.gather(*(join(method) for method in [*RIGHT] * 4)) == [2] * 20

    run(main())
