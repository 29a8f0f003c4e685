"""Four realms, each with another way for clients to show who they are.

    pip install '.[auth]'    # in a clone of the repository
    python examples/authentication.py [--host HOST] [--port PORT]

The realm `tickets` wants a ticket, `passwords` has WAMP-CRA with salted passwords, `keys` has cryptosign, `scram` has
WAMP-SCRAM. The users are ada, whose ticket is `t-1843` and whose password is `analytical`, and grace (`t-1952`,
`cobol`). Ada's private key for cryptosign is 32 times the byte 0x0a. A client written with autobahn gets in with

    from autobahn.asyncio.component import Component, run

    ada = Component(
        transports='ws://127.0.0.1:8080/', realm='passwords',
        authentication={'wampcra': {'authid': 'ada', 'secret': 'analytical'}},
    )
"""

import argparse
import hmac
import secrets

import serverwamp_fast as serverwamp

ROLES = {'ada': 'author', 'grace': 'admiral'}
TICKETS = {'ada': 't-1843', 'grace': 't-1952'}

# What a database would keep instead of the passwords. It is derived once, when a password is set.
PASSWORDS = {'ada': 'analytical', 'grace': 'cobol'}
SALTS = {user: secrets.token_hex(16) for user in PASSWORDS}
CRA_KEYS = {user: serverwamp.derive_cra_key(PASSWORDS[user], SALTS[user]) for user in PASSWORDS}
SCRAM_CREDENTIALS = {
    # Autobahn's clients need kdf='argon2id-13'.
    user: serverwamp.derive_scram_credential(password, kdf='argon2id-13')
    for user, password in PASSWORDS.items()
}
PUBLIC_KEYS = {'43a72e714401762df66b68c26dfbdf2682aaec9f2474eca4613e424a0fbafd3c': 'ada'}

calls = serverwamp.RPCRouteSet()


@calls.route('who_am_i')
async def who_am_i(session):
    return session.identity


async def check_ticket(session, ticket):
    """Return who the client is, or what is false to refuse it."""
    user = session.auth_id
    expected = TICKETS.get(user, '')
    if hmac.compare_digest(ticket.encode(), expected.encode()) and expected:
        return serverwamp.AuthenticatedAs(user, auth_role=ROLES[user])
    return None


async def require_password(session):
    """Return what the user has to know, or None if there is no such user."""
    user = session.auth_id
    if user not in CRA_KEYS:
        return None
    # Strangers can read the role, too. With each user's own, it would tell which users there are.
    return serverwamp.CRAAuthRequirement(CRA_KEYS[user], 'user', 'example', salt=SALTS[user])


# Who names a user that doesn't exist is told something like this, with another salt.
CRA_MOCK = serverwamp.CRAAuthRequirement(b'', 'user', 'example', salt=secrets.token_hex(16))
SCRAM_MOCK = serverwamp.derive_scram_credential('nobody', kdf='argon2id-13')


async def find_credential(session):
    return SCRAM_CREDENTIALS.get(session.auth_id)


async def identify(session):
    """The user that session.auth_id names has shown to know the password."""
    return serverwamp.AuthenticatedAs(session.auth_id, auth_role=ROLES[session.auth_id])


async def check_key(session, public_key):
    """The client has shown to hold the private key to this public one."""
    user = PUBLIC_KEYS.get(public_key)
    return user and serverwamp.AuthenticatedAs(user, auth_role=ROLES[user])


tickets = serverwamp.Realm('tickets')
tickets.set_ticket_authenticator(check_ticket)

passwords = serverwamp.Realm('passwords')
passwords.set_cra_handlers(require_password, identify, mock=CRA_MOCK)

keys = serverwamp.Realm('keys')
keys.set_cryptosign_authenticator(check_key)

scram = serverwamp.Realm('scram')
scram.set_scram_handlers(find_credential, identify, mock=SCRAM_MOCK)

app = serverwamp.Application(allow_default_realm=False)
for realm in (tickets, passwords, keys, scram):
    realm.add_rpc_routes(calls)
    app.add_realm(realm)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument('--port', type=int, default=8080)
    options = parser.parse_args()
    app.run(host=options.host, port=options.port)
