"""Where this package answers otherwise than serverwamp 2.0.0, and what exactly it answers there.

Nothing here is left out of the comparison: the tests assert our answer to the letter, and also that the original
still gives another one. `row` is the row of the table "What serverwamp 2.0.0 gets wrong" in the design notes
(wamp.md), or 0 for what that table doesn't list. Users read about it in docs/differences.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from compat.differences_values import ANSWERS, EVERYWHERE, REASONS
from compat.scripts_faults import BAD_CALL_OPTIONS, BAD_IDS, BAD_SUBSCRIBE_OPTIONS, BAD_URIS
from compat.steps import BATCHED_JSON, BATCHED_MSGPACK, SUBPROTOCOLS

WELCOME = [2, 'session 1', {'roles': ['broker', 'dealer']}]
BYE = [6, {}, 'wamp.close.goodbye_and_out']
CLOSED = ['closed', 1000]
VIOLATION = [[3, {}, 'wamp.error.protocol_violation'], CLOSED]
JOINED = ['opened False', 'authenticated True the database default']
ENDED = ['ended 2']
MEMORY = 'memory'
# Where a difference can be: in memory, by subprotocol on aiohttp (and so on the native server), and on ASGI.
ASGI_PLACES = tuple(f'asgi {subprotocol}' for subprotocol in SUBPROTOCOLS)
PLACES = (MEMORY, *SUBPROTOCOLS, *ASGI_PLACES)


@dataclass(frozen=True)
class Difference:
    """Our answer to a script: what each client receives, and the journal (None: the same as the original's).

    `where` holds those of PLACES in which there is a difference.
    """

    row: int
    reason: str
    received: dict[str, list[Any]]
    journal: list[str] | None = None
    where: tuple[str, ...] = PLACES


DIFFERENCES: dict[tuple[str, str], Difference] = {}


def differ(
    row: int,
    reason: str,
    script: str,
    *answers: Any,
    received: Any = None,
    journal: Iterable[str] | None = None,
    where: tuple[str, ...] = PLACES,
) -> None:
    """Adds a difference. `answers` are those of a session that is opened and left in good order."""
    difference = Difference(
        row,
        reason,
        {'a': [WELCOME, *answers, BYE]} if received is None else received,
        None if journal is None else list(journal),
        where,
    )
    for place in where:
        assert (script, place) not in DIFFERENCES, script
        DIFFERENCES[script, place] = difference


def error(uri: str, kwargs: Any = None, *, id: int = 1, type: int = 48) -> list[Any]:
    return [8, type, id, {}, uri] if kwargs is None else [8, type, id, {}, uri, [], kwargs]


RUNTIME_ERROR = error('wamp.error.runtime_error')


def no_such_procedure(uri: str, id: int = 1) -> list[Any]:
    return error(
        'wamp.error.no_such_procedure', {'message': f'There is no procedure {uri}.'}, id=id
    )


def invalid_uri(name: str, type: int) -> list[Any]:
    return error('wamp.error.invalid_uri', {'message': f'{name} is not a URI'}, type=type)


def add_roles() -> None:
    reason = 'a message that a router knows does not end the session'
    echo = [50, 2, {}, [2 - 1]]
    for name, answers in {
        'publish': [],
        'publish acknowledged': [error('wamp.error.not_authorized', type=16)],
    }.items():
        differ(
            1,
            'nobody may publish unless it is allowed, and that is no reason to abort',
            f'other roles {name}',
            *answers,
            echo,
        )
    for name, answer in {
        'register': error('wamp.error.feature_not_supported', type=64),
        'unregister': error('wamp.error.no_such_registration', type=66),
        'yield': error('wamp.error.invalid_argument', type=70),
        'error': error('wamp.error.invalid_argument', type=68),
    }.items():
        differ(2, reason, f'other roles {name}', answer, echo)
    reason = 'a client that aborts gets no ABORT in answer'
    differ(3, reason, 'abort of the client', received={'a': [WELCOME, CLOSED]})
    differ(3, reason, 'abort of the client before hello', received={'a': [CLOSED]})
    reason = 'CANCEL ends a running call, and nothing else'
    for name in ('cancel of nothing', 'cancel with mode'):
        differ(4, reason, f'other roles {name}', echo)
    for mode in ('', ' skip', ' kill', ' killnowait'):
        # A procedure that is skipped goes on, the others are cancelled.
        journal = None if mode == ' skip' else [
            'authenticated True the database default', 'ended 2', 'opened False', 'waiting for gate',
        ]  # fmt: skip
        answers = error('wamp.error.canceled'), [50, 2, {}]
        differ(4, reason, f'cancel of a running call{mode}', *answers, journal=journal)


def add_authentication() -> None:
    refused = {'a': [[3, {}, 'wamp.error.authentication_failed'], CLOSED]}
    reason = 'after ABORT the connection is closed properly; uvicorn drops one that the application leaves open'
    for app, names in {
        'identified': ('unknown', 'false', 'nobody', 'other methods'),
        'authenticated by hand': ('abort',),
    }.items():
        for name in names:
            differ(20, reason, f'{app} {name}', received=refused, where=ASGI_PLACES)
    left = {'a': [WELCOME, [6, {'message': 'enough'}, 'my.reason'], CLOSED]}
    differ(20, reason, 'authenticated by hand close_after', received=left, where=ASGI_PLACES)
    differ(20, reason, 'authenticated by hand close', received={'a': [CLOSED]}, where=ASGI_PLACES)
    aborted = {'a': [[3, {}, 'my.error'], CLOSED]}
    differ(20, reason, 'authenticated by hand abort_bare', received=aborted, where=ASGI_PLACES)
    aborted = {'a': [[3, {}, 'wamp.error.runtime_error'], CLOSED]}
    for name in ('fails_early', 'without_yield', 'unknown_argument'):
        differ(20, reason, f'lifespan {name}', received=aborted, where=ASGI_PLACES)
    reason = "an authenticator's exception is answered with ABORT"
    differ(6, reason, 'authenticator raises', received=refused)
    differ(6, reason, 'authenticated by hand raise', received=refused)
    reason = 'a client that nobody has let in is told so'
    differ(6, reason, 'authenticated by hand neither', received=refused)


def add_progress() -> None:
    reason = 'progress is dropped for callers that did not ask for it'
    for name, answer in {
        'progress unasked': [50, 1, {}, ['done']],
        'progress refused': [50, 1, {}, ['done']],
        'progress_kwargs unasked': [50, 1, {}, [], {'percent': 100}],
        'error unasked': error('my.error') + [['failed']],
        'raises_after_progress unasked': RUNTIME_ERROR,
        'iterator unasked': [50, 1, {}, ['lift-off']],
        'only_progress unasked': RUNTIME_ERROR,
    }.items():
        differ(8, reason, f'call generator.{name}', answer)
    reason = 'a report that is returned, not yielded, is the one RESULT of the call'
    differ(12, reason, 'call return.progress', [50, 1, {}, [1]], where=(MEMORY,))
    differ(
        12, reason, 'serialize return.progress', [50, 1, {}, [1]], [50, 2, {}, ['end']], where=EVERYWHERE
    )  # fmt: skip


def add_ids() -> None:
    reason = 'ids are integers from 1 to 2^53'
    violation = {'a': [WELCOME, *VIOLATION]}
    for name in BAD_IDS:
        differ(9, reason, f'call with id {name}', received=violation)
        differ(
            9, reason, f'subscribe with id {name}', received=violation, journal=[*JOINED, *ENDED]
        )
        differ(9, reason, f'unsubscribe from id {name}', received=violation)
    differ(9, 'JavaScript clients write ids as floats', 'id an integral float', [50, 1, {}, [1]])


def add_options() -> None:
    violation = {'a': [WELCOME, *VIOLATION]}
    reason = 'an option has the type that the specification gives it'
    for name in BAD_CALL_OPTIONS:
        differ(0, reason, f'call with option {name}', received=violation)
    for name in BAD_SUBSCRIBE_OPTIONS:
        differ(
            0, reason, f'subscribe with option {name}', received=violation, journal=[*JOINED, *ENDED]
        )


def add_uris() -> None:
    reason = 'what is not a URI is answered as such'
    echo = [50, 2, {}, [1]]
    for name in BAD_URIS:
        differ(10, reason, f'call to a bad uri {name}', invalid_uri('CALL.Procedure', 48), echo)
        differ(
            10, reason, f'subscribe to a bad uri {name}', invalid_uri('SUBSCRIBE.Topic', 32), echo
        )
        abort = [[3, {}, 'wamp.error.invalid_uri']]
        differ(
            10, reason, f'hello for a bad uri {name}', received={'a': [*abort, CLOSED]}, journal=[]
        )
    for uri in ('over.', 'later.'):
        differ(10, reason, f'route {uri}', invalid_uri('CALL.Procedure', 48))
    differ(
        10, reason, 'subscribe to topic.prefix.', invalid_uri('SUBSCRIBE.Topic', 32),
        journal=[*JOINED, *ENDED],
    )  # fmt: skip


def add_procedures() -> None:
    reason = 'an unknown procedure is no error of the server'
    for name in ('', ' arguments'):
        differ(11, reason, f'call no.such.procedure{name}', no_such_procedure('no.such.procedure'))
    for uri in ('ov', 'later', 'x.unanchored', 'dotsx', 'endless', 'the.end', 'u.x', 'echo2'):
        differ(11, reason, f'route {uri}', no_such_procedure(uri))
    differ(11, reason, 'call to a loose uri', no_such_procedure('Über.Straße-1.x:y/z'))
    differ(
        11, reason, 'realms have their own routes',
        received={
            'a': [
                WELCOME, [50, 1, {}, [1, 'none', 'named']], [50, 1, {}, [1, 'client', 'named']],
                no_such_procedure('two'), BYE,
            ],
            'b': [WELCOME, [50, 1, {}, [1]], BYE],
        },
    )  # fmt: skip
    differ(
        11, reason, 'default arguments', [50, 1, {}, ['the database', 1, [2], ['extra']]],
        [50, 2, {}, ['v', 'int:0', None, 'the database']], [50, 3, {}, ['v', 'int:1', None, 'the database']],
        [50, 4, {}, ['the database', 'v', None]], [50, 5, {}, ['not yet']], [50, 6, {}, ['given']], [50, 7, {}],
        [50, 8, {}, ['L']], no_such_procedure('no.such.yet', 9), [50, 10, {}], [50, 11, {}, ['added']], [50, 12, {}],
        [50, 13, {}, ['added']],
    )  # fmt: skip


def add_answers() -> None:
    reason = 'every CALL ends with one RESULT or ERROR'
    request = {
        'type': 'RPCRequest', 'id': 1, 'uri': 'special.request', 'args': 'tuple:()', 'kwargs': 'dict:{}',
        'timeout': 'int:0', 'disclose_caller': 'bool:False', 'receive_progress': 'bool:False',
        'partition_route': 'NoneType:None', 'session': 'WAMPSession',
    }  # fmt: skip
    differ(12, reason, 'call special.request partition_without_key', [50, 1, {}, [], request])
    for name in 'null_timeout', 'null_options':
        differ(0, 'null stands for an option that is absent', f'call special.request {name}', [50, 1, {}, [], request])
    differ(
        0, 'a timeout is a number', 'call special.request odd_timeout',
        error('wamp.error.invalid_argument', {'message': 'CALL.Options.timeout is not a number of milliseconds.'}),
    )  # fmt: skip
    for uri in ('nothing', 'plain'):
        differ(12, reason, f'rpc handler {uri}', RUNTIME_ERROR)
    differ(23, 'a lone text is one argument', 'call return.result_str', [50, 1, {}, ['ab']], where=(MEMORY,))
    for row, answers in ANSWERS.items():
        for name, answer, where in answers:
            differ(
                row,
                REASONS[row],
                f'serialize return.{name}',
                answer,
                [50, 2, {}, ['end']],
                where=where,
            )


def add_conversions() -> None:
    refused = [
        error('wamp.error.invalid_argument', {'message': 'Argument value is not a valid bytes.'}, id=number)
        for number in range(1, 13)
    ]
    # The tenth value is a list of numbers.
    refused[9] = [50, 10, {}, ["bytes:b'\\x01\\x02'"]]
    reason = 'a number does not say how much memory a call takes'
    differ(0, reason, 'convert.bytes of all values', *refused)


def add_subscriptions() -> None:
    reason = 'subscription ids count upwards, and are not used twice'
    differ(
        14, reason, 'subscribing twice', [33, 1, 'sub 1'], [33, 2, 'sub 1'],
        [36, 'sub 1', 'publication 1', {}, [1]], [50, 3, {}], [35, 4],
        error('wamp.error.no_such_subscription', id=5, type=34), [33, 6, 'sub 2'],
        [36, 'sub 2', 'publication 2', {}, [2]], [50, 7, {}],
    )  # fmt: skip
    refused = error(
        'wamp.error.invalid_argument',
        {'message': 'SUBSCRIBE.Options.match is not one of exact, prefix, wildcard'},
        type=32,
    )
    for match in ('sideways', '5'):
        differ(
            15,
            'an unknown kind of match is refused',
            f'subscribe with match {match}',
            refused,
            journal=[*JOINED, *ENDED],
        )
    for match in ('prefix', 'wildcard'):
        differ(
            15,
            'a handler of single topics is not asked for patterns',
            f'subscribe with match {match}',
            error('wamp.error.not_authorized', type=32),
            journal=[*JOINED, *ENDED],
        )


def add_ends() -> None:
    reason = 'a session is not open any more when the client has gone, and after ABORT'
    differ(
        0, reason, 'the last halves after a violation',
        received={'a': [WELCOME, *VIOLATION]}, journal=['is_open False None 0'],
    )  # fmt: skip
    halves = [line for number in (1, 2, 3) for line in (f'left topic.{number}', 'ConnectionClosed')]
    events = [
        line
        for number in (1, 2, 3)
        for line in (
            [33, number, f'sub {number}'], [36, f'sub {number}', f'publication {number}', {}, ['early']],
        )
    ]  # fmt: skip
    differ(
        0, reason, 'the last halves after a disconnect',
        received={'a': [WELCOME, *events]}, journal=[*halves, 'is_open False None 0'],
    )  # fmt: skip
    reason = (
        'when the server has said goodbye and the client has answered, the connection is closed'
    )
    for name in ('the server says goodbye', 'hello after the server said goodbye'):
        journal = [*JOINED, 'closed False', *ENDED]
        differ(20, reason, name, received={'a': [WELCOME, BYE, CLOSED]}, journal=journal)


JSON_BATCHES = (BATCHED_JSON, f'asgi {BATCHED_JSON}')
MSGPACK_BATCHES = (BATCHED_MSGPACK, f'asgi {BATCHED_MSGPACK}')


def add_batches() -> None:
    reason = 'an empty batch, or a wrong length in one, ends the transport'
    violation = {'a': [WELCOME, *VIOLATION]}
    for name in ('nothing', 'separators only', 'an empty message between'):
        differ(17, reason, f'batched JSON {name}', received=violation, where=JSON_BATCHES)
    for name in ('nothing', 'a long length', 'a huge length'):
        differ(17, reason, f'batched MessagePack {name}', received=violation, where=MSGPACK_BATCHES)
    for subprotocol in SUBPROTOCOLS:
        differ(
            19, 'each subprotocol has its own kind of frame', f'wrong frame type for {subprotocol}',
            received=violation, where=(subprotocol,),
        )  # fmt: skip


for add in (
    add_roles, add_authentication, add_progress, add_ids, add_options, add_uris, add_procedures, add_answers,
    add_conversions, add_subscriptions, add_ends, add_batches,
):  # fmt: skip
    add()
