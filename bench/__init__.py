"""The bench: this package beside serverwamp 2.0.0, other servers for scale, and a floor in C.

`serverwamp-fast bench` runs `bench.load`; in a checkout there are also `bench/micro`, for pytest-benchmark, and
`bench/instructions`, which counts instructions for CI. The package imports nothing from here: in a wheel these are
`serverwamp_fast.bench`, loaded by the command only.
"""
