"""Rounds into figures: medians, spread, percentiles. Failures are carried along, never left out."""

from collections import Counter
from statistics import median
from typing import Any

QUANTILES = {'p50': 0.5, 'p90': 0.9, 'p99': 0.99, 'p999': 0.999}


def quantile_of(counts: list[tuple[float, int]], quantile: float) -> float:
    """Return a quantile of sorted (value, count) pairs."""
    wanted = quantile * sum(count for _, count in counts)
    seen = 0
    for value, count in counts:
        seen += count
        if seen > wanted:
            return value
    return counts[-1][0]


def merge_latencies(parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the distribution of several rounds taken together, in microseconds, and how p50 and p99 spread."""
    parts = [part for part in parts if part.get('count')]
    if not parts:
        return None
    merged: Counter[float] = Counter()
    for part in parts:
        for value, count in part['histogram']:
            merged[value] += count
    counts = sorted(merged.items())
    result: dict[str, Any] = {name: quantile_of(counts, quantile) for name, quantile in QUANTILES.items()}
    result['max'] = max(part['max'] for part in parts)
    result['count'] = sum(count for _, count in counts)
    result['rounds'] = {name: [part[name] for part in parts] for name in ('p50', 'p99')}
    result['histogram'] = counts
    return result


def collect_failures(rounds: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return how many rounds failed, and the first reason."""
    failed = [part for part in rounds if part['failures']]
    if not failed:
        return None
    return {
        'rounds': len(failed),
        'of': len(rounds),
        'count': sum(part['failures'] for part in failed),
        'first': failed[0]['first_failure'],
        'server_said': failed[0].get('server_said', ''),
    }


def spread(values: list[float]) -> dict[str, Any]:
    """Return the median, the extremes and the values."""
    return {'median': median(values), 'min': min(values), 'max': max(values), 'rounds': values}


def merge_rounds(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of one server in one scenario. `rate` is missing if no round was without failure."""
    good = [part for part in rounds if not part['failures'] and part['operations']]
    result: dict[str, Any] = {'failures': collect_failures(rounds)}
    if not good:
        if result['failures'] is None:
            result['failures'] = {
                'rounds': len(rounds),
                'of': len(rounds),
                'count': len(rounds),
                'first': 'Nothing was completed within the time of a round.',
                'server_said': '',
            }
        return result
    result['rate'] = spread([part['rate'] for part in good])
    result['load_cpu_share'] = median(part['load_cpu_share'] for part in good)
    if all('server_user_seconds' in part for part in good):
        result['cpu_us_per_operation'] = spread([
            (part['server_user_seconds'] + part['server_system_seconds']) / part['operations'] * 1e6 for part in good
        ])
        result['server_cpu_share'] = median(
            (part['server_user_seconds'] + part['server_system_seconds']) / part['seconds'] for part in good
        )
    result['latency_us'] = merge_latencies([part['latency_us'] for part in good])
    polite = merge_latencies([part['polite_latency_us'] for part in good if 'polite_latency_us' in part])
    if polite is not None:
        result['polite_latency_us'] = polite
    return result


def summarize_memory(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return bytes per session: between the first step, which pays for what all share, and the last."""
    result: dict[str, Any] = {'failures': collect_failures(rounds)}
    good = [part for part in rounds if not part['failures'] and len(part.get('steps', ())) > 1]
    if good:
        result['steps'] = [
            {'sessions': parts[0]['sessions'], 'memory': median(part['memory'] for part in parts)}
            for parts in zip(*(part['steps'] for part in good), strict=True)
        ]
        result['rate'] = spread([
            (part['steps'][-1]['memory'] - part['steps'][0]['memory'])
            / (part['steps'][-1]['sessions'] - part['steps'][0]['sessions'])
            for part in good
        ])
    return result


def summarize_routes(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a lookup among many routes costs in units of one among few."""
    result: dict[str, Any] = {'failures': collect_failures(rounds)}
    good = [part for part in rounds if not part['failures']]
    if good:
        result['rate'] = spread([part['many_ns'] / part['few_ns'] for part in good])
        result['costs_ns'] = {name: median(part[name] for part in good) for name in ('few_ns', 'many_ns', 'all_ns')}
    return result
