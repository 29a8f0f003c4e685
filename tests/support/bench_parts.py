"""The modules of the bench, wherever it is: in a checkout that is not installed it has to be loaded first."""

from importlib import import_module

from serverwamp_fast.bench_command import load_bench

command = load_bench('command')
cores, results, runner, scenarios, servers, tools = (
    import_module(f'serverwamp_fast.bench.load.{name}')
    for name in ('cores', 'results', 'runner', 'scenarios', 'servers', 'tools')
)
figures, goals, html, machine, markdown, plots, svg = (
    import_module(f'serverwamp_fast.bench.report.{name}')
    for name in ('figures', 'goals', 'html', 'machine', 'markdown', 'plots', 'svg')
)
