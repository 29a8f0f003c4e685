import asyncio
from contextvars import Context

class Timed:
    """Base of what deadlines are set for: a connection, as a rule."""

class Deadline:
    """The end of the time that a connection has for something; cancelled by who set it."""

class DeadlineQueue:
    """The deadlines of one length, which share one timer of the loop.

    What a connection does when its time is up may raise; that is logged, and the others are told all the same.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, length: float, context: Context) -> None:
        """`context`: what the timer runs in, in a copy."""
    @property
    def length(self) -> float:
        """How far away a deadline is when it is set, in seconds."""
    def expire(self) -> None:
        """Tell the connections whose time is up, and wait for the next one's."""
