"""The authentication methods of WAMP: for each, what is asked of the client and what its answer says.

A method is called with a session that is being opened and with the name by which the client knows the method. It
returns who the client is, or something false, and raises AuthenticationFailure where a reason can be told.
Clients must not find out whether a user exists: a user that is unknown gets a challenge like any other, and
the same refusal after the same work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from secrets import token_bytes
from typing import Any, Protocol, TypeVar

from .auth import (
    AuthenticatedAs,
    CRAAuthRequirement,
    SCRAMCredential,
    SCRAMExchange,
    mock_cra_requirement,
    mock_scram_credential,
    verify_cra_response,
    verify_cryptosign_signature,
)
from .auth.cryptosign import CHALLENGE_SIZE, find_channel_id, mix_channel_id, read_public_key
from .protocol import AuthenticationFailure, scram_nonce
from .session import WAMPSession

TicketAuthenticator = Callable[[WAMPSession, str], Awaitable[Any]]
CRARequirementProvider = Callable[[WAMPSession], Awaitable[CRAAuthRequirement | None]]
CRAIdentityProvider = Callable[[WAMPSession], Awaitable[Any]]
CryptosignAuthenticator = Callable[[WAMPSession, str], Awaitable[Any]]
SCRAMCredentialProvider = Callable[[WAMPSession], Awaitable[SCRAMCredential | None]]
SCRAMIdentityProvider = Callable[[WAMPSession], Awaitable[Any]]

Known = TypeVar('Known')


class AuthenticationMethod(Protocol):
    def __call__(self, session: WAMPSession, name: str) -> Awaitable[Any]: ...


class Ticket:
    """Ticket-based authentication."""

    def __init__(self, authenticator: TicketAuthenticator) -> None:
        self._authenticator = authenticator

    async def __call__(self, session: WAMPSession, name: str) -> Any:
        ticket = await session.request_ticket_authentication()
        return await self._authenticator(session, ticket)


class CRA:
    """WAMP-CRA, with and without salt."""

    def __init__(
        self,
        requirement_provider: CRARequirementProvider,
        identity_provider: CRAIdentityProvider,
        mock: CRAAuthRequirement | None = None,
    ) -> None:
        self._provider = requirement_provider
        self._identify = identity_provider
        # What mock requirements are to look like; if nobody has said it, the first one that there is. Were it the
        # last one, it would change from time to time, which no user's does.
        self._model = mock

    async def __call__(self, session: WAMPSession, name: str) -> Any:
        auth_id = require_auth_id(session, name)
        known = await look_up(self._provider, session)
        self._model = self._model or known
        # Also for a user that there is: it is part of the work that takes the same time for all.
        mock = mock_cra_requirement(auth_id, session.realm.mock_key, self._model)
        requirement = known or mock
        salting = None
        if requirement.salt is not None:
            salting = {
                'salt': requirement.salt,
                'iterations': requirement.iterations,
                'keylen': requirement.keylen,
            }
        response = await session.request_cra_auth(
            requirement.auth_role, requirement.auth_provider, salting
        )
        if not verify_cra_response(response, requirement.secret) or known is None:
            return None
        session.auth_role = requirement.auth_role
        session.auth_provider = requirement.auth_provider
        return await self._identify(session)


class Cryptosign:
    """Authentication by an Ed25519 key. The authenticator is asked only about keys that the client holds."""

    def __init__(self, authenticator: CryptosignAuthenticator) -> None:
        self._authenticator = authenticator

    async def __call__(self, session: WAMPSession, name: str) -> Any:
        public_key = read_public_key(session.auth_extra.get('pubkey'))
        if public_key is None:
            raise AuthenticationFailure('cryptosign needs authextra.pubkey in HELLO: 64 hexadecimal digits.')
        binding = read_channel_binding(session)
        message = challenge = token_bytes(CHALLENGE_SIZE)
        extra: dict[str, Any] = {'challenge': challenge.hex(), 'channel_binding': None}
        if binding is not None:
            extra['channel_binding'], tls_unique = binding
            message = mix_channel_id(challenge, find_channel_id(tls_unique))
        answer = await session.request_authentication(name, extra)
        if not verify_cryptosign_signature(answer.signature, message, public_key):
            return None
        who = await self._authenticator(session, public_key.hex())
        # The key is proven; the authid of HELLO is not.
        session.confirmed_auth_id = name_of(who) or public_key.hex()
        return who


class SCRAM:
    """WAMP-SCRAM; `scram` is Autobahn's name for it."""

    NAMES = 'wamp-scram', 'scram'

    def __init__(
        self,
        credential_provider: SCRAMCredentialProvider,
        identity_provider: SCRAMIdentityProvider,
        mock: SCRAMCredential | None = None,
    ) -> None:
        self._provider = credential_provider
        self._identify = identity_provider
        # As with WAMP-CRA.
        self._model = mock

    async def __call__(self, session: WAMPSession, name: str) -> Any:
        auth_id = require_auth_id(session, name)
        nonce = session.auth_extra.get('nonce')
        if not isinstance(nonce, str) or not nonce or not nonce.isascii() or not nonce.isprintable() or ',' in nonce:
            raise AuthenticationFailure(f'{name} needs authextra.nonce in HELLO: random bytes in Base64.')
        binding = read_channel_binding(session)
        known = await look_up(self._provider, session)
        self._model = self._model or known
        mock = mock_scram_credential(auth_id, session.realm.mock_key, self._model)
        credential = known or mock
        exchange = SCRAMExchange(credential, auth_id, nonce, scram_nonce(), binding)
        answer = await session.request_authentication(name, exchange.challenge())
        server_signature = exchange.verify(answer.signature, answer.extra)
        if server_signature is None or known is None:
            return None
        session.auth_role = credential.auth_role
        session.auth_provider = credential.auth_provider
        # The one is the specification's name and form, by its example; the other is Autobahn's.
        session.welcome_extra = {
            'verifier': f'v={server_signature}',
            'scram_server_signature': server_signature,
        }
        return await self._identify(session)


def name_of(who: Any) -> str | None:
    """Return the name that an authenticator has given the client, if it is one."""
    identity = who.identity if isinstance(who, AuthenticatedAs) else who
    return identity if isinstance(identity, str) else None


def require_auth_id(session: WAMPSession, name: str) -> str:
    """Return the user that the client wants to be."""
    auth_id = session.auth_id
    if not isinstance(auth_id, str) or not auth_id:
        raise AuthenticationFailure(f'{name} needs an authid in HELLO.')
    return auth_id


async def look_up(
    provider: Callable[[WAMPSession], Awaitable[Known | None]], session: WAMPSession
) -> Known | None:
    """Return what the provider knows of the session's user, or None."""
    try:
        return await provider(session)
    except AuthenticationFailure:
        return None


def read_channel_binding(session: WAMPSession) -> tuple[str, bytes] | None:
    """Return name and data of the channel binding that HELLO asks for, if it does.

    Raises AuthenticationFailure where it can't be had: the client is to know that nothing binds the channel.
    """
    name = session.auth_extra.get('channel_binding')
    if name is None or name == '':
        return None
    find = getattr(session.connection, 'tls_unique', None)
    data = find() if name == 'tls-unique' and find is not None else None
    if data is None:
        raise AuthenticationFailure(
            'This channel binding is not available. The server has tls-unique, on direct connections by TLS 1.2.'
        )
    return 'tls-unique', data
