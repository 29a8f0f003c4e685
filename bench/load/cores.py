"""Which cores servers and load generator run on."""

import os
from pathlib import Path

SYSTEM = Path('/sys/devices/system/cpu')


def parse_cores(text: str) -> set[int]:
    """Return the cores of a list as Linux writes it: 0-2,5."""
    cores: set[int] = set()
    for part in text.strip().split(','):
        first, _, last = part.partition('-')
        if first:
            cores.update(range(int(first), int(last or first) + 1))
    return cores


def find_siblings(core: int, system: Path = SYSTEM) -> set[int] | None:
    """Return the cores that share a physical one with this, itself included; None if the system doesn't say."""
    try:
        return parse_cores((system / f'cpu{core}/topology/thread_siblings_list').read_text())
    except (OSError, ValueError):
        return None


def choose_cores(system: Path = SYSTEM, allowed: set[int] | None = None) -> tuple[int, int] | None:
    """Return a core for the servers and one for the load: of two physical ones if there are two; None for one core."""
    server, *others = sorted(allowed or os.sched_getaffinity(0))
    if not others:
        return None
    siblings = find_siblings(server, system) or set()
    return server, next((core for core in others if core not in siblings), others[0])


def describe_pinning(server: int | None, load: int | None, system: Path = SYSTEM) -> str:
    """Return a text that says where servers and load run."""
    if server is None or load is None:
        return 'none: there is one core only, which servers and load share'
    siblings = find_siblings(server, system)
    if siblings is None:
        physical = 'the system does not say whether they are of one physical core'
    elif load in siblings:
        physical = 'two threads of ONE physical core, which slow each other'
    else:
        physical = 'different physical cores, as the system says'
    return f'server on core {server}, load on core {load}: {physical}'
