"""The same scripts through serverwamp 2.0.0 and through this package: equal answers, or a listed difference.

Every script is played in memory (asyncio, anyio, trio) and over sockets: our aiohttp and ASGI adapters against the
original's, our native server and the websockets adapter against the original on aiohttp. In each place the answers
have to be the same, but for random ids, unless `differences.py` says what ours are instead.
"""

import functools
import logging
from typing import Any

import pytest
from support.explained import Explained

from compat.differences import DIFFERENCES, MEMORY, PLACES
from compat.packages import ORACLE, SUBJECT, SUBJECT_IS_ORACLE
from compat.playing import play
from compat.scripts import SCRIPTS
from compat.steps import BATCHED_JSON, BATCHED_MSGPACK, JSON, MSGPACK, SUBPROTOCOLS, Script

# The servers, each with the original's to compare with and the subprotocols in which all scripts are played. In the
# other subprotocols only those are that have to do with the serialization.
SOCKETS = [
    ('native uvloop', 'aiohttp', SUBPROTOCOLS),
    ('native', 'aiohttp', (BATCHED_JSON,)),
    ('native anyio', 'aiohttp', (JSON,)),
    ('reading', 'aiohttp', (JSON,)),
    ('aiohttp', 'aiohttp', (JSON, BATCHED_MSGPACK)),
    ('asgi', 'asgi', (JSON,)),
    ('websockets', 'aiohttp', (MSGPACK,)),
]
BACKENDS = ('memory asyncio', 'memory anyio', 'memory trio')


@functools.cache
def play_oracle(name: str, transport: str, subprotocol: str = '') -> dict[str, Any]:
    """What serverwamp 2.0.0 answers. Its own complaints are nobody's business here."""
    script = SCRIPTS[name]
    logging.disable(logging.CRITICAL)
    try:
        return compare_form(script, play(ORACLE, script, transport, subprotocol))
    finally:
        logging.disable(logging.NOTSET)


def compare_form(script: Script, transcript: Any) -> dict[str, Any]:
    return transcript.compared(unordered=script.unordered, shuffled=script.shuffled)


def expected_answer(name: str, place: str, original: dict[str, Any]) -> dict[str, Any]:
    """What our package has to answer, given what the original does."""
    if SUBJECT_IS_ORACLE:
        return original
    if (name, place) not in DIFFERENCES:
        return explained(original)
    difference = DIFFERENCES[name, place]
    journal = original['journal'] if difference.journal is None else difference.journal
    expected = {**difference.received, 'journal': journal}
    assert expected != original, 'The difference is none any more: take it off the list.'
    return explained(expected)


def explained(transcript: dict[str, Any]) -> dict[str, Any]:
    """The same with the sentences that our ERRORs have twice. The original has them once, or none."""
    return {
        name: [explain(entry) for entry in entries] if name != 'journal' else entries
        for name, entries in transcript.items()
    }


def explain(message: Any) -> Any:
    match message:
        case [8, request, number, {}, str(uri)] if uri.startswith('wamp.error.'):
            return Explained(request, number, uri, or_bare=True)
        case [8, request, number, {}, str(uri), [], {'message': text}] if uri.startswith('wamp.error.'):
            return Explained(request, number, uri, text)
    return message


def check_log(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    """A client's fault is worth one line in the log, and no traceback."""
    if not script.fault or SUBJECT_IS_ORACLE:
        return
    records = [
        record
        for record in caplog.records
        if record.levelno >= logging.INFO and record.name != 'serverwamp_fast.mistakes'
    ]
    assert [record for record in records if record.exc_info] == []
    assert len(records) <= 1, [record.getMessage() for record in records]


def scripts_for(transport: str, subprotocol: str, *, all_of_them: bool) -> list[str]:
    return [
        name
        for name, script in SCRIPTS.items()
        if subprotocol in script.subprotocols
        and (all_of_them or not script.memory)
        and script.asgi in (None, transport == 'asgi')
    ]


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('name', [name for name, script in SCRIPTS.items() if script.memory])
def test_in_memory(name: str, backend: str, caplog: pytest.LogCaptureFixture) -> None:
    script = SCRIPTS[name]
    if backend == 'memory trio' and not script.trio:
        pytest.skip('the answers depend on the order in which tasks start, which trio shuffles')
    original = play_oracle(name, backend)
    expected = expected_answer(name, MEMORY, original)
    caplog.set_level(logging.INFO)
    ours = play(SUBJECT, script, backend, notes=len(expected['journal']))
    assert compare_form(script, ours) == expected
    check_log(script, caplog)


@pytest.mark.parametrize(
    ('transport', 'oracle_transport', 'subprotocol', 'name'),
    [
        pytest.param(transport, oracle, subprotocol, name, id=f'{transport}-{subprotocol}-{name}')
        for transport, oracle, subprotocols in SOCKETS
        for subprotocol in SUBPROTOCOLS
        for name in scripts_for(transport, subprotocol, all_of_them=subprotocol in subprotocols)
    ],
)
def test_on_sockets(
    transport: str,
    oracle_transport: str,
    subprotocol: str,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if SUBJECT_IS_ORACLE and transport != oracle_transport:
        pytest.skip('serverwamp has no such server')
    script = SCRIPTS[name]
    place = f'asgi {subprotocol}' if oracle_transport == 'asgi' else subprotocol
    original = play_oracle(name, oracle_transport, subprotocol)
    expected = expected_answer(name, place, original)
    caplog.set_level(logging.INFO, 'serverwamp_fast')
    ours = play(SUBJECT, script, transport, subprotocol, notes=len(expected['journal']))
    assert compare_form(script, ours) == expected
    check_log(script, caplog)


@pytest.mark.parametrize('name', [name for name, script in SCRIPTS.items() if script.memory])
def test_the_original_agrees_with_itself(name: str) -> None:
    """The control: what differs between two runs of the original would be chance, or the harness."""
    original = play_oracle(name, 'memory asyncio')
    play_oracle.cache_clear()
    assert play_oracle(name, 'memory asyncio') == original


def test_every_difference_belongs_to_a_script() -> None:
    for name, place in DIFFERENCES:
        script = SCRIPTS[name]
        assert place in PLACES
        assert (
            script.memory
            if place == MEMORY
            else place.split()[-1] in (*script.subprotocols, JSON, MSGPACK)
        )


def test_no_script_is_played_nowhere() -> None:
    for script in SCRIPTS.values():
        assert script.memory or script.subprotocols
