"""The applications that are compared, each built alike from whichever package is asked for.

`build(package, name)` returns a fresh `App`. The application called `rich` has about everything a realm can
have; the others differ from it in one respect each, because that respect (an authenticator, a custom handler)
would stand in the way of everything else.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio

from compat import generators, procedures, topics
from compat.packages import Package


@dataclass
class App:
    """An application under comparison, and what its handlers wrote down, in order."""

    package: Package
    application: Any
    journal: list[str] = field(default_factory=list)
    members: list[Any] = field(default_factory=list)
    gates: dict[str, anyio.Event] = field(default_factory=dict)

    def gate(self, name: str) -> anyio.Event:
        return self.gates.setdefault(name, anyio.Event())


Setup = Callable[[App], None]
BUILDERS: dict[str, tuple[Setup, dict[str, Any]]] = {}


def application(name: str, **settings: Any) -> Callable[[Setup], Setup]:
    """Registers a function that sets an application up; `settings` go to the Application's constructor."""

    def register(setup: Setup) -> Setup:
        BUILDERS[name] = (setup, settings)
        return setup

    return register


def build(package: Package, name: str, async_support: str | None = None) -> App:
    setup, settings = BUILDERS[name]
    if async_support is not None:
        settings = settings | {'async_support': package.async_support(async_support)}
    if 'protocol_request_handlers' in settings:
        settings = settings | settings['protocol_request_handlers'](package)
    # As by default, but asked for: realms by name stand beside it, which is worth a warning otherwise.
    settings = {'allow_default_realm': True, **settings}
    app = App(package, package.root.Application(**settings))
    setup(app)
    return app


def add_session_procedures(routes: Any, app: App) -> None:
    """Procedures that act on the session, or that wait for each other."""

    @routes.route('wait')
    async def wait(name):
        app.journal.append(f'waiting for {name}')
        await app.gate(name).wait()
        app.journal.append(f'{name} is open')
        return name

    @routes.route('open')
    async def open_gate(name):
        app.gate(name).set()

    @routes.route('sleep')
    async def sleep(seconds: float, value=None):
        await anyio.sleep(seconds)
        return value

    @routes.route('remember')
    async def remember(session, **facts):
        for name, value in facts.items():
            session[name] = value
        return sorted(session)

    @routes.route('recall')
    async def recall(session, name):
        return [session[name], len(session)]

    @routes.route('forget')
    async def forget(session, name):
        del session[name]
        session.attribute = 'set'
        return sorted(session)

    @routes.route('close')
    async def close(session, *args, **kwargs):
        await session.close(*args, **kwargs)
        app.journal.append(f'closed {session.is_open}')
        return 'nobody receives this'

    @routes.route('abort')
    async def abort(session, *args):
        await session.abort(*args)
        app.journal.append(f'aborted {session.is_open}')
        return 'nobody receives this'

    @routes.route('close_sessions')
    async def close_sessions():
        await app.application.close_sessions()

    @routes.route('spawn')
    async def spawn(session, topic):
        async def later(value, named=None):
            await app.gate('spawned').wait()
            await session.send_event(topic, args=(value, named))

        await session.spawn_task(later, 1, named=2)
        return 'spawned'

    @routes.route('spawn_failing')
    async def spawn_failing(session):
        async def fail():
            app.journal.append('failing')
            raise ValueError('in a spawned task')

        await session.spawn_task(fail)
        return 'spawned'

    @routes.route('raw')
    async def raw(session):
        await session.send_raw((8, 48, 999, {}, 'made.by.hand'))

    @routes.route('send_after_leaving')
    async def send_after_leaving(session):
        await app.gate('left').wait()
        try:
            await session.send_raw([50, 1, {}])
        except app.package.connection.ConnectionClosed as error:
            app.journal.append(f'refused {type(error).__name__}')


def add_overlapping(routes: Any) -> None:
    """Prefix and regex routes that overlap, registered in an order that decides between them."""

    def naming(name: str) -> Any:
        async def named(request):
            return [name, request.uri]

        return named

    routes.prefix_route('over.lap')(naming('first prefix'))
    routes.regex_route('over.*')(naming('regex'))
    routes.prefix_route('over.lap.longer')(naming('never reached'))
    routes.prefix_route('later.')(naming('later prefix'))
    routes.regex_route(r'later\.exact')(naming('never reached either'))
    routes.route('later.exact')(naming('exact'))
    routes.route('twice')(naming('replaced'))
    routes.route('twice')(naming('last one wins'))
    routes.regex_route('unanchored')(naming('match is at the start only'))
    routes.prefix_route('dots.')(naming('dots are literal'))
    routes.regex_route('end$')(naming('end'))
    routes.regex_route('(?i)case')(naming('ignoring case'))
    routes.prefix_route('ü.')(naming('not ASCII'))


@application('rich')
def set_up_rich(app: App) -> None:
    target, package = app.application, app.package
    routes = package.rpc.RPCRouteSet()
    target.set_default_arg('database', 'the database')
    procedures.add_signatures(routes)
    procedures.add_annotated(routes)
    procedures.add_special(routes)
    procedures.add_results(routes, package)
    procedures.add_callables(routes)
    generators.add_generators(routes, package, app.journal, app.gate)
    topics.add_publishers(routes, app.members)
    add_session_procedures(routes, app)
    add_overlapping(routes)
    add_default_args(routes, app)
    target.add_rpc_routes(routes)
    counter = iter(range(1000))
    target.set_default_arg('counter', factory=lambda: next(counter))
    target.set_default_arg('nothing', None)
    topic_routes = package.events.TopicRouteSet()
    topics.add_topics(topic_routes, package, app.journal)
    target.add_topic_routes(topic_routes)
    topics.add_lifespan(target, app.journal)
    add_named_realm(app)


def add_default_args(routes: Any, app: App) -> None:
    """Procedures with default arguments that are set before the routes, after them, and during a session."""

    @routes.route('default.given')
    async def given(database, value='V', *rest, **others):
        return [database, value, list(rest), sorted(others)]

    @routes.route('default.factory')
    async def factory(value, counter: str, nothing, *, database):
        return [value, procedures.shape(counter), nothing, database]

    @routes.route('default.positional')
    async def positional(database, /, value, nothing):
        return [database, value, nothing]

    @routes.route('default.unset')
    async def unset(later='not yet'):
        return later

    @routes.route('default.set')
    async def set_later(value):
        app.application.set_default_arg('later', value)

    @routes.route('default.add_route')
    async def add_route(uri):
        more = app.package.rpc.RPCRouteSet()
        more.route(uri)(functools.partial(procedures.return_it, 'added'))
        app.application.add_rpc_routes(more)


def add_named_realm(app: App) -> None:
    realm = app.package.root.Realm('named')
    routes = app.package.rpc.RPCRouteSet()

    @routes.route('echo')
    async def echo(value, database='none'):
        return [value, database, 'named']

    realm.add_rpc_routes(routes)
    app.application.add_realm(realm)


@application('no_default_realm', allow_default_realm=False)
def set_up_no_default_realm(app: App) -> None:
    add_named_realm(app)


@application('synchronized', synchronize_requests=True)
def set_up_synchronized(app: App) -> None:
    set_up_rich(app)
