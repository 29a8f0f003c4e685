"""authentication: what users that don't exist are told, and the work that is done for them."""

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.session_clients import Clients

import serverwamp_fast as wamp
from serverwamp_fast.auth import cra, mocks, scram

SALT = '8f3c2a11d07b4e95'
REQUIREMENT = wamp.CRAAuthRequirement(b'key', 'clerk', 'books', SALT, 100, 16)
CREDENTIAL = wamp.derive_scram_credential('pencil', kdf='pbkdf2', salt=b'a salt', iterations=1)
# As an application would write them: their secrets and salts are nobody's.
CRA_MOCK = wamp.CRAAuthRequirement(b'', 'clerk', 'books', '0' * 16, 100, 16)
SCRAM_MOCK = replace(CREDENTIAL, salt=bytes(6), stored_key=b'', server_key=b'')


@pytest.fixture(params=['native', 'own'])
def clients(request: pytest.FixtureRequest) -> Clients:
    return Clients(request.param)


def make_app(has_mocks: bool = True) -> Any:
    """The only user is joe."""
    app = wamp.Application()

    async def require(session: Any) -> Any:
        return REQUIREMENT if session.auth_id == 'joe' else None

    async def find_credential(session: Any) -> Any:
        return CREDENTIAL if session.auth_id == 'joe' else None

    async def identify(session: Any) -> Any:
        raise AssertionError('nobody has shown anything')

    app.set_cra_handlers(require, identify, mock=CRA_MOCK if has_mocks else None)
    app.set_scram_handlers(find_credential, identify, mock=SCRAM_MOCK if has_mocks else None)
    app._enabled_default_realm.mock_key = b'the same after a restart'
    return app


async def ask(connect: Callable[[], Any], method: str, auth_id: str) -> dict[str, Any]:
    """Return what is challenged, without what is new each time, and the name."""
    client = await connect()
    details = {'roles': {}, 'authmethods': [method], 'authid': auth_id, 'authextra': {'nonce': 'bm9uY2U='}}
    _, name, challenge = await client.ask(1, 'realm1', details)
    assert name == method
    found = dict(challenge)
    found.pop('nonce', None)
    if 'challenge' in found:
        found |= json.loads(found.pop('challenge'))
        for new in ('nonce', 'session', 'timestamp', 'authid'):
            del found[new]
    await client.say([5, 'AAAA', {}])
    await client.expect_abort('wamp.error.authentication_failed')
    return found


@pytest.mark.parametrize('method', ['wampcra', 'scram'])
@pytest.mark.parametrize('has_mocks', [True, False])
def test_who_asks_first_makes_no_difference(run: Any, clients: Clients, method: str, has_mocks: bool) -> None:
    """With a mock that is set up; without one, from the first known user on."""

    async def talk(*users: str) -> list[dict[str, Any]]:
        """What users are told by a server that has just been started."""
        async with clients.of(make_app(has_mocks)) as connect:
            return [await ask(connect, method, user) for user in users]

    async def main() -> None:
        joe, eve, eva = await talk('joe', 'eve', 'eva')
        assert len({joe['salt'], eve['salt'], eva['salt']}) == 3
        assert {**joe, 'salt': ''} == {**eve, 'salt': ''} == {**eva, 'salt': ''}
        assert len(joe['salt']) == len(eve['salt'])
        if method == 'wampcra':
            assert set(eve['salt']) <= set('0123456789abcdef')
        if has_mocks:
            assert await talk('eva', 'eve', 'joe', 'eve') == [eva, eve, joe, eve]
            assert await talk('eve') == [eve]

    run(main())


def test_salts_of_both_methods(run: Any, clients: Clients) -> None:
    async def main() -> None:
        app = make_app()
        longer = replace(SCRAM_MOCK, salt=bytes(18))
        mock = replace(CRA_MOCK, salt='+' * 24)

        async def know_nobody(session: Any) -> None:
            return None

        app.set_cra_handlers(know_nobody, know_nobody, mock=mock)
        app.set_scram_handlers(know_nobody, know_nobody, mock=longer)
        async with clients.of(app) as connect:
            salts = [(await ask(connect, method, 'eve'))['salt'] for method in ('wampcra', 'scram', 'wamp-scram')]
            assert len(salts[0]) == len(salts[1])
            assert salts[0] != salts[1] == salts[2]

    run(main())


@pytest.mark.parametrize('method', ['wampcra', 'scram', 'ticket'])
def test_the_same_work_for_an_unknown_user_and_a_wrong_secret(
    run: Any, clients: Clients, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell them apart by the time: the same digests, keys and comparisons are worked out, in the same
    order and of as much data.
    """
    work: list[Any] = []

    def count(module: Any, name: str) -> None:
        original = getattr(module, name)

        @functools.wraps(original)
        def counted(*args: Any) -> Any:
            # SHA-256 works on blocks of 64 bytes.
            work.append((name, [(len(arg) + 63) // 64 for arg in args if isinstance(arg, bytes)]))
            return original(*args)

        monkeypatch.setattr(module, name, counted)

    for module, names in (
        (mocks, ('digest',)),
        (cra, ('digest', 'compare_digest', 'pbkdf2_hmac', 'token_bytes')),
        (scram, ('digest', 'compare_digest', 'sha256', 'pbkdf2_hmac', 'token_bytes')),
    ):
        for name in names:
            count(module, name)
    asked: list[str] = []
    app = make_app()

    async def check_ticket(session: Any, ticket: str) -> Any:
        asked.append(session.auth_id)

    app.set_ticket_authenticator(check_ticket)

    async def do(connect: Any, user: str) -> list[Any]:
        work.clear()
        client = await connect()
        details = {'roles': {}, 'authmethods': [method], 'authid': user, 'authextra': {'nonce': 'bm9uY2U='}}
        assert (await client.ask(1, 'realm1', details))[:2] == [4, method]
        # What could be a signature, for both methods: 32 bytes in Base64.
        await client.say([5, 'A' * 43 + '=', {}])
        await client.expect_abort('wamp.error.authentication_failed')
        return list(work)

    async def main() -> None:
        async with clients.of(app) as connect:
            known, unknown, again = [await do(connect, user) for user in ('joe', 'eve', 'joe')]
            assert known == unknown == again
            assert bool(known) == (method != 'ticket')

    run(main())
    # For tickets it is the application that compares: it is asked about both.
    assert asked == (['joe', 'eve', 'joe'] if method == 'ticket' else [])
