"""The examples of the two pages of serverwamp's documentation, run as they stand there, where the pages are at hand.

`test_documented` has the same in words of its own, and is run everywhere.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from compat.packages import SUBJECT
from compat.steps import call
from compat.test_documented import make_api, run

FOLDER = Path(
    os.environ.get('SERVERWAMP_PAGES') or Path(__file__).parents[2].parent / 'shared' / 'reference'
)
ADVANCED, STARTED = 'documented-advanced-usage.rst.txt', 'documented-getting-started.rst.txt'

pytestmark = [
    pytest.mark.skipif(
        SUBJECT.is_oracle, reason='serverwamp 2.0.0 has not all that its documentation names'
    ),
    pytest.mark.skipif(not FOLDER.is_dir(), reason='the pages are not at hand'),
]
serverwamp = SUBJECT.root

# Slips of syntax and of names, and nothing else.
SLIPS = {
    'app.add_realm(admin_realm)': 'app.add_realm(admins_realm)',
    "if rpc_request.uri = 'add_stuff':": "if rpc_request.uri == 'add_stuff':",
    # The names are made in the lines below it.
    'from myproject.apis import guests_realm, customers_realm, admins_realm': '',
    # The name under which the package is installed here: see install().
    'from serverwamp.': f'from {SUBJECT.name}.',
}


def examples(page: str) -> list[str]:
    """The Python blocks of a page, in their order."""
    found: list[list[str]] = []
    inside = False
    for line in (FOLDER / page).read_text().splitlines():
        if line.startswith('.. code-block:: python'):
            inside = True
            found.append([])
        elif inside and line and not line.startswith('    '):
            inside = False
        elif inside and not line.startswith('    :caption:'):
            found[-1].append(line[4:])
    return ['\n'.join(lines) for lines in found]


def execute(page: str, number: int, **names: Any) -> dict[str, Any]:
    """Run one example of a page, with what the text around it presupposes; return all names."""
    code = examples(page)[number]
    for slip, meant in SLIPS.items():
        code = code.replace(slip, meant)
    names = {'serverwamp': serverwamp, 'app': serverwamp.Application(), 'Any': Any, **names}
    exec(compile(code, f'{page}, example {number}', 'exec'), names)
    return names


@pytest.mark.parametrize(('page', 'count'), [(ADVANCED, 7), (STARTED, 3)])
def test_there_are_tests_for_all(page: str, count: int) -> None:
    assert len(examples(page)) == count


@pytest.mark.parametrize('page', [ADVANCED, STARTED])
def test_realms(page: str) -> None:
    """Both pages, "Breaking an Application into Realms"."""

    async def customer_cookie_auth(session: Any) -> Any:
        return session.connection.transport_info.get('customer')

    async def admin_token_auth(session: Any, ticket: str) -> Any:
        return 'admin' if ticket == 'the token' else None

    app = execute(
        page,
        0,
        registration_api=make_api(register='welcome'),
        account_api=make_api(balance=100),
        admin_api=make_api(delete='deleted'),
        customer_cookie_auth=customer_cookie_auth,
        admin_token_auth=admin_token_auth,
    )['app']
    assert run(app, call('register'), realm='guests') == [[50, 1, {}, ['welcome']]]
    refused = [3, {}, 'wamp.error.authentication_failed']
    assert run(app, realm='customers')[:1] == [refused]
    joining = {'realm': 'admins', 'authid': 'joe', 'authmethods': ['ticket']}
    answers = run(app, [5, 'the token', {}], call('delete'), **joining)
    assert [answers[0][0], answers[1][0], answers[2]] == [4, 2, [50, 1, {}, ['deleted']]]
    assert run(app, [5, 'another', {}], **joining)[1:] == [refused]
    # "sessions are attached to [the default realm] if the client requests a realm that hasn't been configured"
    assert run(app, call('register'), realm='other')[0][4] == 'wamp.error.no_such_procedure'


@pytest.mark.parametrize('page', [ADVANCED, STARTED])
def test_without_default_realm(page: str) -> None:
    app = execute(page, 1)['app']
    assert run(app, realm='other') == [[3, {}, 'wamp.error.no_such_realm']]


def test_session_open_and_close() -> None:
    names = execute(ADVANCED, 2)
    app = names['app']
    routes = serverwamp.RPCRouteSet()
    metrics = []

    @routes.route('count')
    async def count(app_metrics: Any) -> Any:
        metrics.append(app_metrics)
        return app_metrics['activeSessions']

    app.add_rpc_routes(routes)
    app.add_session_lifespan_handler(names['count_session'])
    assert run(app, call('count')) == [[50, 1, {}, [1]]]
    assert metrics == [{'activeSessions': 0}]


def test_session_data() -> None:
    rpc_api = serverwamp.RPCRouteSet()

    @rpc_api.route('get_my_name')
    async def get_my_name(session: Any) -> Any:
        return session['name']

    app = execute(ADVANCED, 3, rpc_api=rpc_api)['app']
    app.add_rpc_routes(rpc_api)
    answers = run(app, call('set_my_name', 'Joe'), call('get_my_name', id=2))
    assert answers == [[50, 1, {}], [50, 2, {}, ['Joe']]]


@pytest.mark.parametrize(('page', 'number'), [(ADVANCED, 4), (STARTED, 2)])
def test_trio(page: str, number: int) -> None:
    anyio = pytest.importorskip('anyio', reason='anyio is not installed')
    from compat.test_documented import talk

    app = execute(page, number)['app']
    assert app._async_support.__name__ == 'TrioAsyncSupport'
    app.add_rpc_routes(make_api(get='got'))
    assert anyio.run(talk, app, call('get'), backend='trio') == [[50, 1, {}, ['got']]]


class TestRPCCalls:
    """Advanced Usage, "RPC Calls"."""

    def app_with(self, number: int) -> Any:
        my_realm = serverwamp.Realm('realm1')
        names = execute(ADVANCED, number, my_realm=my_realm)
        if number == 6:
            # The second example only defines it; the first one shows how it is set.
            my_realm.set_rpc_handler(names['rpc_handler'])
        names['app'].add_realm(my_realm)
        return names['app']

    def test_basic(self) -> None:
        answers = run(
            self.app_with(5),
            call('add_stuff', 1, 2.5),
            call('add_stuff', 'x', id=2),
            call('other', id=3),
        )
        assert answers == [
            [50, 1, {}, [3.5]],
            [8, 48, 2, {}, 'wamp.error.runtime_error', ['Numbers only!']],
            [8, 48, 3, {}, 'myapp.custom_error'],
        ]

    def test_progressive(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from serverwamp_fast import lone_arguments

        monkeypatch.setattr(lone_arguments, '_warned', set())
        progress = {'receive_progress': True}
        answers = run(
            self.app_with(6),
            call('add_stuff', 1, 2, options=progress),
            call('add_stuff', 1, 'x', id=2, options=progress),
            call('other', id=3, options=progress),
        )
        assert answers == [
            [50, 1, {'progress': True}, ['Added 1']],
            [50, 1, {'progress': True}, ['Added 2']],
            [50, 1, {}, [3]],
            [50, 2, {'progress': True}, ['Added 1']],
            [8, 48, 2, {}, 'wamp.error.runtime_error', ['Numbers only!']],
            [8, 48, 3, {}, 'myapp.custom_error'],
        ]
        lines = [record.getMessage() for record in caplog.records if 'lone' in record.getMessage()]
        assert len(lines) == 1
        assert 'rpc_handler' in lines[0]
