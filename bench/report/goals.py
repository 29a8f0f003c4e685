"""The goals of the project, against what was measured."""

from dataclasses import dataclass

from ..load.servers import BASELINE
from .figures import (
    ENOUGH_SAMPLES,
    Result,
    compare,
    compare_cpu,
    figure_of,
    is_load_the_limit,
    title_of,
)

NATIVE = 'fast-native'


@dataclass(frozen=True)
class Goal:
    """One goal, and how far it is reached: `reached` is None where there is nothing to reach, only to see."""

    what: str
    wanted: str
    measured: str
    reached: bool | None
    remark: str = ''

    def texts(self) -> tuple[str, ...]:
        """Return what is shown, in the order of HEADING."""
        verdict = {None: '', True: 'reached', False: 'NOT reached'}[self.reached]
        return self.what, self.wanted, self.measured, verdict, self.remark


HEADING = ('what', 'goal', 'measured', '', '')


def name_of(server: str) -> str:
    return 'serverwamp 2.0.0' if server == BASELINE else title_of(server)


def failed_rounds(sides: list[tuple[Result, str]]) -> list[str]:
    """Return remarks for the sides of a comparison on which rounds have failed."""
    failed = [server for scenario, server in sides if scenario['servers'].get(server, {}).get('failures')]
    return [f'rounds of {name_of(server)} failed' for server in dict.fromkeys(failed)]


def ratio_goal(what: str, scenario: Result | None, server: str, other: str, wanted: float | None) -> Goal | None:
    """Return a goal for how many times better a server is than another; None if that wasn't measured."""
    ratio = compare(scenario, server, other) if scenario else None
    if scenario is None or ratio is None:
        return None
    remarks = failures = failed_rounds([(scenario, server), (scenario, other)])
    reached = None if wanted is None else ratio >= wanted and not failures
    for side, bound in ((server, 'at least'), (other, 'at most')):
        if is_load_the_limit(scenario['servers'][side]):
            remarks = [*remarks, f'{bound}: the load generator was the limit of {name_of(side)}']
    cpu = compare_cpu(scenario, server, other)
    if other.startswith('floor') and cpu:
        remarks = [*remarks, f'by CPU time per operation {cpu:.2f} ×']
    goal = 'none: for scale' if wanted is None else f'at least {wanted:g} × {name_of(other)}'
    return Goal(what, goal, f'{ratio:.2f} ×', reached, '; '.join(remarks))


def most_goal(
    what: str, wanted: str, measured: str, is_enough: bool, sides: list[tuple[Result, str]], *remarks: str
) -> Goal:
    """Return a goal that is an upper bound."""
    failures = failed_rounds(sides)
    return Goal(what, wanted, measured, is_enough and not failures, '; '.join([*failures, *remarks]))


def event_goals(scenario: Result | None) -> list[Goal | None]:
    """Events one by one: beside serverwamp, and beside a server that does nothing but the system calls."""
    goal = ratio_goal('events to 1,000 subscribers, a loop', scenario, NATIVE, BASELINE, 15)
    floor = compare(scenario, 'floor-events', BASELINE) if scenario else None
    if goal is not None and goal.reached is False and floor is not None:
        cost = (
            'what stands in the way is one send() for each event, as publications come one at a time: the floor, '
            f'which does little else, makes {floor:.1f} × serverwamp 2.0.0'
        )
        goal = Goal(goal.what, goal.wanted, goal.measured, False, '; '.join(filter(None, [goal.remark, cost])))
    return [goal, ratio_goal('the same, against the floor', scenario, NATIVE, 'floor-events', None)]


def memory_goals(scenario: Result | None) -> list[Goal | None]:
    figure = figure_of(scenario, NATIVE) if scenario else None
    if scenario is None or figure is None:
        return []
    return [
        most_goal(
            'memory of an idle session with one subscription', 'at most 2,560 bytes',
            f'{figure["median"]:,.0f} bytes', figure['median'] <= 2560, [(scenario, NATIVE)],
        ),
        ratio_goal('the same, ratio', scenario, NATIVE, BASELINE, 8),
    ]  # fmt: skip


def fairness_goal(alone: Result | None, beside: Result | None) -> Goal | None:
    before, after = (figure_of(scenario, NATIVE) if scenario else None for scenario in (alone, beside))
    if alone is None or beside is None or not before or not after:
        return None
    slower = after['median'] / before['median']
    figures = beside['servers'][NATIVE]
    rounds = len(figures['polite_latency_us']['rounds']['p99'])
    count = figures['polite_latency_us']['count']
    few = [f'from only {count:,} answers in {rounds} rounds'] if count < ENOUGH_SAMPLES * rounds else []
    return most_goal(
        'p99 of a client that waits, beside 63 that pipeline', 'at most 2 × its p99 alone', f'{slower:.2f} ×',
        slower <= 2, [(alone, NATIVE), (beside, NATIVE)], *few,
    )  # fmt: skip


def route_goal(scenario: Result | None) -> Goal | None:
    figure = figure_of(scenario, NATIVE) if scenario else None
    if scenario is None or figure is None:
        return None
    costs = scenario['servers'][NATIVE]['costs_ns']
    return most_goal(
        'a URI among 10,000 prefix routes', 'at most 1.5 × its cost among 10', f'{figure["median"]:.2f} ×',
        figure['median'] <= 1.5, [(scenario, NATIVE)],
        f"{costs['all_ns'] / costs['few_ns']:.1f} × if all 10,000 are called, which the processor's caches do not hold",
    )  # fmt: skip


def find_goals(scenarios: list[Result], python: tuple[int, int]) -> list[Goal]:
    """Return the goals of which something was measured."""
    known = {scenario['name']: scenario for scenario in scenarios}
    eager = 20 if python >= (3, 12) else 16
    one, many, burst = known.get('calls-1'), known.get('calls-16'), known.get('publish-1000x100')
    goals = [
        ratio_goal('one call in flight, 64 connections', one, NATIVE, BASELINE, 4),
        ratio_goal('the same, against the floor', one, NATIVE, 'floor', 0.75),
        ratio_goal('16 calls in flight', many, NATIVE, BASELINE, eager),
        ratio_goal('the same, each call sent on its own', known.get('calls-16-single'), NATIVE, BASELINE, None),
        *event_goals(known.get('events-1000')),
        ratio_goal('the same, 100 in a burst', known.get('events-1000x100'), NATIVE, BASELINE, 15),
        ratio_goal('realm.publish() to 1,000, 100 in a burst', burst, NATIVE, BASELINE, 30),
        ratio_goal('sessions opened, requests alike', known.get('open'), NATIVE, BASELINE, 5),
        ratio_goal('sessions opened, each with its cookie', known.get('open-cookies'), NATIVE, BASELINE, 5),
        ratio_goal('sessions opened, no two requests alike', known.get('open-unlike'), NATIVE, BASELINE, 5),
        ratio_goal('the aiohttp adapter, 16 in flight', many, 'fast-aiohttp', BASELINE, 3),
        *(
            ratio_goal(f'{library}, {name} in flight', scenario, f'fast-{library}', f'echo-{library}', 0.9)
            for name, scenario in (('one', one), ('16', many))
            for library in ('uvicorn', 'websockets')
        ),
        *memory_goals(known.get('memory')),
        fairness_goal(known.get('polite-alone'), known.get('polite-63')),
        route_goal(known.get('routes')),
    ]
    return [goal for goal in goals if goal is not None]
