"""Applications with one respect each that the rich one can't have: authenticators and handlers of their own."""

from typing import Any

from compat.apps import App, add_session_procedures, application, set_up_rich
from compat.procedures import shape


def add_whoami(app: App, target: Any) -> None:
    routes = app.package.rpc.RPCRouteSet()

    @routes.route('whoami')
    async def whoami(session):
        return [shape(session.identity), session.auth_id, list(session.auth_methods)]

    target.add_rpc_routes(routes)


@application('identified')
def set_up_identified(app: App) -> None:
    """Transport authenticators: the first that knows the client decides, and the rest aren't asked."""

    async def never(session):
        app.journal.append('never')

    async def by_name(session):
        app.journal.append(f'by_name {session.is_open} {session.auth_id}')
        return {'alice': 'Alice', 'zero': 0, 'object': {'id': 5}}.get(session.auth_id)

    async def by_method(session):
        app.journal.append(f'by_method {list(session.auth_methods)}')
        return 'methodical' if 'magic' in session.auth_methods else None

    for authenticator in (never, by_name, by_method, never):
        app.application.add_transport_authenticator(authenticator)
    add_whoami(app, app.application)


@application('authenticator_raises')
def set_up_authenticator_raises(app: App) -> None:
    async def broken(session):
        raise ValueError('a secret of the server')

    app.application.add_transport_authenticator(broken)


@application('authenticated_by_hand')
def set_up_authenticated_by_hand(app: App) -> None:
    """An authentication handler that does what the client's authid says."""

    async def handler(session):
        if session.auth_id == 'abort':
            await session.abort('wamp.error.authentication_failed', message='No.')
        elif session.auth_id == 'abort_bare':
            await session.abort('my.error')
        elif session.auth_id == 'raise':
            raise ValueError('a secret of the server')
        elif session.auth_id == 'twice':
            await session.mark_authenticated('first')
            await session.mark_authenticated('second')
        elif session.auth_id == 'close':
            await session.close()
        elif session.auth_id == 'close_after':
            await session.mark_authenticated('short')
            await session.close('my.reason', 'enough')
        elif session.auth_id == 'event':
            await session.mark_authenticated()
            await session.send_event('nobody.subscribed')
        elif session.auth_id != 'neither':
            await session.mark_authenticated(f'by hand: {session.auth_id}')

    app.application.set_authentication_handler(handler)
    add_whoami(app, app.application)


def add_recorded_lifespan(app: App, name: str, *, fails: str = '', authenticated: bool) -> None:
    async def handler(session):
        app.journal.append(f'{name} starts')
        if fails == 'start':
            raise ValueError('at the start')
        if fails == 'no yield':
            return
        yield
        app.journal.append(f'{name} ends')
        if fails == 'end':
            raise ValueError('at the end')
        if fails == 'twice':
            yield

    app.application.add_session_lifespan_handler(handler, authenticated)


@application('lifespan_fails_early')
def set_up_lifespan_fails_early(app: App) -> None:
    add_recorded_lifespan(app, 'good', authenticated=False)
    add_recorded_lifespan(app, 'bad', fails='start', authenticated=False)


@application('lifespan_fails_authenticated')
def set_up_lifespan_fails_authenticated(app: App) -> None:
    set_up_rich(app)
    add_recorded_lifespan(app, 'bad', fails='start', authenticated=True)


@application('lifespan_without_yield')
def set_up_lifespan_without_yield(app: App) -> None:
    add_recorded_lifespan(app, 'bad', fails='no yield', authenticated=False)


@application('lifespan_unknown_argument')
def set_up_lifespan_unknown_argument(app: App) -> None:
    async def handler(session, unheard_of):
        yield

    app.application.add_session_lifespan_handler(handler, authenticated_only=False)


@application('lifespan_fails_late')
def set_up_lifespan_fails_late(app: App) -> None:
    add_recorded_lifespan(app, 'first', fails='end', authenticated=False)
    add_recorded_lifespan(app, 'second', fails='twice', authenticated=True)
    add_recorded_lifespan(app, 'third', authenticated=True)


@application('lifespan_talks')
def set_up_lifespan_talks(app: App) -> None:
    """Session handlers that send, before WELCOME is out and after the session has ended."""

    async def authenticated(session):
        await session.send_event('not.subscribed')
        session['ready'] = True
        yield
        try:
            await session.send_raw([50, 1, {}])
        except ConnectionError as error:
            app.journal.append(type(error).__name__)

    app.application.add_session_lifespan_handler(authenticated)
    add_whoami(app, app.application)


@application('lifespan_looks')
def set_up_lifespan_looks(app: App) -> None:
    """Handlers whose last halves look at the session."""

    async def lifespan(session):
        yield
        app.journal.append(f'is_open {session.is_open} {session.identity} {len(session)}')

    routes = app.package.events.TopicRouteSet()

    @routes.prefix_route('topic.')
    async def topic(topic_uri, session):
        await session.send_event(topic_uri, args=('early',))
        yield
        app.journal.append(f'left {topic_uri}')
        try:
            await session.send_event(topic_uri, args=('late',))
            app.journal.append('could send')
        except ConnectionError as error:
            app.journal.append(type(error).__name__)

    app.application.add_topic_routes(routes)
    app.application.add_session_lifespan_handler(lifespan)


@application('rpc_handler')
def set_up_rpc_handler(app: App) -> None:
    """A handler for all calls that is a coroutine function."""
    rpc = app.package.rpc

    async def handle(request):
        if request.uri == 'raise':
            raise ValueError('a secret of the server')
        if request.uri == 'error':
            return rpc.RPCErrorResult('my.error', args=request.args, kwargs=request.kwargs)
        if request.uri == 'progress':
            return rpc.RPCProgressReport(args=(1,))
        if request.uri == 'nothing':
            return None
        if request.uri == 'plain':
            return 'not a result object'
        return rpc.RPCResult(args=(request.uri, shape(request.timeout)), kwargs=request.kwargs)

    app.application.set_rpc_handler(handle)
    set_up_rich(app)


@application('rpc_generator_handler')
def set_up_rpc_generator_handler(app: App) -> None:
    """A handler for all calls that is an async generator function."""
    rpc = app.package.rpc

    async def handle(request):
        try:
            if request.uri == 'nothing':
                return
            if request.uri == 'raise':
                raise ValueError('a secret of the server')
            yield rpc.RPCProgressReport(args=(request.uri,))
            if request.uri == 'only_progress':
                return
            if request.uri == 'raise_later':
                raise ValueError('a secret of the server')
            if request.uri == 'error':
                yield rpc.RPCErrorResult('my.error')
            yield rpc.RPCResult(args=request.args)
            app.journal.append('past the end')
        finally:
            app.journal.append('cleaned up')

    app.application.set_rpc_handler(handle)


@application('subscription_handler')
def set_up_subscription_handler(app: App) -> None:
    """A handler for all subscriptions, in place of the routes."""

    async def handle(topic_uri, session):
        app.journal.append(f'subscribe {topic_uri}')
        if topic_uri == 'no.such.topic':
            raise app.package.routing.NoSuchRouteError
        if topic_uri == 'refused':
            raise app.package.events.SubscribeError('my.error')
        await session.send_event(topic_uri, args=('before',))
        yield
        app.journal.append(f'unsubscribe {topic_uri}')

    app.application.set_subscription_handler(handle)
    set_up_rich(app)


def replace_protocol_handlers(package: Any) -> dict[str, Any]:
    """Protocol handlers of the application's own, one of them around the original."""
    protocol, application_module = package.protocol, package.application

    async def handle_call(request, session):
        if request.uri == 'intercepted':
            await session.send_raw(
                protocol.call_result_response_msg(request, ('intercepted', *request.args), {})
            )
        elif request.uri == 'unanswered.raises':
            raise ValueError('a secret of the server')
        else:
            await application_module.default_protocol_rpc_handler(request, session)

    async def handle_goodbye(request, session):
        await session.close('my.farewell', request.reason_uri)

    async def handle_subscribe(request, session):
        await session.register_subscription(request.topic)
        await session.send_event(request.topic, args=('held',))
        await session.mark_subscribed(request, session.subscription_id_for_topic(request.topic))
        await session.send_event(request.topic, args=(sorted(request.options),))

    return {
        'protocol_request_handlers': {
            protocol.WAMPRPCRequest: handle_call,
            protocol.WAMPGoodbyeRequest: handle_goodbye,
            protocol.WAMPSubscribeRequest: handle_subscribe,
        }
    }


@application('protocol_handlers', protocol_request_handlers=replace_protocol_handlers)
def set_up_protocol_handlers(app: App) -> None:
    set_up_rich(app)


def accept_second_hello(package: Any) -> dict[str, Any]:
    async def handle_hello(request, session):
        await session.send_raw([50, 1, {}, [request.realm_uri]])

    return {'protocol_request_handlers': {package.protocol.WAMPHelloRequest: handle_hello}}


@application('hello_handler', protocol_request_handlers=accept_second_hello)
def set_up_hello_handler(app: App) -> None:
    routes = app.package.rpc.RPCRouteSet()
    add_session_procedures(routes, app)
    app.application.add_rpc_routes(routes)
