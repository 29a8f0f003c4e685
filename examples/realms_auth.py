"""Three realms: one for everybody, one for those with a session cookie, one for those with a key.

    pip install .    # in a clone of the repository
    python examples/realms_auth.py [--host HOST] [--port PORT]

Clients join the realm `guests`, `customers` (the opening request carries the cookie `shop=c-17`) or
`admins` (it carries the header `Authorization: Bearer open-sesame`). Any other realm is refused.
"""

import argparse
import hmac

import serverwamp_fast as serverwamp

CUSTOMERS = {'c-17': 'Ada', 'c-18': 'Grace'}
ADMIN_KEY = b'Bearer open-sesame'

guest_calls = serverwamp.RPCRouteSet()
member_calls = serverwamp.RPCRouteSet()


@guest_calls.route('shop.opening_hours')
async def opening_hours():
    return {'from': '9:00', 'to': '18:00'}


@member_calls.route('shop.who_am_i')
async def who_am_i(session):
    return session.identity


async def authenticate_customer(session):
    """Return who the cookie belongs to; what is false, such as None, refuses the session."""
    return CUSTOMERS.get(session.connection.transport_info['http_cookies'].get('shop'))


async def authenticate_admin(session):
    """Do all of a realm's authentication: the session is either marked authenticated or aborted."""
    for name, value in session.connection.transport_info['http_headers_raw']:
        if name.lower() == b'authorization' and hmac.compare_digest(value, ADMIN_KEY):
            await session.mark_authenticated('admin')
            return
    await session.abort('wamp.error.authentication_failed', message='Admins need the key.')


guests = serverwamp.Realm('guests')
guests.add_rpc_routes(guest_calls)

customers = serverwamp.Realm('customers')
customers.add_transport_authenticator(authenticate_customer)
customers.add_rpc_routes(member_calls)

admins = serverwamp.Realm('admins')
admins.set_authentication_handler(authenticate_admin)
admins.add_rpc_routes(member_calls)

app = serverwamp.Application(allow_default_realm=False)
for realm in (guests, customers, admins):
    app.add_realm(realm)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--host', default='127.0.0.1')
    parser.add_argument('--port', type=int, default=8080)
    options = parser.parse_args()
    app.run(host=options.host, port=options.port)
