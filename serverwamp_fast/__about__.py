"""The version, where everything may read it."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version('serverwamp-fast')
except PackageNotFoundError:  # used from a source tree that is not installed
    VERSION = '0.0.0'
