"""Deadlines: one timer for all of a length, in their order; cancelled ones leave nothing behind."""

import asyncio
import contextvars
import logging

import pytest
from support.frame_echo import LIMIT
from ws_echo_server import Echo, negotiate

from serverwamp_fast._core.base.deadlines import DeadlineQueue
from serverwamp_fast._core.native.hubs import Hub


class Clock:
    """A loop whose time is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay, callback, *, context):
        self.timers.append(Timer(self.now + delay, callback))
        return self.timers[-1]

    @property
    def waiting(self):
        return [timer for timer in self.timers if not timer.is_over]

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        for timer in self.waiting:
            if timer.when <= self.now:
                timer.is_over = True
                timer.callback()


class Timer:
    def __init__(self, when, callback) -> None:
        self.when = when
        self.callback = callback
        self.is_over = False

    def cancel(self) -> None:
        self.is_over = True


class Transport:
    """What a connection whose time is up does to its transport is noted."""

    def __init__(self, ended: list[str], name: str, error: Exception | None = None) -> None:
        self.ended, self.name, self.error = ended, name, error

    def get_extra_info(self, name):
        return None

    def abort(self) -> None:
        self.ended.append(self.name)
        if self.error is not None:
            raise self.error

    def is_closing(self) -> bool:
        return False

    def write(self, data) -> None:
        pass


class Site:
    """A hub with connections that don't say anything; each has ten seconds."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.hub = Hub(self.clock, negotiate, 10.0, 5.0, LIMIT)
        self.ended: list[str] = []

    def connect(self, name: str, error: Exception | None = None) -> Echo:
        connection = Echo(self.hub)
        connection.connection_made(Transport(self.ended, name, error))
        return connection


def test_each_connection_has_its_time_and_all_share_a_timer() -> None:
    site = Site()
    site.connect('first')
    site.clock.pass_by(4)
    site.connect('second')
    site.connect('third')
    assert len(site.clock.waiting) == 1
    site.clock.pass_by(5.9)
    assert site.ended == []
    site.clock.pass_by(0.1)
    assert site.ended == ['first']
    assert [timer.when for timer in site.clock.waiting] == [114.0]
    site.clock.pass_by(4)
    assert site.ended == ['first', 'second', 'third']
    assert site.clock.waiting == []


def test_a_cancelled_deadline_is_passed_over() -> None:
    site = Site()
    connections = [site.connect(name) for name in 'abc']
    site.clock.pass_by(1)
    site.connect('d')
    for connection in (connections[0], connections[2]):
        connection.connection_lost(None)
    site.clock.pass_by(9)
    assert site.ended == ['b']
    site.clock.pass_by(1)
    assert site.ended == ['b', 'd']


def test_nothing_stays_with_the_loop_when_all_are_cancelled() -> None:
    site = Site()
    connections = [site.connect(name) for name in 'ab']
    for connection in connections:
        connection.connection_lost(None)
        connection.connection_lost(None)
    assert site.clock.waiting == []
    site.connect('c')
    site.clock.pass_by(10)
    assert site.ended == ['c']


def test_a_timer_that_comes_early_waits_for_the_rest() -> None:
    site = Site()
    site.connect('a')
    (timer,) = site.clock.waiting
    site.clock.now += 9.999
    timer.is_over = True
    timer.callback()
    assert site.ended == []
    site.clock.pass_by(0.001)
    assert site.ended == ['a']


def test_an_error_of_one_connection_is_no_other_ones(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    site.connect('a', RuntimeError('broken'))
    site.connect('b')
    with caplog.at_level(logging.ERROR):
        site.clock.pass_by(10)
    assert site.ended == ['a', 'b']
    assert [str(record.exc_info[1]) for record in caplog.records] == ['broken']


def test_on_a_real_loop() -> None:
    async def main() -> None:
        hub = Hub(asyncio.get_running_loop(), negotiate, 0.01, 5.0, LIMIT)
        ended: list[str] = []
        for name in 'ab':
            Echo(hub).connection_made(Transport(ended, name))
        while len(ended) < 2:
            await asyncio.sleep(0.001)
        assert ended == ['a', 'b']

    asyncio.run(main())


def test_length() -> None:
    assert DeadlineQueue(Clock(), 2.5, contextvars.Context()).length == 2.5
    queue = DeadlineQueue(Clock(), 2.5, contextvars.Context())
    queue.expire()
