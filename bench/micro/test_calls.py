"""Route a URI, and bind a CALL's arguments to a procedure's signature."""

import pytest
import serverwamp.routing
import serverwamp.rpc

import serverwamp_fast.routing
from serverwamp_fast._core.dealer.plans import CallPlan


def build_router(package, kind: str, count: int):
    """A router with `count` routes."""
    router = package.routing.URIsRouter()
    add = {'exact': router.add_route, 'prefix': router.add_prefix_route, 'pattern': router.add_regex_route}[kind]
    for number in range(count):
        add(f'com.example.service{number:05}.', len)
    return router


def find_last(kind: str, count: int) -> str:
    """A URI that the last of the routes is for."""
    return f'com.example.service{count - 1:05}.' + ('' if kind == 'exact' else 'call')


@pytest.mark.parametrize(
    ('kind', 'count'), [('exact', 10), ('exact', 10000), ('prefix', 10), ('prefix', 10000), ('pattern', 10)]
)
class TestRoute:
    @pytest.fixture(autouse=True)
    def group(self, benchmark, kind):
        benchmark.group = f'route by {kind}'

    def test_fast(self, benchmark, kind, count):
        router = build_router(serverwamp_fast, kind, count)
        assert benchmark(router.resolve, find_last(kind, count)) is len

    def test_serverwamp(self, benchmark, kind, count):
        router = build_router(serverwamp, kind, count)
        assert benchmark(router.resolve, find_last(kind, count)) is len


async def plain(value):
    return value


async def annotated(number: int, name: str = 'x', *, flag: bool = False):
    return number


CALLS = [(plain, ('text',), {}, 'text'), (annotated, ('5', 'name'), {'flag': True}, 5)]


def run(coroutine):
    """What a coroutine returns that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError('It waits.')


@pytest.mark.parametrize(('procedure', 'args', 'kwargs', 'result'), CALLS, ids=['plain', 'annotated'])
class TestBind:
    """Bind and call. serverwamp does it in one function, which resolves the URI too."""

    @pytest.fixture(autouse=True)
    def group(self, benchmark, procedure):
        benchmark.group = (
            f'bind arguments and call, {procedure.__name__} (serverwamp: with the lookup of the URI, one step there)'
        )

    def test_fast(self, benchmark, procedure, args, kwargs, result):
        plan = CallPlan(procedure)
        assert benchmark(lambda: run(plan.call(None, None, args, kwargs, {}))) == result

    def test_serverwamp(self, benchmark, procedure, args, kwargs, result):
        router = serverwamp.rpc.RPCRouter()
        router.add_route('com.example.echo', procedure)
        request = serverwamp.rpc.RPCRequest(id=1, session=None, uri='com.example.echo', args=args, kwargs=kwargs)
        assert benchmark(lambda: run(anext(router.handle_rpc_call(request)))).args == (result,)
