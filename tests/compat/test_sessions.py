"""Sessions as applications use them: as a place for their own data, and as a class to build on."""

import gc
import weakref
from typing import Any

import anyio
import pytest

from compat.memory import connection_class
from compat.packages import ORACLE, SUBJECT, Package
from compat.steps import GOODBYE, call, hello
from compat.transcripts import Labels

PACKAGES = pytest.mark.parametrize('package', [ORACLE, SUBJECT], ids=lambda package: package.name)


def new_session(package: Package, cls: Any = None, **arguments: Any) -> Any:
    connection = connection_class(package)()
    realm = package.root.Realm('realm')
    return (cls or package.session.WAMPSession)(connection, realm, tasks=None, **arguments)


@PACKAGES
def test_attributes_from_the_constructor(package: Package) -> None:
    session = new_session(package, auth_id='joe', auth_methods=('ticket',))
    assert (session.auth_id, session.auth_methods) == ('joe', ('ticket',))
    assert 1 <= session.id <= 2**53
    assert session.realm.uri == 'realm'
    assert not session.is_open
    assert session.identity is package.session.NO_IDENTITY
    other = package.session.WAMPSession(connection=5, realm=session.realm, tasks=6)
    assert (other.connection, other.auth_id, tuple(other.auth_methods)) == (5, None, ())
    assert other.id != session.id


@PACKAGES
def test_attributes_can_be_set(package: Package) -> None:
    session = new_session(package)
    session.anything = [1]
    session.anything.append(2)
    session.auth_id, session.identity, session.auth_methods = 'joe', {'id': 5}, ['x']
    session.realm = package.root.Realm('other')
    assert session.anything == [1, 2]
    assert vars(session)['anything'] == [1, 2]
    assert (session.auth_id, session.identity, session.realm.uri) == ('joe', {'id': 5}, 'other')
    del session.anything
    with pytest.raises(AttributeError):
        _ = session.anything


@PACKAGES
def test_item_data(package: Package) -> None:
    session = new_session(package)
    assert (len(session), list(session)) == (0, [])
    with pytest.raises(KeyError):
        _ = session['name']
    with pytest.raises(KeyError):
        del session['name']
    session['name'] = 'Joe'
    session[5] = None
    assert (session['name'], session[5], len(session), list(session)) == (
        'Joe',
        None,
        2,
        ['name', 5],
    )
    assert 'name' in session
    assert 'other' not in session
    del session['name']
    assert list(session) == [5]


@PACKAGES
def test_sessions_are_hashable_by_identity(package: Package) -> None:
    one, two = new_session(package), new_session(package)
    assert {one, two, one} == {two, one}
    assert one != two
    assert one in {one: 1}


@PACKAGES
def test_weak_references(package: Package) -> None:
    session = new_session(package)
    members = weakref.WeakSet([session])
    names = weakref.WeakKeyDictionary({session: 'Joe'})
    reference = weakref.ref(session)
    assert (len(members), names[session]) == (1, 'Joe')
    session.itself = session
    del session
    gc.collect()
    assert reference() is None
    assert (len(members), len(names)) == (0, 0)


@pytest.mark.skipif(
    SUBJECT.is_oracle, reason='an empty session of serverwamp 2.0.0 counts as false'
)
def test_a_session_without_data_counts_as_true() -> None:
    assert not new_session(ORACLE)
    assert new_session(SUBJECT)


@PACKAGES
@pytest.mark.parametrize('backend', ['asyncio', 'trio'])
def test_subclass_is_driven_through_handle_session(package: Package, backend: str) -> None:
    """An application that makes its sessions itself: a subclass, HELLO read by hand, the rest by handle_session()."""
    sent: list[str] = []

    class OwnSession(package.session.WAMPSession):  # type: ignore[name-defined, misc]
        def __init__(self, *args: Any, own: str, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.own = own

        async def send_raw(self, msg: Any) -> None:
            sent.append(f'raw {int(msg[0])}')
            await super().send_raw(msg)

        async def send_event(self, topic: str, *args: Any, **kwargs: Any) -> None:
            sent.append(f'event {topic}')
            await super().send_event(topic, *args, **kwargs)

        async def mark_authenticated(self, identity: Any = None) -> None:
            sent.append('authenticated')
            await super().mark_authenticated(identity or 'somebody')

        async def close(self, *args: Any, **kwargs: Any) -> None:
            sent.append('close')
            await super().close(*args, **kwargs)

    support = package.async_support('trio' if backend == 'trio' else 'asyncio')
    app = package.root.Application(async_support=support)
    routes, topics = package.root.RPCRouteSet(), package.root.TopicRouteSet()
    ended = []

    @routes.route('whoami')
    async def whoami(session: Any, topic: str = 'none') -> Any:
        await session.send_event(topic, args=('news',))
        return [type(session).__name__, session.own, session.identity]

    @topics.prefix_route('topic')
    async def topic(session: Any) -> Any:
        yield
        ended.append(session.own)

    async def lifespan(session: Any) -> Any:
        session['started'] = True
        yield
        ended.append('lifespan')

    app.add_rpc_routes(routes)
    app.add_topic_routes(topics)
    app.add_session_lifespan_handler(lifespan)

    async def main() -> tuple[Any, list[Any]]:
        connection = connection_class(package)()
        labels = Labels()
        received: list[Any] = []

        async def talk() -> None:
            for message, answers in (
                (hello(), 1), (call('whoami', id=1), 1), ([32, 2, {}, 'topic'], 1),
                (call('whoami', 'topic', id=3), 2), (GOODBYE, 1),
            ):  # fmt: skip
                await connection.inbox_sender.send(message)
                for _ in range(answers):
                    received.append(labels.normalize(await connection.outbox_receiver.receive()))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(talk)
                messages = connection.iterate_msgs()
                await anext(messages)
                async with support.launch_task_group() as tasks:
                    session = OwnSession(connection, app._enabled_default_realm, tasks, own='mine')
                    outcome = await app.handle_session(session, messages)
        return (outcome, session.is_open, session['started']), received

    state, received = anyio.run(main, backend=backend)
    assert state == (True, False, True)
    assert received == [
        [2, 'session 1', {'roles': ['broker', 'dealer']}],
        [50, 1, {}, ['OwnSession', 'mine', 'somebody']],
        [33, 2, 'sub 1'],
        [36, 'sub 1', 'publication 1', {}, ['news']],
        [50, 3, {}, ['OwnSession', 'mine', 'somebody']],
        [6, {}, 'wamp.close.goodbye_and_out'],
    ]
    # What a subclass overrides is called: for calls' results too.
    assert {'authenticated', 'raw 50', 'event none', 'event topic', 'close'} <= set(sent)
