"""What a URI among prefix routes costs: `python routes.py PACKAGE SECONDS` prints a JSON object, times in ns."""

import importlib
import json
import sys
import time
from statistics import median

FEW, MANY = 10, 10000
# Lookups in a row between two looks at the clock.
CHUNK = 100


def build_router(package: str, count: int):
    router = importlib.import_module(f'{package}.routing').URIsRouter()
    for number in range(count):
        router.add_prefix_route(f'com.example.service{number:05}.', number)
    return router


def time_once(router, wanted: list[int]) -> float:
    """Return what a lookup takes (ns), for the routes with these numbers."""
    # New strings, as they come out of messages.
    uris = [f'com.example.service{number:05}.call' for number in wanted]
    resolve = router.resolve
    before = time.perf_counter_ns()
    found = [resolve(uri) for uri in uris]
    taken = time.perf_counter_ns() - before
    if found != wanted:
        sys.exit(f'The router resolves {uris} to {found}.')
    return taken / CHUNK


def main(package: str, seconds: float) -> None:
    few, many = build_router(package, FEW), build_router(package, MANY)
    # Ten URIs of each table, so that the tables alone make the difference; those of the large one lie far apart. And
    # all of the large one, with a prime between one and the next.
    some = {'few_ns': (few, FEW, 1), 'many_ns': (many, MANY, MANY // FEW), 'all_ns': (many, MANY, 7919)}
    times: dict[str, list[float]] = {name: [] for name in some}
    end = time.monotonic() + seconds
    start = 0
    # In turns, so that what else the machine does hits all alike.
    while time.monotonic() < end or start < 3 * CHUNK:
        for name, (router, count, step) in some.items():
            first = start if name == 'all_ns' else 0
            times[name].append(time_once(router, [(first + at) * step % count for at in range(CHUNK)]))
        start += CHUNK
    print(json.dumps({name: median(values) for name, values in times.items()}))


if __name__ == '__main__':
    main(sys.argv[1], float(sys.argv[2]))
