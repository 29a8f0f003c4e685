"""A server where clients have to authenticate, as a program of its own.

    python auth_site.py native|aiohttp|uvicorn [--unix PATH] [--tls PEM]

It writes one line of JSON when it accepts connections, `{"port": ...}`, and ends on SIGTERM.

Realms, by the method that each of them wants. In all of them there are the users `joe`, whose role is `user`, and
`ann`, whose role is `admin`; anybody else is unknown.

    realm        authmethods            joe's secret                    ann's secret
    ticket       ticket                 ticket of joe                   ticket of ann
    cra          wampcra                secret of joe                   secret of ann
    cra-salted   wampcra                password of joe                 password of ann
    cryptosign   cryptosign             the private key JOE_KEY         the private key ANN_KEY
    scram        wamp-scram (pbkdf2)    password of joe                 password of ann
    argon2       wamp-scram             password of joe                 password of ann
    autobahn     scram (argon2id-13)    password of joe                 password of ann
    transport    none                   the cookie user=joe             the cookie user=ann
    any          ticket, wampcra, cryptosign, wamp-scram, scram: as in ticket, cra, cryptosign and scram
    open         none                   nobody is asked anything

The private keys are 64 hexadecimal digits: JOE_KEY is 32 times `0a`, ANN_KEY 32 times `0b`; JOE_PUBLIC_KEY and
ANN_PUBLIC_KEY below are their public keys. With these an authid is not needed in HELLO.

WELCOME has the user as authid, the role above, the name of the realm as authprovider (`any` in the realm any) and
authextra `{"greeting": "Hello joe", ...}`. A wrong secret and an unknown user are refused with
wamp.error.authentication_failed, other authmethods with wamp.error.no_matching_auth_method.

The procedure `auth.whoami` returns the keywords identity, authid, authrole and extra, which is what HELLO had as
authextra.
"""

import functools
import hmac
import pathlib
import sys

# It is run by its path, and the standard library has a module `site` too.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import serverwamp_fast as serverwamp
from interop.site import main

JOE_KEY = '0a' * 32
ANN_KEY = '0b' * 32
JOE_PUBLIC_KEY = '43a72e714401762df66b68c26dfbdf2682aaec9f2474eca4613e424a0fbafd3c'
ANN_PUBLIC_KEY = '66be7e332c7a453332bd9d0a7f7db055f5c5ef1a06ada66d98b39fb6810c473a'
PUBLIC_KEYS = {JOE_PUBLIC_KEY: 'joe', ANN_PUBLIC_KEY: 'ann'}
ROLES = {'joe': 'user', 'ann': 'admin'}
SALT = 'salt of {}'
# Costs that nobody should take for a real server.
COSTS = {
    'pbkdf2': {'iterations': 4096},
    'argon2id13': {'iterations': 1, 'memory': 1024},
    'argon2id-13': {'iterations': 1, 'memory': 1024},
}

rpc = serverwamp.RPCRouteSet()


@rpc.route('auth.whoami')
async def whoami(session):
    auth_id, auth_role = session.announced_identity()
    return serverwamp.RPCResult(
        kwargs={
            'identity': session.identity,
            'authid': auth_id,
            'authrole': auth_role,
            'extra': dict(session.auth_extra),
        }
    )


def welcome(user: str, realm: str) -> serverwamp.AuthenticatedAs:
    return serverwamp.AuthenticatedAs(
        user, auth_role=ROLES[user], auth_provider=realm, auth_extra={'greeting': f'Hello {user}'}
    )


async def identify(session):
    return welcome(session.auth_id, session.realm.uri)


async def check_ticket(session, ticket):
    expected = f'ticket of {session.auth_id}'
    if session.auth_id in ROLES and hmac.compare_digest(ticket.encode(), expected.encode()):
        return welcome(session.auth_id, session.realm.uri)
    return None


async def require_secret(session):
    user = session.auth_id
    if user not in ROLES:
        return None
    return serverwamp.CRAAuthRequirement(f'secret of {user}', ROLES[user], session.realm.uri)


@functools.cache
def derive_key(user: str) -> bytes:
    return serverwamp.derive_cra_key(f'password of {user}', SALT.format(user), 1000, 32)


async def require_salted_secret(session):
    user = session.auth_id
    if user not in ROLES:
        return None
    return serverwamp.CRAAuthRequirement(
        derive_key(user), ROLES[user], session.realm.uri, salt=SALT.format(user)
    )


async def check_key(session, public_key):
    user = PUBLIC_KEYS.get(public_key)
    return user and welcome(user, session.realm.uri)


@functools.cache
def derive_credential(user: str, kdf: str) -> serverwamp.SCRAMCredential:
    return serverwamp.derive_scram_credential(f'password of {user}', kdf=kdf, **COSTS[kdf])


def provide_credential(kdf: str):
    async def find_credential(session):
        return derive_credential(session.auth_id, kdf) if session.auth_id in ROLES else None

    return find_credential


async def check_cookie(session):
    user = session.connection.transport_info['http_cookies'].get('user')
    return welcome(user, session.realm.uri) if user in ROLES else None


def build() -> serverwamp.Application:
    app = serverwamp.Application(allow_default_realm=False)
    names = 'ticket', 'cra', 'cra-salted', 'cryptosign', 'scram', 'argon2', 'autobahn', 'transport', 'any', 'open'
    realms = {name: serverwamp.Realm(name) for name in names}
    for realm in realms.values():
        realm.add_rpc_routes(rpc)
        app.add_realm(realm)
    for name in 'ticket', 'any':
        realms[name].set_ticket_authenticator(check_ticket)
    for name in 'cra', 'any':
        realms[name].set_cra_handlers(require_secret, identify)
    realms['cra-salted'].set_cra_handlers(require_salted_secret, identify)
    for name in 'cryptosign', 'any':
        realms[name].set_cryptosign_authenticator(check_key)
    for name, kdf in ('scram', 'pbkdf2'), ('argon2', 'argon2id13'), ('autobahn', 'argon2id-13'), ('any', 'pbkdf2'):
        # What unknown users are asked is what Autobahn knows, also before anybody else comes.
        realms[name].set_scram_handlers(provide_credential(kdf), identify, mock=derive_credential('ann', kdf))
    realms['transport'].add_transport_authenticator(check_cookie)
    return app


if __name__ == '__main__':
    main(build)
