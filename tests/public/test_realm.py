"""realm: what an application does for the sessions of one realm."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import serverwamp.application as theirs
from serverwamp.application import Realm as TheirRealm
from support.doubles import RecordingConnection
from support.signatures import drive

import serverwamp_fast.realm as ours
from serverwamp_fast import application
from serverwamp_fast.auth import AuthenticatedAs, CRAAuthRequirement
from serverwamp_fast.errors import NoSuchRouteError
from serverwamp_fast.events import TopicRouteSet
from serverwamp_fast.realm import Realm
from serverwamp_fast.routing import RouteSet
from serverwamp_fast.rpc import RPCRequest, RPCResult, RPCRouteSet
from serverwamp_fast.session import WAMPSession

# The methods that take functions, and how many.
HANDLERS = {
    'set_rpc_handler': 1,
    'set_subscription_handler': 1,
    'set_authentication_handler': 1,
    'add_transport_authenticator': 1,
    'set_ticket_authenticator': 1,
    'set_cryptosign_authenticator': 1,
    'set_cra_handlers': 2,
    'set_scram_handlers': 2,
    'add_session_lifespan_handler': 1,
}


async def procedure(session: Any = None, db: Any = None) -> list[Any]:
    return [db]


async def lifespan() -> Any:
    yield


def new_session(realm: Realm) -> WAMPSession:
    return WAMPSession(RecordingConnection(), realm)


def call(realm: Realm, uri: str) -> RPCResult:
    request = RPCRequest(1, new_session(realm), uri, (), {})
    return drive(anext(realm.handle_rpc_call(request)).__await__())


def subscription(realm: Realm, topic: str) -> Any:
    iterator = realm.handle_subscription(topic, new_session(realm))
    return drive(anext(iterator).__await__())


# ---- Routes and arguments ------------------------------------------------------------------------


def test_uri() -> None:
    assert Realm('com.example.realm').uri == 'com.example.realm'
    assert Realm().uri is None


def make_routes() -> tuple[RPCRouteSet, TopicRouteSet]:
    procedures, topics = RPCRouteSet(), TopicRouteSet()
    procedures.route('a.procedure')(procedure)
    procedures.prefix_route('a.b.')(procedure)
    procedures.regex_route('a+c')(procedure)
    topics.topic('a.topic')(lifespan)
    topics.prefix_route('t.b.')(lifespan)
    topics.regex_route('t+c')(lifespan)
    return procedures, topics


def check_routes(realm: Realm) -> None:
    for uri in 'a.procedure', 'a.b.c', 'aac':
        assert call(realm, uri) == RPCResult([None])
        with pytest.raises(NoSuchRouteError):
            subscription(realm, uri)
    for topic in 'a.topic', 't.b.c', 'ttc':
        subscription(realm, topic)
        with pytest.raises(NoSuchRouteError):
            call(realm, topic)


def test_routes_of_each_kind() -> None:
    procedures, topics = make_routes()
    realm = Realm()
    realm.add_rpc_routes(procedures)
    realm.add_topic_routes(topics)
    check_routes(realm)


def test_routes_of_both_kinds() -> None:
    procedures, topics = make_routes()
    realm = Realm()
    realm.add_routes(procedures)
    realm.add_topics(topics)
    check_routes(realm)
    realm = Realm()
    realm.add_routes(route for routes in (topics, procedures) for route in routes)
    check_routes(realm)


def test_other_definitions_are_procedures() -> None:
    routes = RouteSet()
    routes.route('a')(procedure)
    realm = Realm()
    realm.add_routes(routes)
    assert call(realm, 'a') == RPCResult([None])


@pytest.mark.parametrize('name', ['set_default_arg', 'add_default_arg'])
def test_default_args_are_for_all_handlers(name: str) -> None:
    seen = []

    async def subscribed(db: Any, made: Any) -> Any:
        seen.append([db, made])
        yield

    async def started(session: Any, db: Any, made: Any) -> Any:
        yield

    made = iter(range(9))
    realm = Realm()
    getattr(realm, name)('db', 'the db')
    getattr(realm, name)('made', factory=lambda: next(made))
    realm._rpc_router.add_route('a', lambda db, made: procedure(db=[db, made]))
    realm._topic_router.add_route('a', subscribed)
    assert call(realm, 'a') == RPCResult([['the db', 0]])
    subscription(realm, 'a')
    assert seen == [['the db', 1]]
    assert realm._args_for_realm_level_handler(started, session='s') == (
        [],
        {'session': 's', 'db': 'the db', 'made': 2},
    )


def test_arguments_of_lifespan_handlers() -> None:
    realm = Realm()
    assert realm._args_for_realm_level_handler(lambda session: None, session='s') == (
        [],
        {'session': 's'},
    )
    with pytest.raises(TypeError, match='unknown'):
        realm._args_for_realm_level_handler(lambda unknown: None, session='s')


def test_functions_in_place_of_the_routes() -> None:
    async def handle_call(request: Any) -> None: ...
    async def handle_topic(topic_uri: str, session: Any) -> Any:
        yield

    async def authenticate(session: Any) -> None: ...

    realm = Realm()
    realm.set_rpc_handler(handle_call)
    realm.set_subscription_handler(handle_topic)
    realm.set_authentication_handler(authenticate)
    assert realm.handle_rpc_call is handle_call
    assert realm.handle_subscription is handle_topic
    assert realm.authenticate_session is authenticate


@pytest.mark.parametrize('setting', sorted(HANDLERS))
@pytest.mark.parametrize('value', [5, None, 'handler'])
def test_what_is_no_function_is_refused_before_clients_come(setting: str, value: Any) -> None:
    pytest.importorskip('cryptography', reason='cryptography is not installed')
    count = HANDLERS[setting]
    for place in range(count):
        arguments: list[Any] = [lifespan] * count
        arguments[place] = value
        for taker in Realm(), application.Application():
            with pytest.raises(TypeError, match=rf'^{setting}\(\) takes a function, which .* is not\.$'):
                getattr(taker, setting)(*arguments)


def test_what_is_no_route_is_refused() -> None:
    realm = Realm()
    for add in realm.add_rpc_routes, realm.add_topic_routes, realm.add_routes:
        with pytest.raises(TypeError, match='is no route'):
            add([procedure])


# ---- Lifespan handlers ---------------------------------------------------------------------------


def test_lifespan_handlers() -> None:
    async def second(session: Any) -> Any:
        yield

    realm = Realm()
    handlers = [lifespan, second, make_routes]
    realm.add_session_lifespan_handler(handlers[0])
    realm.add_session_lifespan_handler(handlers[1], authenticated_only=True)
    realm.add_session_lifespan_handler(handlers[2], authenticated_only=False)
    assert realm.authed_session_lifespan_handlers == handlers[:2]
    assert realm.session_lifespan_handlers == handlers[2:]


def warned(function: Callable[[], Any]) -> tuple[Any, warnings.WarningMessage]:
    with pytest.warns(DeprecationWarning) as caught:
        result = function()
    (warning,) = caught
    return result, warning


def test_old_names() -> None:
    realm = Realm()
    uses: dict[str, Callable[[], Any]] = {
        'add_session_state_handler()': lambda: realm.add_session_state_handler(lifespan, False),
        'session_state_handlers': lambda: realm.session_state_handlers,
        'authed_session_state_handlers': lambda: realm.authed_session_state_handlers,
        'SessionStateHandler': lambda: application.SessionStateHandler,
    }
    for name, use in uses.items():
        result, warning = warned(use)
        assert str(warning.message) == (
            f'{name} is deprecated; use {name.replace("state", "lifespan").replace("State", "Lifespan")} instead.'
        )
        # It names the place where the old name is used.
        assert warning.filename == __file__
        assert warning.lineno == use.__code__.co_firstlineno
        if name == 'SessionStateHandler':
            assert result is ours.SessionLifespanHandler
    assert realm.session_lifespan_handlers == [lifespan]
    assert warned(lambda: realm.session_state_handlers)[0] is realm.session_lifespan_handlers
    old = warned(lambda: realm.authed_session_state_handlers)[0]
    assert old is realm.authed_session_lifespan_handlers


# ---- Authentication ------------------------------------------------------------------------------


def authenticate(realm: Realm) -> WAMPSession:
    """A session when the realm's authenticators have dealt with it."""
    session = new_session(realm)
    drive(realm.authenticate_session(session))
    return session


def returning(identity: Any, log: list[Any]) -> Callable[[WAMPSession], Any]:
    async def identify(session: WAMPSession) -> Any:
        log.append(identity)
        return identity

    return identify


def test_everyone_is_let_in() -> None:
    session = authenticate(Realm())
    assert session.is_open
    assert session.identity is None
    ((code, number, details),) = session.connection.sent
    assert (code, number, details['authrole']) == (2, session.id, 'anonymous')


def test_the_first_transport_authenticator_that_knows_the_client() -> None:
    log: list[Any] = []
    realm = Realm()
    for identity in None, '', 'joe', 'ann':
        realm.add_transport_authenticator(returning(identity, log))
    session = authenticate(realm)
    assert session.identity == 'joe'
    assert session.is_open
    assert log == [None, '', 'joe']
    assert session.connection.sent[0][2]['authmethod'] == 'transport'


def test_an_authenticator_may_name_its_method() -> None:
    async def identify(session: WAMPSession) -> str:
        session.auth_method = 'cookie'
        return 'joe'

    realm = Realm()
    realm.add_transport_authenticator(identify)
    assert authenticate(realm).connection.sent[0][2]['authmethod'] == 'cookie'


def test_an_authenticator_is_asked_once() -> None:
    log: list[Any] = []
    realm = Realm()
    identify = returning(None, log)
    for _ in range(2):
        realm.add_transport_authenticator(identify)
    authenticate(realm)
    assert log == [None]


async def ticket(session: WAMPSession, ticket: str) -> str:
    return 'joe'


async def requirement(session: WAMPSession) -> CRAAuthRequirement:
    return CRAAuthRequirement(b'secret', 'role', 'provider')


async def identity(session: WAMPSession) -> str:
    return 'joe'


async def credential(session: WAMPSession) -> None:
    return None


SET_UPS: list[Callable[[Realm], None]] = [
    lambda realm: realm.set_ticket_authenticator(ticket),
    lambda realm: realm.set_cra_handlers(requirement, identity),
    lambda realm: realm.set_cryptosign_authenticator(ticket),
    lambda realm: realm.set_scram_handlers(credential, identity),
]


def test_nobody_is_let_in_unknown() -> None:
    realm = Realm()
    realm.add_transport_authenticator(returning(None, []))
    assert_refused(realm, 'wamp.error.authentication_failed')
    for set_up in SET_UPS:
        # The client has named no method; see test_authentication.py for those that do.
        realm = Realm()
        set_up(realm)
        assert_refused(realm, 'wamp.error.no_matching_auth_method')
        realm.add_transport_authenticator(returning(None, []))
        assert_refused(realm, 'wamp.error.no_matching_auth_method')


def assert_refused(realm: Realm, reason: str) -> None:
    session = authenticate(realm)
    assert not session.is_open
    ((code, _, uri),) = session.connection.sent
    assert (code, uri) == (3, reason)
    assert session.connection.closed


def test_the_authid_of_who_is_known_by_the_transport() -> None:
    """Never what HELLO claims: the name that the authenticator says, or the session's number."""

    async def by_hand(session: WAMPSession) -> Any:
        session.confirmed_auth_id = 'by hand'
        return 5

    async def fully(session: WAMPSession) -> Any:
        return AuthenticatedAs({'id': 5}, auth_id='joe', auth_role='r')

    for authenticator, expected in (
        (returning('ann', []), 'ann'), (returning({'id': 5}, []), None), (by_hand, 'by hand'), (fully, 'joe'),
    ):  # fmt: skip
        realm = Realm()
        realm.add_transport_authenticator(authenticator)
        session = new_session(realm)
        session.auth_id = 'claimed'
        drive(realm.authenticate_session(session))
        assert session.connection.sent[0][2]['authid'] == (expected or str(session.id))
        assert session.auth_id == 'claimed'


def test_what_an_authenticator_raises_is_passed_on() -> None:
    async def identify(session: WAMPSession) -> None:
        raise LookupError('no database')

    realm = Realm()
    realm.add_transport_authenticator(identify)
    with pytest.raises(LookupError, match='no database'):
        authenticate(realm)


def test_the_default_can_be_extended() -> None:
    class Counting(Realm):
        asked = 0

        async def default_auth_handler(self, session: WAMPSession) -> None:
            self.asked += 1
            await super().default_auth_handler(session)

    realm = Counting()
    assert authenticate(realm).is_open
    realm.add_transport_authenticator(returning(None, []))
    assert not authenticate(realm).is_open
    assert realm.asked == 2


def test_the_default_can_be_fallen_back_to() -> None:
    realm = Realm()

    async def decide(session: WAMPSession) -> None:
        await realm.default_auth_handler(session)

    realm.set_authentication_handler(decide)
    assert authenticate(realm).is_open


def test_lets_everyone_in() -> None:
    class Counting(Realm):
        async def default_auth_handler(self, session: WAMPSession) -> None:
            raise AssertionError

    assert Realm().lets_everyone_in
    assert not Counting().lets_everyone_in
    for set_up in (
        *SET_UPS,
        lambda realm: realm.add_transport_authenticator(identity),
        lambda realm: realm.set_authentication_handler(identity),
    ):
        realm = Realm()
        set_up(realm)
        assert not realm.lets_everyone_in


def test_another_realms_authenticators() -> None:
    members = Realm('members')
    members.add_transport_authenticator(returning(None, []))
    realm = Realm()
    realm.set_authentication_handler(members.default_auth_handler)
    assert not realm.lets_everyone_in
    assert not authenticate(realm).is_open


# ---- serverwamp's realm --------------------------------------------------------------------------


def test_every_method_of_serverwamps_realm_is_there() -> None:
    for name, method in inspect.getmembers(TheirRealm, inspect.isfunction):
        if name.startswith('__') and name != '__init__':
            continue
        expected = inspect.signature(method).parameters
        found = inspect.signature(getattr(Realm, name)).parameters
        assert list(found)[: len(expected)] == list(expected), name
        # What is new has to be named, and need not be given.
        for parameter in list(found)[len(expected) :]:
            assert found[parameter].kind == inspect.Parameter.KEYWORD_ONLY, name
            assert found[parameter].default is not inspect.Parameter.empty, name
        for parameter in expected:
            assert found[parameter].default == expected[parameter].default, name
            assert found[parameter].kind == expected[parameter].kind, name
    # The functions that authenticate by the one or the other method are in one table.
    in_a_table = {'_authenticate_ticket', '_get_cra_requirement', '_identify_cra_session'}
    for name in vars(TheirRealm()).keys() - in_a_table:
        assert hasattr(Realm(), name), name


def test_names_are_found_in_application() -> None:
    for name in (
        'Realm',
        'CoreAuthenticator',
        'TransportAuthenticator',
        'TicketAuthenticator',
        'CRARequirementProvider',
        'CRAIdentityProvider',
        'SessionLifespanHandler',
    ):
        assert hasattr(theirs, name)
        assert getattr(application, name) is getattr(ours, name)
