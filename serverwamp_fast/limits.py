"""What clients may cost a server, at most."""

from __future__ import annotations

from dataclasses import dataclass, field

# Descriptors that are left to the rest of the program: its files, its database, the connections that are closing.
RESERVED_DESCRIPTORS = 64


def find_connection_limit() -> int | None:
    """Return how many connections the limit of file descriptors leaves room for; None where there is no such limit."""
    try:
        import resource
    except ImportError:
        # Windows.
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else max(soft - RESERVED_DESCRIPTORS, 1)


@dataclass(frozen=True)
class Limits:
    """The bounds of an application: `Application(limits=Limits(...))`. None is no bound.

    - connections: connections that the native server has open at once; further clients wait in the system's queue until
      one closes. By default it is the limit of file descriptors (RLIMIT_NOFILE) at the time, less 64.

    Raises ValueError, with the name of the field, for a value that is no bound.
    """

    connections: int | None = field(default_factory=find_connection_limit)

    def __post_init__(self) -> None:
        value = self.connections
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f'Limits.connections is a number from 1 on, or None for no limit; {value!r} is neither.')
