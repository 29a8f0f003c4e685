"""A lone str or bytes as args is one argument, with one warning that names the handler."""

from typing import Any

import pytest
from compat.steps import call
from compat.test_documented import run

import serverwamp_fast as wamp
from serverwamp_fast import lone_arguments
from serverwamp_fast.rpc import RPCErrorResult, RPCProgressReport, RPCResult


@pytest.fixture(autouse=True)
def nothing_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lone_arguments, '_warned', set())


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == 'serverwamp_fast.lone_arguments']


@pytest.mark.parametrize('in_place_of_routes', [False, True])
@pytest.mark.parametrize(('text', 'arrives'), [('text', 'text'), (b'text', b'text')])
def test_answers(
    in_place_of_routes: bool, text: Any, arrives: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: Any) -> Any:
        yield RPCProgressReport(args=text)
        yield RPCErrorResult(args=text) if request.kwargs else RPCResult(args=text)

    app = wamp.Application()
    if in_place_of_routes:
        app.set_rpc_handler(handler)
    else:
        routes = wamp.RPCRouteSet()
        routes.route('it')(handler)
        app.add_rpc_routes(routes)
    options = {'receive_progress': True}
    answers = run(
        app,
        call('it', options=options),
        call('it', id=2, options=options),
        [48, 3, options, 'it', [], {'x': 1}],
    )
    assert [answer[-1] for answer in answers] == [[arrives]] * 6
    assert answers[-1][:5] == [8, 48, 3, {}, 'wamp.error.runtime_error']
    (line,) = warnings_of(caplog)
    assert 'test_answers.<locals>.handler' in line


def test_events(caplog: pytest.LogCaptureFixture) -> None:
    app = wamp.Application()
    topics = wamp.TopicRouteSet()

    @topics.route('news')
    async def news(topic: str, session: Any) -> Any:
        for _ in range(2):
            await session.send_event(topic, args='sent')
        await app.publish('news', 'published')
        yield

    app.add_topic_routes(topics)
    answers = run(app, [32, 1, {}, 'news'])
    assert [answer[4] for answer in answers[1:]] == [['sent'], ['sent'], ['published']]
    (line,) = warnings_of(caplog)
    assert 'test_events.<locals>.news' in line


def test_topic_as_default_arg() -> None:
    app = wamp.Application()
    topics = wamp.TopicRouteSet()
    seen = []

    @topics.route('news')
    async def news(topic: str, topic_uri: str) -> Any:
        seen.append((topic, topic_uri))
        yield

    app.set_default_arg('topic', 'own')
    app.add_topic_routes(topics)
    run(app, [32, 1, {}, 'news'])
    assert seen == [('own', 'news')]
