"""_core.session.sequences: request ids one after the other (WAMP BP, "IDs"; AP, "Verification of CALL Request IDs")."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverwamp_fast._core.session.sequences import RequestSequence
from serverwamp_fast._core.wire.messages import MESSAGE_NAMES
from serverwamp_fast.errors import WAMPMsgParseError

CALL, CANCEL = 48, 49
NUMBERED = [16, 32, 34, 48, 64, 66]
UNNUMBERED = sorted(set(MESSAGE_NAMES) - set(NUMBERED))


@given(st.lists(st.sampled_from(NUMBERED), max_size=20), st.integers(-2, 40))
def test_one_sequence_for_all_requests(codes: list[int], wrong: int) -> None:
    sequence = RequestSequence()
    for number, code in enumerate(codes, 1):
        sequence.note(code, number)
    expected = len(codes) + 1
    for code in NUMBERED:
        if wrong != expected:
            with pytest.raises(WAMPMsgParseError, match=f'{wrong} is out of sequence, {expected} would'):
                sequence.note(code, wrong)
    sequence.note(16, expected)


@pytest.mark.parametrize('code', UNNUMBERED)
def test_messages_without_an_id_of_their_own(code: int) -> None:
    sequence = RequestSequence()
    for number in 7, 1, 7:
        sequence.note(code, number)
    sequence.note(CALL, 1)


def test_after_the_last_comes_the_first() -> None:
    sequence = RequestSequence(2**53 - 1)
    sequence.note(CALL, 2**53)
    with pytest.raises(WAMPMsgParseError, match='1 would be the next'):
        sequence.note(CALL, 2**53 + 1)
    sequence.note(CALL, 1)
    sequence.note(CALL, 2)


def test_calls_that_go_on() -> None:
    sequence = RequestSequence()
    assert not sequence.note(CALL, 1, progressive=True)
    assert not sequence.note(CALL, 2)
    assert sequence.note(CALL, 1, progressive=True)
    # Its last part, and one that came too late.
    assert sequence.note(CALL, 1)
    assert sequence.note(CALL, 1)
    for code, number in (CALL, 2), (32, 1), (16, 1), (CALL, 4):
        with pytest.raises(WAMPMsgParseError, match='3 would be the next'):
            sequence.note(code, number, progressive=True)
    # Only calls go on.
    sequence.note(16, 3, progressive=True)
    with pytest.raises(WAMPMsgParseError):
        sequence.note(CALL, 3)


def test_what_is_remembered_is_limited() -> None:
    sequence = RequestSequence()
    for number in range(1, 2001):
        sequence.note(CALL, number, progressive=True)
    sequence.note(CALL, 2000)
    sequence.note(CALL, 2000 - 1023)
    with pytest.raises(WAMPMsgParseError):
        sequence.note(CALL, 2000 - 1024)
