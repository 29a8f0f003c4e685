"""Scripts about CALL: arguments, conversions, results, failures, progress, routes."""

from compat.procedures import ANNOTATIONS
from compat.steps import (
    Await,
    Disconnect,
    Expect,
    ExpectAnswer,
    Open,
    Send,
    asked,
    call,
    hello,
    left,
    opened,
    script,
)


def one_call(name, /, *args, app='rich', options=None, answers=1, oracle=None, uri=None, **kwargs):
    """A script of its own for one CALL, so that a failure names it."""
    uri = uri or name.split(' ')[0]
    script(
        f'call {name}',
        opened(),
        asked(call(uri, *args, options=options, **kwargs), answers=answers, oracle=oracle),
        left(),
        app=app,
    )


VALUES = (5, -5, 2.5, 5.0, '12', 'hello', '', True, None, [1, 2], {'a': 1}, 2**53)


def add_signatures():
    for name in ('echo', *(f'convert.{annotation}' for annotation in ANNOTATIONS)):
        values = enumerate(VALUES, 1)
        script(
            f'{name} of all values',
            opened(),
            *(asked(call(name, value, id=number)) for number, value in values),
            left(),
        )
    one_call('echo named', value=1)
    one_call('echo both', 1, value=2)
    one_call('echo unknown_name', valeu=1)
    one_call('echo too_many', 1, 2, 3)
    one_call('echo missing')
    one_call('echo camel', Value=1)
    one_call('nothing')
    one_call('nothing with_arguments', 1, a=2)
    one_call('two', 1, 2)
    one_call('two named', b=1, a=2)
    one_call('two mixed', 1, b=2)
    one_call('two doubled', 1, a=2)
    one_call('two doubled_complete', 1, 2, a=3)
    one_call('two second_missing', 1)
    one_call('two first_missing', b=1)
    one_call('defaults', 1)
    one_call('defaults all', 1, 2, c=3)
    one_call('defaults too_many', 1, 2, 3)
    one_call('defaults named', a=1, b=2)
    one_call('defaults null', None, None, c=None)
    one_call('rest', 1)
    one_call('rest more', 1, 2, 3)
    one_call('rest named', 1, 2, others=3)
    one_call('rest named_first', 2, 3, a=1)
    one_call('only_rest')
    one_call('only_rest more', 1, 'two', None)
    one_call('named_rest', 1, b=2, c=3)
    one_call('named_rest none')
    one_call('named_rest called_like_it', others=1)
    one_call('named_rest positional', 1, 2)
    one_call('all_rest', 1, 2, a=3, session=4, request=5)
    one_call('all_rest called_like_them', args=1, kwargs=2)
    one_call('keyword_only', name='N')
    one_call('keyword_only positional', 'N')
    one_call('keyword_only both', 'N', name='M', title='T')
    one_call('positional_only', 1)
    one_call('positional_only named', a=1, b=2, c=3)
    one_call('positional_only all', 1, 2, 3)
    one_call('positional_only_rest', 1, b=2)
    one_call('positional_only_rest named', a=1, b=2)
    one_call('positional_only_rest both', 1, a=2)
    one_call('after_rest', 1, 2, 3, b=4)
    one_call('after_rest missing', 1, 2, 3)
    one_call('sentinel')
    one_call('convert.default unset', uri='convert.default')
    one_call('convert.default set', '5', uri='convert.default')
    one_call('convert.several', '1', '2', '3', '4.5', flag=1, more='6', last=7.9)
    one_call('convert.several bad_rest', 1, 2, 'x')
    one_call('convert.several bad_named_rest', 1, more='x')
    one_call('convert.several bad_keyword', 'x', flag=0)
    one_call('convert.several infinity', 1e308, 1e308)
    one_call('convert.int huge_text', '9' * 5000, uri='convert.int')
    one_call('convert.decimal bad', 'nan?', uri='convert.decimal')
    one_call('convert.celsius too_cold', -300, uri='convert.celsius')
    one_call('convert.uuid good', '12345678123456781234567812345678', uri='convert.uuid')
    one_call('convert.enum good', 'red', uri='convert.enum')
    one_call('convert.int padded', ' 7 ', uri='convert.int')
    one_call('convert.int underscored', '1_000', uri='convert.int')
    one_call('convert.float nan_text', 'nan', uri='convert.float')
    one_call('convert.float infinite_text', 'inf', uri='convert.float')
    one_call('convert.bool text', 'false', uri='convert.bool')
    one_call('convert.bytes list', [1, 2, 3], uri='convert.bytes')


def add_special():
    one_call('special.session')
    one_call('special.session argument', 'v', uri='special.session')
    one_call('special.session overridden', 'v', session='mine', uri='special.session')
    one_call('special.session_last', 'v')
    one_call('special.session_last missing', uri='special.session_last')
    one_call('special.session_keyword', 'v')
    one_call('special.session_positional', 'v')
    one_call('special.session_annotated')
    one_call('special.rest_called_session', 1, session=2, request=3)
    one_call('special.rest_beside_session', 1, 2, a=3, session=4, request=5)
    one_call('special.request', 1, a=2)
    one_call('special.session_facts')
    options = {'timeout': 5, 'disclose_me': True, 'receive_progress': True, '_custom': 1}
    one_call('special.request options', options=options, uri='special.request')
    partition = {'runmode': 'partition', 'rkey': 'key'}
    one_call('special.request partition', options=partition, uri='special.request')
    one_call(
        'special.request partition_without_key',
        options={'runmode': 'partition'},
        oracle=0,
        uri='special.request',
    )
    one_call('special.request other_runmode', options={'runmode': 'x'}, uri='special.request')
    one_call('special.request odd_timeout', options={'timeout': 'x'}, uri='special.request')
    one_call('special.request null_timeout', options={'timeout': None}, uri='special.request')
    null_options = {'disclose_me': None, 'receive_progress': None, 'runmode': None, 'rkey': None}
    one_call('special.request null_options', options=null_options, uri='special.request')
    script(
        'call session facts of HELLO',
        opened(authid='joe', authmethods=['ticket', 'wampcra'], authextra={'x': 1}),
        asked(call('special.session_facts')),
        left(),
    )
    script(
        'call session facts null',
        opened(authid=None, authmethods=None),
        asked(call('special.session_facts')),
        left(),
    )


def add_results():
    names = (
        'str empty_str int zero float true false none bytes empty_bytes bytearray memoryview dict empty_dict '
        'list empty_list tuple range ordered userdict userlist set object deque exception class generator '
        'whole nested_bytes decimal function result result_empty result_args result_kwargs result_none '
        'result_str error error_bare error_args error_kwargs progress lone_surrogate nan infinity huge '
        'negative_huge integer_keys top_integer_keys unserializable unserializable_kwargs unserializable_error'
    )
    for name in names.split():
        # In memory nothing is serialized, so everything is answered.
        script(
            f'call return.{name}', opened(),
            asked(call(f'return.{name}'), answers=1, oracle=2 if name == 'progress' else None), left(),
            subprotocols=(),
        )  # fmt: skip
    for name in (*names.split(), 'tuple_keys', 'bad_error'):
        # A second call ends the wait, as serverwamp 2.0.0 sends nothing at all where it can't serialize.
        script(
            f'serialize return.{name}', opened(),
            Send((call(f'return.{name}'), call('echo', 'end', id=2))), ExpectAnswer(2), left(), memory=False,
        )  # fmt: skip
    for name in (
        'exception',
        'closed',
        'no_route',
        'parse_error',
        'stop_async_iteration',
        'type_error',
        'timeout',
    ):
        one_call(f'raise.{name}')
    one_call('not_async')
    one_call('not_async_raises')
    one_call('no.such.procedure')
    one_call('no.such.procedure arguments', 1, a=2)


def add_callables():
    one_call('callable.object', 1)
    one_call('callable.method')
    one_call('callable.method self', self=1, uri='callable.method')
    one_call('callable.class_method', 1)
    one_call('callable.static_method', 1)
    one_call('callable.wrapped', 1, '2')
    one_call('callable.wrapped bad', 1, 'x', uri='callable.wrapped')
    one_call('callable.partial', 's')
    one_call('callable.partial missing', uri='callable.partial')
    one_call('callable.partial_keyword', 'f')
    one_call(
        'callable.partial_keyword overridden', 'f', second='mine', uri='callable.partial_keyword'
    )
    one_call('callable.lambda', 1)
    one_call('callable.awaitable')


def add_generators():
    progress = {'receive_progress': True}
    for name, answers in (
        ('progress', 3),
        ('progress_kwargs', 3),
        ('plain_value', 1),
        ('none', 1),
        ('error', 2),
        ('past_the_end', 1),
        ('past_the_error', 1),
        ('raises_first', 1),
        ('raises_after_progress', 2),
        ('raises_in_cleanup', 1),
        ('odd_value', 1),
        ('iterator', 2),
        ('empty', 1),
    ):
        one_call(f'generator.{name}', options=progress, answers=answers)
        one_call(f'generator.{name} unasked', oracle=answers)
    one_call('generator.only_progress', options=progress, answers=2)
    one_call('generator.only_progress unasked', answers=1, oracle=2)
    one_call('generator.arguments', '5', 6, b=7, c=8, options=progress, answers=2)
    one_call('generator.arguments bad', 'x', options=progress, uri='generator.arguments')
    one_call('generator.iterator_class', 3, options=progress, answers=3)
    one_call('generator.progress refused', options={'receive_progress': False}, oracle=3)
    script(
        'a generator cleans up when its result is out',
        opened(),
        asked(call('generator.slow_cleanup')),
        asked(call('open', 'cleanup', id=2)),
        Await('slow_cleanup cleaned up'),
        left(),
    )
    script(
        'client leaves during progress',
        opened(),
        Send((call('generator.progress', 5, options=progress),)),
        Expect(1),
        Disconnect(),
    )


def add_routes():
    for uri in (
        'over.lap', 'over.lapping', 'over.lap.longer.still', 'over', 'over.', 'overt', 'ov', 'later.x',
        'later.exact', 'later.', 'later', 'twice', 'x.unanchored', 'unanchored.x', 'dots.x', 'dotsx', 'end',
        'endless', 'the.end', 'CASE', 'case.x', 'ü.x', 'u.x', 'echo2', 'over.lap\nnewline',
    ):  # fmt: skip
        if not any(character.isspace() for character in uri):
            script(f'route {uri}', opened(), asked(call(uri)), left())
    script(
        'default arguments',
        opened(),
        asked(call('default.given', 1, 2, database='mine', extra=3, id=1)),
        asked(call('default.factory', 'v', counter='mine', id=2)),
        asked(call('default.factory', 'v', id=3)),
        asked(call('default.positional', 'v', id=4)),
        asked(call('default.unset', id=5)),
        asked(call('default.unset', 'given', id=6)),
        asked(call('default.set', 'L', id=7)),
        asked(call('default.unset', 'given', id=8)),
        asked(call('no.such.yet', id=9)),
        asked(call('default.add_route', 'no.such.yet', id=10)),
        asked(call('no.such.yet', id=11)),
        asked(call('default.add_route', 'over.lap', id=12)),
        asked(call('over.lap', id=13)),
        left(),
    )
    script(
        'realms have their own routes',
        opened('a', realm='named'),
        opened('b', realm='any.other.realm'),
        asked(call('echo', 1), client='a'),
        asked(call('echo', 1), client='b'),
        asked(call('echo', 1, database='client'), client='a'),
        asked(call('two', 1, 2), client='a'),
        left('a'),
        left('b'),
    )


def add_order():
    script(
        'pipelined calls are answered in order',
        opened(),
        asked(*(call('echo', number, id=number) for number in range(1, 200))),
        left(),
    )
    script(
        'calls of different kinds in one go',
        Open(),
        asked(
            hello(),
            call('echo', 1, id=1),
            call('generator.plain_value', id=2),
            [32, 3, {}, 'topic.plain'],
            call('echo', id=4),
            call('publish', 'topic.plain', 'news', id=5),
            answers=7,
        ),
        left(),
        shuffled=True,
    )
    script(
        'a later call overtakes',
        opened(),
        Send((call('wait', 'gate', id=1), call('echo', 2, id=2))),
        Expect(1),
        asked(call('open', 'gate', id=3), answers=2),
        left(),
    )
    script(
        'goodbye right behind calls',
        opened(),
        asked(
            *(call('echo', number, id=number) for number in range(1, 9)),
            call('generator.plain_value', id=9),
            [6, {}, 'wamp.close.normal'],
        ),
        Disconnect(),
        subprotocols=(),
        trio=False,
    )
    script(
        'the same request id twice',
        opened(),
        asked(call('echo', 1), call('echo', 2)),
        left(),
    )
    script(
        'a handler goes on after the client left',
        opened(),
        Send((call('wait', 'gate'),)),
        Await('waiting for gate'),
        opened('b'),
        Disconnect('a'),
        asked(call('open', 'gate'), client='b'),
        Await('gate is open'),
        left('b'),
        unordered=True,
    )
    script(
        'synchronized calls wait for each other',
        opened(),
        asked(call('sleep', 0.05, 'slow', id=1), call('echo', 'quick', id=2)),
        left(),
        app='synchronized',
    )
    script(
        'calls sleep side by side',
        opened(),
        asked(call('sleep', 0.05, 'slow', id=1), call('echo', 'quick', id=2)),
        left(),
    )


for add in (
    add_signatures,
    add_special,
    add_results,
    add_callables,
    add_generators,
    add_routes,
    add_order,
):
    add()
