"""Scripts about sessions, subscriptions, authentication and the handlers that applications replace."""

from compat.steps import (
    GOODBYE,
    Await,
    Disconnect,
    Expect,
    ExpectClose,
    Open,
    Send,
    asked,
    call,
    hello,
    left,
    opened,
    script,
    subscribe,
    unsubscribe,
)

TOPICS = (
    'plain', 'prefix.', 'prefix.x', 'prefix.7', 'number.7', 'arguments', 'missing_argument', 'refused',
    'refused_by_own_uri', 'raises', 'no_yield', 'yields_twice', 'yields_value', 'teardown_raises', 'late_event',
    'unknown',
)  # fmt: skip
# Subscription handlers that send before their yield: how many messages answer the SUBSCRIBE.
EARLY = {'prefix.x': 2, 'prefix.7': 2}


def add_subscriptions():
    for topic in TOPICS:
        ending = () if topic == 'unknown' else (asked(unsubscribe('sub 1', 2)),)
        if topic in ('late_event', 'unknown', 'missing_argument', 'refused', 'refused_by_own_uri'):
            ending = ()
        if topic in ('raises', 'no_yield', 'prefix.'):
            ending = ()
        script(
            f'subscribe to topic.{topic}',
            opened(),
            asked(
                subscribe(f'topic.{topic}'),
                answers=EARLY.get(topic, 1),
                oracle=2 if topic == 'prefix.' else None,
            ),
            *ending,
            left(),
        )
    script(
        'subscribe to topic.not_a_generator',
        opened(),
        asked(subscribe('topic.not_a_generator')),
        left(),
    )
    script(
        'events before and after the subscription',
        opened(),
        asked(subscribe('topic.early'), answers=3),
        asked(call('publish', 'topic.early', 'between', id=2), answers=2),
        asked(unsubscribe('sub 1', 3), answers=2),
        asked(call('publish', 'topic.early', 'nobody hears', id=4)),
        left(),
    )
    script(
        'an event sent in the teardown',
        opened(),
        asked(subscribe('topic.late_event')),
        asked(unsubscribe('sub 1', 2), answers=2),
        left(),
    )
    script(
        'the teardown after a disconnect',
        opened(),
        asked(subscribe('topic.plain', 1)),
        asked(subscribe('topic.late_event', 2)),
        asked(subscribe('topic.teardown_raises', 3)),
        Disconnect(),
        unordered=True,
    )
    script(
        'the teardown after goodbye',
        opened(),
        asked(subscribe('topic.plain', 1)),
        asked(subscribe('topic.late_event', 2)),
        left(),
        unordered=True,
    )
    script(
        'subscribing twice',
        opened(),
        asked(subscribe('topic.plain', 1), subscribe('topic.plain', 2)),
        asked(call('publish', 'topic.plain', 1, id=3), answers=2),
        asked(unsubscribe('sub 1', 4)),
        asked(unsubscribe('sub 1', 5)),
        asked(subscribe('topic.plain', 6)),
        asked(call('publish', 'topic.plain', 2, id=7), answers=2),
        left(),
    )
    script('unsubscribing from nothing', opened(), asked(unsubscribe(987654321)), left())
    script(
        'several topics',
        opened(),
        asked(*(subscribe(f'topic.number.{number}', number) for number in range(1, 20))),
        asked(call('publish', 'topic.number.7', 'seven', id=50), answers=2),
        asked(unsubscribe('sub 7', 51)),
        asked(call('publish', 'topic.number.7', 'seven', id=52)),
        asked(call('publish', 'topic.number.8', 'eight', id=53), answers=2),
        left(),
    )
    script(
        'events of every form',
        opened(),
        asked(subscribe('topic.plain', 1)),
        asked(call('publish.bare', 'topic.plain', id=2), answers=2),
        asked(call('publish.none', 'topic.plain', id=3), answers=2),
        asked(call('publish', 'topic.plain', 1, 'b', None, [2], id=4), answers=2),
        asked(call('publish', 'topic.plain', a=1, id=5), answers=2),
        asked(call('publish', 'topic.plain', 1, a=1, id=6), answers=2),
        asked(call('publish.trust', 'topic.plain', 3, id=7), answers=2),
        asked(call('publish.trust', 'topic.plain', 0, id=8), answers=2),
        asked(call('publish.many', 'topic.plain', 100, id=9), answers=101),
        asked(call('publish', 'never.subscribed', 1, id=10)),
        left(),
    )
    script(
        'events to several sessions',
        *(opened(client) for client in 'abc'),
        *(asked(call('join', id=1), client=client) for client in 'abc'),
        *(asked(subscribe('topic.plain', 2), client=client) for client in 'ab'),
        asked(call('publish.all', 'topic.plain', 'news', id=3), client='c'),
        *(Expect(1, client=client) for client in 'ab'),
        left('a'),
        asked(call('publish.all', 'topic.plain', 'more', id=4), client='c'),
        Expect(1, client='b'),
        left('b'),
        left('c'),
    )
    script(
        'a subscription with options',
        opened(),
        asked(subscribe('topic.plain', 1, {'_x': 1})),
        left(),
    )
    script(
        'subscribe, call and unsubscribe in one go',
        opened(),
        asked(
            subscribe('topic.plain', 1),
            call('publish', 'topic.plain', 1, id=2),
            unsubscribe(5, 3),
            answers=4,
        ),  # fmt: skip
        left(),
        shuffled=True,
    )


def add_sessions():
    script('hello and goodbye', opened(), left())
    script('hello and gone', opened(), Disconnect())
    script('connected and gone', Open(), Disconnect())
    script(
        'goodbye with details', opened(), asked([6, {'message': 'bye'}, 'my.reason']), Disconnect()
    )
    script(
        'session after session',
        opened(),
        asked(call('remember', a=1)),
        asked(GOODBYE),
        asked(hello()),
        asked(call('recall', 'a')),
        asked(call('echo', 2, id=2)),
        asked(GOODBYE),
        asked(hello('named')),
        asked(call('echo', 3)),
        left(),
    )
    script('no default realm', Open(), asked(hello('other')), ExpectClose(), app='no_default_realm')
    script(
        'a named realm',
        opened(realm='named'),
        asked(call('echo', 5)),
        left(),
        app='no_default_realm',
    )
    script('hello without roles', Open(), asked([1, 'realm1', {}]), left())
    script('hello with extra elements', Open(), asked([1, 'realm1', {}, 'extra']), left())
    script(
        'hello with unknown roles',
        Open(),
        asked([1, 'realm1', {'roles': {'x': {}}, 'agent': 5}]),
        left(),
    )
    script(
        'session data',
        opened(),
        asked(call('remember', a=1, b=[2], id=1)),
        asked(call('recall', 'b', id=2)),
        asked(call('forget', 'a', id=3)),
        asked(call('recall', 'a', id=4)),
        left(),
    )
    script(
        'the server says goodbye',
        opened(),
        asked(call('close')),
        asked(GOODBYE, answers=0),
        ExpectClose(oracle=False),
        Disconnect(),
    )
    script(
        'hello after the server said goodbye',
        opened(),
        asked(call('close')),
        asked(GOODBYE, hello(), answers=0, oracle=1),
        ExpectClose(oracle=False),
        Disconnect(),
    )
    script(
        'two sessions in one go',
        Open(),
        asked(
            hello(),
            subscribe('topic.plain', 1),
            GOODBYE,
            hello('named'),
            unsubscribe(77, 1),
            GOODBYE,
        ),
        Disconnect(),
    )
    script(
        'the server says goodbye with a reason',
        opened(),
        asked(call('close', 'my.reason', message='why')),
        Await('closed False'),
        Disconnect(),
    )
    script(
        'the server shuts down',
        opened('a'),
        opened('b'),
        asked(call('close_sessions'), client='a'),
        Expect(1, client='b'),
        Disconnect('a'),
        Disconnect('b'),
    )
    script(
        'messages after the server said goodbye',
        opened(),
        asked(call('close', id=1)),
        Send((call('echo', 1, id=2), subscribe('topic.plain', 3), unsubscribe(1, 4))),
        Disconnect(),
    )
    script(
        'a handler aborts the session',
        opened(),
        asked(call('abort', 'my.error', 'why')),
        Disconnect(),
        unordered=True,
    )
    script(
        'a spawned task sends an event',
        opened(),
        asked(subscribe('topic.plain', 1)),
        asked(call('spawn', 'topic.plain', id=2)),
        asked(call('open', 'spawned', id=3), answers=2),
        left(),
    )
    script(
        'a spawned task fails',
        opened(),
        asked(call('spawn_failing', id=1)),
        Await('failing'),
        asked(call('echo', 'still here', id=2)),
        left(),
    )
    script('a raw message', opened(), asked(call('raw'), answers=2), left())
    script(
        'sending after the session ended',
        opened('a'),
        opened('b'),
        Send((call('send_after_leaving', id=1),), 'a'),
        left('a'),
        asked(call('open', 'left'), client='b'),
        Await('refused ConnectionClosed'),
        left('b'),
        unordered=True,
    )


def add_authentication():
    for name, details in (
        ('known', {'authid': 'alice'}), ('object', {'authid': 'object'}),
        ('by method', {'authid': 'bob', 'authmethods': ['x', 'magic']}),
    ):  # fmt: skip
        script(
            f'identified {name}', opened(**details), asked(call('whoami')), left(), app='identified'
        )
    for name, details in (
        ('unknown', {'authid': 'mallory'}), ('false', {'authid': 'zero'}), ('nobody', {}),
        ('other methods', {'authmethods': ['ticket', 'wampcra']}),
    ):  # fmt: skip
        script(
            f'identified {name}', Open(), asked(hello(**details)), ExpectClose(), app='identified'
        )
    script(
        'authenticator raises', Open(), asked(hello(), answers=1, oracle=0), ExpectClose(),
        app='authenticator_raises',
    )  # fmt: skip
    for name in ('joe', 'twice', 'event'):
        script(
            f'authenticated by hand {name}', opened(authid=name), asked(call('whoami')), left(),
            app='authenticated_by_hand',
        )  # fmt: skip
    for name in ('abort', 'abort_bare', 'neither', 'close'):
        answers = int(name.startswith('abort'))
        script(
            f'authenticated by hand {name}', Open(), asked(hello(authid=name), answers=answers), ExpectClose(),
            app='authenticated_by_hand',
        )  # fmt: skip
    script(
        'authenticated by hand raise', Open(), asked(hello(authid='raise'), answers=1, oracle=0), ExpectClose(),
        app='authenticated_by_hand',
    )  # fmt: skip
    script(
        'authenticated by hand close_after', Open(), asked(hello(authid='close_after'), answers=2),
        asked(GOODBYE, answers=0), ExpectClose(),
        app='authenticated_by_hand',
    )  # fmt: skip


def add_lifespans():
    for name in ('fails_early', 'without_yield', 'unknown_argument'):
        script(
            f'lifespan {name}',
            Open(),
            asked(hello()),
            ExpectClose(),
            app=f'lifespan_{name}',
            unordered=True,
        )
    script(
        'lifespan fails_authenticated', Open(), asked(hello(), answers=2), Disconnect(),
        app='lifespan_fails_authenticated', unordered=True,
    )  # fmt: skip
    script('lifespan fails_late', opened(), left(), app='lifespan_fails_late', unordered=True)
    for name, ending in (('goodbye', left()), ('a disconnect', (Disconnect(),))):
        script(
            f'the last halves after {name}',
            opened(),
            *(asked(subscribe(f'topic.{number}', number), answers=2) for number in (1, 2, 3)),
            ending,
            app='lifespan_looks',
        )
    script(
        'the last halves after a violation',
        opened(),
        asked(hello()),
        ExpectClose(),
        app='lifespan_looks',
    )
    script('lifespan talks', opened(), asked(call('whoami')), Disconnect(), app='lifespan_talks')


def add_replaced_handlers():
    for uri in ('any', 'raise', 'error', 'progress', 'nothing', 'plain', 'echo'):
        oracle = {'nothing': 0, 'plain': 0}.get(uri, 1)
        script(
            f'rpc handler {uri}', opened(), asked(call(uri, 1, a=2), answers=1, oracle=oracle), left(),
            app='rpc_handler',
        )  # fmt: skip
    progress = {'receive_progress': True}
    for uri, answers, oracle in (
        ('any', 2, 2), ('nothing', 1, 1), ('raise', 1, 1), ('raise_later', 2, 2), ('error', 2, 2),
        ('only_progress', 2, 2),
    ):  # fmt: skip
        script(
            f'rpc generator handler {uri}', opened(),
            asked(call(uri, 1, options=progress), answers=answers, oracle=oracle), left(),
            app='rpc_generator_handler',
        )  # fmt: skip
    script(
        'subscription handler',
        opened(),
        asked(subscribe('anything', 1), answers=2),
        asked(subscribe('no.such.topic', 2)),
        asked(subscribe('refused', 3)),
        asked(call('publish', 'anything', 1, id=4), answers=2),
        asked(unsubscribe('sub 1', 5)),
        asked(call('publish', 'anything', 1, id=6)),
        left(),
        app='subscription_handler',
    )
    script(
        'protocol handlers',
        opened(),
        asked(call('intercepted', 1, id=1)),
        asked(call('echo', 2, id=2)),
        asked(subscribe('any.topic', 3, {'_b': 1, '_a': 2}), answers=3),
        asked([6, {}, 'my.reason']),
        Disconnect(),
        app='protocol_handlers',
    )
    script(
        'protocol handler raises', opened(), asked(call('unanswered.raises'), answers=0), left(),
        app='protocol_handlers',
    )  # fmt: skip
    script(
        'protocol handler for a second hello',
        opened(),
        asked(hello('x')),
        left(),
        app='hello_handler',
    )


for add in (
    add_subscriptions, add_sessions, add_authentication, add_lifespans, add_replaced_handlers
):  # fmt: skip
    add()
