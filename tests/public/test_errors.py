"""errors: the classes that the public modules hand on, and what they carry."""

import inspect
import pickle

import pytest

from serverwamp_fast import connection, errors, helpers, json, protocol, routing, rpc, session

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value)]


@pytest.mark.parametrize(
    'error',
    [
        errors.BatchError,
        errors.UnexpectedMessageError,
        errors.InvalidRequestError,
        errors.InvalidURIError,
        errors.InvalidOptionError,
    ],
)
def test_what_a_peer_can_do_wrong_is_a_parse_error(error: type[Exception]) -> None:
    # What is answered with ABORT is caught by this class.
    assert issubclass(error, errors.WAMPMsgParseError)


def test_what_ends_a_session_or_a_call_is_no_parse_error() -> None:
    for error in (
        errors.ConnectionClosed,
        errors.SerializationError,
        errors.FrameError,
        errors.PeerAbortedError,
        errors.NoSuchRouteError,
        errors.NoSuchSubscription,
        errors.InvalidArgumentError,
    ):
        assert not issubclass(error, errors.WAMPMsgParseError), error


def test_builtin_bases() -> None:
    assert issubclass(errors.ConnectionClosed, ConnectionError)
    # serverwamp raises TypeError for what has no form on the wire.
    assert issubclass(errors.SerializationError, TypeError)
    assert issubclass(errors.NoSuchRealmError, LookupError)


def test_every_class_is_a_documented_exception() -> None:
    assert CLASSES
    for error in CLASSES:
        assert issubclass(error, Exception)
        assert error.__doc__, error
        assert error.__module__ == 'serverwamp_fast.errors'


def test_public_modules_hand_on_the_same_classes() -> None:
    assert connection.ConnectionClosed is errors.ConnectionClosed
    assert session.ConnectionClosed is errors.ConnectionClosed
    assert session.NoSuchSubscription is errors.NoSuchSubscription
    assert protocol.WAMPMsgParseError is errors.WAMPMsgParseError
    assert helpers.WAMPMsgParseError is errors.WAMPMsgParseError
    assert json.WAMPMsgParseError is errors.WAMPMsgParseError
    assert routing.NoSuchRouteError is errors.NoSuchRouteError
    assert rpc.NoSuchRouteError is errors.NoSuchRouteError


@pytest.mark.parametrize(
    ('error', 'uri'),
    [
        (errors.InvalidRequestError, 'wamp.error.invalid_argument'),
        (errors.InvalidOptionError, 'wamp.error.invalid_argument'),
        (errors.InvalidURIError, 'wamp.error.invalid_uri'),
    ],
)
def test_invalid_request(error: type[errors.InvalidRequestError], uri: str) -> None:
    refused = error('no good', 48, 7)
    assert (str(refused), refused.request_type, refused.request_id) == ('no good', 48, 7)
    assert refused.error_uri == uri
    # Messages without a request id, such as HELLO.
    assert (error('no good').request_type, error('no good').request_id) == (0, None)


def test_frame_error_carries_the_close_code() -> None:
    error = errors.FrameError(1009, 'too big')
    assert (error.code, str(error)) == (1009, 'too big')


def test_one_line_of_text_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(errors.ConnectionClosed('gone')))
    assert type(error) is errors.ConnectionClosed
    assert str(error) == 'gone'
