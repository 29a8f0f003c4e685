"""Clients of npm that authenticate, rightly and wrongly: by ticket, WAMP-CRA with and without salt, cryptosign."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from interop.auth_site import ANN_KEY, ANN_PUBLIC_KEY, JOE_KEY, JOE_PUBLIC_KEY
from interop.clients import CallFailed
from interop.node_clients import LIBRARIES, SERIALIZERS, find_obstacle, starting
from interop.sites import Site, running_site

OBSTACLE = find_obstacle()
pytestmark = [
    pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE)),
    pytest.mark.parametrize('serializer', SERIALIZERS),
    pytest.mark.parametrize('library', LIBRARIES),
]

DEADLINE = 30  # seconds, for clients that would wait for ever
FAILED = 'wamp.error.authentication_failed'

# By realm: the method, and joe's and ann's secrets.
REALMS = {
    'ticket': ('ticket', 'ticket of joe', 'ticket of ann'),
    'cra': ('wampcra', 'secret of joe', 'secret of ann'),
    'cra-salted': ('wampcra', 'password of joe', 'password of ann'),
    'cryptosign': ('cryptosign', JOE_KEY, ANN_KEY),
}


@pytest.fixture(scope='module')
def site() -> Iterator[Site]:
    with running_site('native', program='auth_site.py') as site:
        yield site


def authentication(realm: str, secret: str, user: str = 'joe') -> dict[str, Any]:
    """What a client is told to use."""
    method = REALMS[realm][0]
    auth: dict[str, Any] = {'method': method, 'id': user, 'secret': secret}
    if method == 'cryptosign':
        keys = {'joe': JOE_PUBLIC_KEY, 'ann': ANN_PUBLIC_KEY}
        auth['extra'] = {'pubkey': keys.get(user, '0c' * 32)}
    return auth


Attempt = tuple[str, dict[str, Any]]


def enter(site: Site, library: str, serializer: str, *attempts: Attempt) -> list[Any]:
    """Joins once for each (realm, authentication). Returns WELCOME's details and what the server knows of the client,
    or the reason of an ABORT.
    """

    async def main() -> Any:
        outcomes: list[Any] = []
        async with asyncio.timeout(DEADLINE), starting(library, serializer) as client:
            for realm, auth in attempts:
                try:
                    await client.join(site.url, realm, auth)
                except CallFailed as error:
                    outcomes.append(error.uri)
                    continue
                outcomes.append((client.details, (await client.call('auth.whoami'))[1]))
                await client.leave()
        return outcomes

    return asyncio.run(main())


def test_right(site: Site, library: str, serializer: str) -> None:
    attempts = []
    expected = []
    for realm, (method, *secrets) in REALMS.items():
        for user, role, secret in zip(('joe', 'ann'), ('user', 'admin'), secrets, strict=True):
            attempts.append((realm, authentication(realm, secret, user)))
            expected.append((user, role, method, realm))
    outcomes = enter(site, library, serializer, *attempts)
    names = 'authid', 'authrole', 'authmethod', 'authprovider'
    assert [tuple(details[name] for name in names) for details, _ in outcomes] == expected
    assert [(known['authid'], known['authrole']) for _, known in outcomes] == [
        facts[:2] for facts in expected
    ]
    greetings = [details['authextra']['greeting'] for details, _ in outcomes]
    assert greetings == [f'Hello {facts[0]}' for facts in expected]


@pytest.mark.parametrize('realm', REALMS)
def test_wrong(site: Site, library: str, serializer: str, realm: str) -> None:
    """A wrong secret, another user's and an unknown user's; the right one opens a session after that."""
    _, joes, anns = REALMS[realm]
    wrong = '0c' * 32 if realm == 'cryptosign' else 'wrong'
    tries = [('joe', wrong), ('joe', anns), ('nobody', joes), ('joe', joes)]
    attempts = [(realm, authentication(realm, secret, user)) for user, secret in tries]
    *refused, (_, known) = enter(site, library, serializer, *attempts)
    assert refused == [FAILED] * 3
    assert known['authid'] == 'joe'


def test_a_realm_with_several_methods(site: Site, library: str, serializer: str) -> None:
    methods = ['ticket', 'cra', 'cryptosign']
    attempts = [('any', authentication(method, REALMS[method][1])) for method in methods]
    outcomes = enter(site, library, serializer, *attempts)
    assert [details['authmethod'] for details, _ in outcomes] == ['ticket', 'wampcra', 'cryptosign']
    assert {known['authid'] for _, known in outcomes} == {'joe'}


def test_methods_that_a_realm_does_not_have(site: Site, library: str, serializer: str) -> None:
    attempt = ('cra', authentication('ticket', 'ticket of joe'))
    reason = 'wamp.error.no_matching_auth_method'
    assert enter(site, library, serializer, attempt) == [reason]
