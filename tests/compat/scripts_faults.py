"""Scripts of clients that break the protocol, and of messages that serverwamp 2.0.0 doesn't know."""

from compat.steps import (
    BATCHED_JSON,
    BATCHED_MSGPACK,
    GOODBYE,
    JSON,
    MSGPACK,
    Await,
    Disconnect,
    ExpectClose,
    Open,
    Send,
    SendPayload,
    asked,
    call,
    hello,
    left,
    opened,
    script,
    subscribe,
)

NOT_MESSAGES = {
    'a number': 5, 'a text': 'hello', 'null': None, 'an object': {'1': 2}, 'an empty list': [],
    'a text for a type': ['48', 1, {}, 'echo'], 'a float for a type': [48.0, 1, {}, 'echo', [1]],
    'true for a type': [True, 'realm1', {}], 'an unknown type': [999, 1, {}], 'a negative type': [-1],
    'type zero': [0], 'a list for a type': [[48], 1, {}, 'echo'], 'null for a type': [None],
    'a huge type': [2**40, 1, {}],
}  # fmt: skip

BAD_MESSAGES = {
    'call alone': [48], 'call without options': [48, 1], 'call without uri': [48, 1, {}],
    'call id text': [48, '1', {}, 'echo'], 'call id null': [48, None, {}, 'echo'],
    'call id float': [48, 1.5, {}, 'echo'], 'call options list': [48, 1, [], 'echo'],
    'call uri number': [48, 1, {}, 5], 'call uri null': [48, 1, {}, None],
    'call args object': [48, 1, {}, 'echo', {}], 'call args null': [48, 1, {}, 'echo', None],
    'call args text': [48, 1, {}, 'echo', 'abc'], 'call kwargs list': [48, 1, {}, 'echo', [], []],
    'call kwargs null': [48, 1, {}, 'echo', [], None], 'subscribe short': [32, 1, {}],
    'subscribe id text': [32, '1', {}, 'topic.plain'], 'subscribe options null': [32, 1, None, 'topic.plain'],
    'subscribe topic number': [32, 1, {}, 5], 'unsubscribe short': [34, 1],
    'unsubscribe subscription text': [34, 1, 'x'], 'goodbye short': [6, {}],
    'goodbye details list': [6, [], 'x.y'], 'goodbye reason number': [6, {}, 5], 'goodbye alone': [6],
}  # fmt: skip

BAD_HELLOS = {
    'alone': [1], 'without details': [1, 'realm1'], 'details list': [1, 'realm1', []],
    'details null': [1, 'realm1', None], 'realm number': [1, 5, {}], 'realm null': [1, None, {}],
    'authid number': hello(authid=5), 'authmethods text': hello(authmethods='ticket'),
    'authmethods of numbers': hello(authmethods=[1]), 'authmethods object': hello(authmethods={}),
}  # fmt: skip

# Ids that serverwamp 2.0.0 takes and answers with (row 9).
BAD_IDS = {'true': True, 'zero': 0, 'negative': -5, 'beyond 2^53': 2**53 + 1, 'beyond 2^60': 2**60}
GOOD_IDS = {'one': 1, 'two to the 53rd': 2**53}

# Options that serverwamp 2.0.0 takes whatever they are, or that it doesn't know.
BAD_CALL_OPTIONS = {
    'receive_progress a number': {'receive_progress': 1}, 'receive_progress a text': {'receive_progress': 'yes'},
    'progress a text': {'progress': 'yes'}, 'disclose_me a text': {'disclose_me': 'yes'},
    'runmode a number': {'runmode': 5}, 'rkey a number': {'rkey': 5}, 'ppt_scheme': {'ppt_scheme': 'wamp'},
}  # fmt: skip
BAD_SUBSCRIBE_OPTIONS = {
    'get_retained a number': {'get_retained': 1}, 'get_retained a text': {'get_retained': 'yes'},
    'forward_for an object': {'forward_for': {}},
}  # fmt: skip

# Not a URI even by the loose rule (row 10).
BAD_URIS = {'empty': '', 'space': 'a b', 'hash': 'a#b', 'empty component': 'a..b', 'ends in a dot': 'a.',
            'starts with a dot': '.a', 'newline': 'a\nb'}  # fmt: skip

# Messages of roles that serverwamp 2.0.0 doesn't have (rows 1, 2 and 4), and the number of answers of ours.
OTHER_ROLES = {
    'publish': ([16, 1, {}, 'some.topic', [1]], 0),
    'publish acknowledged': ([16, 1, {'acknowledge': True}, 'some.topic', [1], {'a': 2}], 1),
    'register': ([64, 1, {}, 'my.procedure'], 1),
    'unregister': ([66, 1, 12345], 1),
    'yield': ([70, 1, {}, [1]], None),
    'error': ([8, 68, 1, {}, 'my.error'], None),
    'cancel of nothing': ([49, 77, {}], 0),
    'cancel with mode': ([49, 77, {'mode': 'kill'}], 0),
}  # fmt: skip

# What only a router sends, and what doesn't belong here at all.
OUT_OF_PLACE = {
    'welcome': [2, 5, {'roles': {}}], 'challenge': [4, 'ticket', {}], 'authenticate': [5, 'secret', {}],
    'result': [50, 1, {}], 'event': [36, 1, 1, {}], 'subscribed': [33, 1, 1], 'published': [17, 1, 1],
    'invocation': [68, 1, 1, {}], 'interrupt': [69, 1, {}], 'registered': [65, 1, 1], 'unregistered': [67, 1],
    'unsubscribed': [35, 1],
}  # fmt: skip


def fault(name, *steps, **settings):
    script(name, *steps, fault=True, **settings)


def add_messages():
    for name, message in NOT_MESSAGES.items():
        fault(f'instead of hello {name}', Open(), asked(message), ExpectClose())
        fault(f'in a session {name}', opened(), asked(message), ExpectClose())
    for name, message in BAD_MESSAGES.items():
        fault(f'malformed {name}', opened(), asked(message), ExpectClose())
    for name, message in BAD_HELLOS.items():
        fault(f'malformed hello {name}', Open(), asked(message), ExpectClose())
    for name, message in OUT_OF_PLACE.items():
        fault(f'out of place {name}', opened(), asked(message), ExpectClose())
        fault(f'out of place first {name}', Open(), asked(message), ExpectClose())
    fault('a second hello', opened(), asked(hello()), ExpectClose())
    fault('goodbye before hello', Open(), asked(GOODBYE), ExpectClose())
    fault('call before hello', Open(), asked(call('echo', 1)), ExpectClose())
    fault('subscribe before hello', Open(), asked(subscribe('topic.plain')), ExpectClose())
    fault('call after goodbye', opened(), asked(GOODBYE), asked(call('echo', 1)), ExpectClose())
    fault('goodbye after goodbye', opened(), asked(GOODBYE), asked(GOODBYE), ExpectClose())
    fault(
        'good calls before a malformed one', opened(),
        asked(call('echo', 1, id=1), call('echo', 2, id=2)),
        asked([48, 3], call('echo', 4, id=4), answers=1),
        ExpectClose(),
    )  # fmt: skip
    fault(
        'abort of the client',
        opened(),
        asked([3, {}, 'my.reason'], answers=0, oracle=1),
        ExpectClose(),
    )
    fault(
        'abort of the client before hello', Open(), asked([3, {}, 'my.reason'], answers=0, oracle=1),
        ExpectClose(),
    )  # fmt: skip


def add_ids_and_uris():
    for name, id in GOOD_IDS.items():
        script(f'id {name}', opened(), asked(call('echo', 1, id=id)), left())
    for name, id in BAD_IDS.items():
        fault(
            f'call with id {name}',
            opened(),
            asked(call('echo', 1, id=id)),
            ExpectClose(oracle=False),
        )
        fault(
            f'subscribe with id {name}',
            opened(),
            asked(subscribe('topic.plain', id)),
            ExpectClose(oracle=False),
        )
        fault(
            f'unsubscribe from id {name}', opened(), asked([34, 1, id]), ExpectClose(oracle=False)
        )
    script('id an integral float', opened(), asked([48, 1.0, {}, 'echo', [1]]), left())
    for name, uri in BAD_URIS.items():
        script(
            f'call to a bad uri {name}',
            opened(),
            asked(call(uri, 1)),
            asked(call('echo', 1, id=2)),
            left(),
        )
        script(
            f'subscribe to a bad uri {name}',
            opened(),
            asked(subscribe(uri)),
            asked(call('echo', 1, id=2)),
            left(),
        )
        fault(f'hello for a bad uri {name}', Open(), asked(hello(uri)), ExpectClose(oracle=False))
        fault(f'goodbye for a bad uri {name}', opened(), asked([6, {}, uri]), Disconnect())
    script('call to a loose uri', opened(), asked(call('Über.Straße-1.x:y/z', 1)), left())
    script(
        'call with extra elements', opened(), asked([48, 1, {}, 'echo', [1], {}, 'extra']), left()
    )
    script(
        'subscribe with extra elements',
        opened(),
        asked([32, 1, {}, 'topic.plain', 'extra']),
        left(),
    )
    script('goodbye with extra elements', opened(), asked([6, {}, 'a.b', 'extra']), Disconnect())
    script('unsubscribe with extra elements', opened(), asked([34, 1, 99999, {}]), left())


def add_options():
    for name, options in BAD_CALL_OPTIONS.items():
        fault(
            f'call with option {name}', opened(), asked([48, 1, options, 'echo', [1]]),
            ExpectClose(oracle=False),
        )  # fmt: skip
    for name, options in BAD_SUBSCRIBE_OPTIONS.items():
        fault(
            f'subscribe with option {name}', opened(), asked(subscribe('topic.plain', options=options)),
            ExpectClose(oracle=False),
        )  # fmt: skip


def add_other_roles():
    for name, (message, answers) in OTHER_ROLES.items():
        script(
            f'other roles {name}', opened(),
            asked(message, answers=1 if answers is None else answers, oracle=1),
            asked(call('echo', 1, id=2)), left(),
        )  # fmt: skip
    for name, options in (('', {}), (' skip', {'mode': 'skip'}), (' kill', {'mode': 'kill'}),
                          (' killnowait', {'mode': 'killnowait'})):  # fmt: skip
        script(
            f'cancel of a running call{name}', opened(),
            Send((call('wait', 'gate'),)), Await('waiting for gate'), asked([49, 1, options], answers=1, oracle=1),
            asked(call('open', 'gate', id=2), answers=1), left(), unordered=True,
        )  # fmt: skip
    for match in ('exact', 'prefix', 'wildcard', 'sideways', 5):
        script(
            f'subscribe with match {match}', opened(), asked(subscribe('topic.plain', 1, {'match': match})),
            left(),
        )  # fmt: skip


def add_payloads():
    text = {
        'nothing': '', 'not JSON': 'hello', 'half': '[48, 1, {}', 'trailing': '[6,{},"a.b"] x', 'nul': '\x00',
        'not closed': '["', 'NaN': '[48,1,{},"echo",[NaN]]', 'a comment': '[1] // x', 'a control character':
        '["\n"]', 'deep': '[' * 5000, 'single quotes': "[48,1,{},'echo']",
    }  # fmt: skip
    for name, payload in text.items():
        fault(
            f'text payload {name}', opened(), SendPayload(payload), asked(answers=1), ExpectClose(),
            subprotocols=(JSON,), memory=False,
        )  # fmt: skip
    binary = {
        'nothing': b'', 'half': b'\x94\x30\x01', 'trailing': b'\x93\x06\x80\xa3a.b\x00', 'reserved': b'\xc1',
        'bad UTF-8': b'\x93\x06\x80\xa2\xff\xff', 'long claim': b'\xdd\xff\xff\xff\xff\x01',
        'a text': b'hello', 'deep': b'\x91' * 3000,
    }  # fmt: skip
    for name, payload in binary.items():
        fault(
            f'binary payload {name}', opened(), SendPayload(payload), asked(answers=1), ExpectClose(),
            subprotocols=(MSGPACK,), memory=False,
        )  # fmt: skip
    for subprotocol, payload in (
        (JSON, b'[48,1,{},"echo",[1]]'), (MSGPACK, '[48,1,{},"echo",[1]]'),
        (BATCHED_JSON, b'[48,1,{},"echo",[1]]\x1e'), (BATCHED_MSGPACK, '[48,1,{},"echo",[1]]'),
    ):  # fmt: skip
        fault(
            f'wrong frame type for {subprotocol}', opened(), SendPayload(payload), asked(answers=1, oracle=0),
            ExpectClose(oracle=False), subprotocols=(subprotocol,), memory=False, asgi=False,
        )  # fmt: skip
        fault(
            f'wrong frame type for {subprotocol} on ASGI', opened(), SendPayload(payload), asked(answers=1),
            ExpectClose(), subprotocols=(subprotocol,), memory=False, asgi=True,
        )  # fmt: skip
    add_batches()


def add_batches():
    one, two = '[48,1,{},"echo",[1]]', '[48,2,{},"echo",[2]]'
    good_json = {
        'two': (f'{one}\x1e{two}\x1e', 2), 'without the last separator': (f'{one}\x1e{two}', 2),
        'one': (f'{one}\x1e', 1),
    }  # fmt: skip
    for name, (payload, answers) in good_json.items():
        script(
            f'batched JSON {name}', opened(), SendPayload(payload), asked(answers=answers), left(),
            subprotocols=(BATCHED_JSON,), memory=False,
        )  # fmt: skip
    # The number of answers of each package: serverwamp 2.0.0 passes over empty messages (row 17).
    bad_json = {
        'half a message': (f'{one}\x1e[48', 2, 2), 'nothing': ('', 1, 0), 'separators only': ('\x1e\x1e', 1, 0),
        'an empty message between': (f'{one}\x1e\x1e{two}\x1e', 1, 2),
    }  # fmt: skip
    for name, (payload, answers, oracle) in bad_json.items():
        fault(
            f'batched JSON {name}', opened(), SendPayload(payload), asked(answers=answers, oracle=oracle),
            ExpectClose(oracle=answers == oracle), subprotocols=(BATCHED_JSON,), memory=False,
        )  # fmt: skip
    call_1, call_2 = b'\x95\x30\x01\x80\xa4echo\x91\x01', b'\x95\x30\x02\x80\xa4echo\x91\x02'
    prefix = len(call_1).to_bytes(4, 'big')
    script(
        'batched MessagePack two', opened(), SendPayload(prefix + call_1 + prefix + call_2), asked(answers=2),
        left(), subprotocols=(BATCHED_MSGPACK,), memory=False,
    )  # fmt: skip
    # The number of answers of each package, as above; None: serverwamp 2.0.0 notices it too.
    bad = {
        'nothing': (b'', 0), 'half a length': (prefix + call_1 + b'\0\0', None),
        'a long length': (b'\0\0\0\x0f' + call_1, 1), 'a length alone': (prefix, None),
        'no length': (call_1, None), 'a length of nothing': (b'\0\0\0\0', None),
        'a huge length': (b'\xff\xff\xff\xff' + call_1, 1), 'a short length': (b'\0\0\0\x05' + call_1, None),
    }  # fmt: skip
    for name, (payload, oracle) in bad.items():
        fault(
            f'batched MessagePack {name}', opened(), SendPayload(payload),
            asked(answers=2 if name == 'half a length' else 1, oracle=oracle), ExpectClose(oracle=oracle is None),
            subprotocols=(BATCHED_MSGPACK,), memory=False,
        )  # fmt: skip


for add in (add_messages, add_ids_and_uris, add_options, add_other_roles, add_payloads):
    add()
