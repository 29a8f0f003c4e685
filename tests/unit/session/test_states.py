"""_core.session.states: what is done with each message in each state, written down a second time."""

import pytest

from serverwamp_fast._core.session.states import ACTIONS, STATES, action
from serverwamp_fast._core.wire import messages

ACTION_NAMES = {number: name for name, number in ACTIONS.items()}
CODES = {name: code for code, name in messages.MESSAGE_NAMES.items()}

FROM_CLIENTS = {
    'HELLO', 'ABORT', 'AUTHENTICATE', 'GOODBYE', 'ERROR', 'PUBLISH', 'SUBSCRIBE', 'UNSUBSCRIBE', 'CALL', 'CANCEL',
    'REGISTER', 'UNREGISTER', 'YIELD',
}  # fmt: skip
IN_SESSIONS = FROM_CLIENTS - {'HELLO', 'ABORT'}

# What is not named here is a violation.
EXPECTED = {
    'new': {'HELLO': 'open', 'ABORT': 'end'},
    'opening': dict.fromkeys(IN_SESSIONS, 'wait') | {'AUTHENTICATE': 'authenticate', 'ABORT': 'end'},
    'open': {
        'CALL': 'call',
        'SUBSCRIBE': 'in order',
        'UNSUBSCRIBE': 'in order',
        'GOODBYE': 'in order',
        'CANCEL': 'cancel',
        'ERROR': 'refuse',
        'PUBLISH': 'publish',
        'REGISTER': 'refuse',
        'UNREGISTER': 'refuse',
        'YIELD': 'refuse',
        'ABORT': 'end',
    },
    'closing': dict.fromkeys(IN_SESSIONS, 'ignore') | {'GOODBYE': 'in order', 'ABORT': 'end'},
    'ended': dict.fromkeys(IN_SESSIONS, 'ignore') | {'ABORT': 'end'},
}


@pytest.mark.parametrize('state', STATES)
def test_every_message(state: str) -> None:
    found = {name: ACTION_NAMES[action(STATES[state], code)] for name, code in CODES.items()}
    assert found == {name: EXPECTED[state].get(name, 'violation') for name in CODES}


@pytest.mark.parametrize('state', STATES)
def test_other_codes_are_violations(state: str) -> None:
    for code in {*range(-3, 400), 127, 128, 129, 2**31 - 1, -(2**31)} - set(CODES.values()):
        assert ACTION_NAMES[action(STATES[state], code)] == 'violation', code


@pytest.mark.parametrize('state', [-1, len(STATES), 2**31 - 1, -(2**31)])
def test_other_states_allow_nothing(state: int) -> None:
    for code in CODES.values():
        assert ACTION_NAMES[action(state, code)] == 'violation', code


def test_names_and_numbers_are_one_to_one() -> None:
    assert sorted(STATES.values()) == list(range(5))
    assert sorted(ACTIONS.values()) == list(range(11))


def test_numbers_that_are_no_c_integers_are_refused() -> None:
    with pytest.raises(OverflowError):
        action(STATES['open'], 2**40)
    with pytest.raises(TypeError):
        action('open', 48)
