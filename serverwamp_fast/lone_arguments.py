"""A single text in place of a sequence of values: `args='text'`, as the documentation of serverwamp has it.

It counts as one argument. The first time for each handler, a line in the log says so, because `args=('text')` without
its comma is a slip as a rule.
"""

import logging
import sys
from typing import Any

from .mistakes import name_function

logger = logging.getLogger(__name__)

PACKAGE = __name__.partition('.')[0]

# What has been warned of: handlers, or the code that sends. There are as many as the program has functions.
_warned: set[Any] = set()


def as_one_argument(value: Any, handler: Any = None) -> tuple[Any]:
    """Return the args that a lone str or bytes stands for; warn once for `handler`, or else for the calling code."""
    if handler is None:
        place, name = _find_caller()
    else:
        # Handlers that are objects need not be hashable.
        place = getattr(handler, '__code__', None) or id(handler)
        name = name_function(handler)
    if place not in _warned:
        _warned.add(place)
        logger.warning(
            'The args in %s are a lone %s: %.100r. It is taken for one argument. args is a sequence of values, so '
            'write a tuple with its comma: args=(value,).',
            name,
            type(value).__name__,
            value,
        )
    return (value,)


def _find_caller() -> tuple[Any, str]:
    """Return the code outside of this package that is being run, and its name."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get('__name__', '')):
        frame = frame.f_back
    code = frame.f_code
    return code, f'{frame.f_globals.get("__name__", "?")}.{code.co_qualname}'


def _is_ours(module: str) -> bool:
    return module == PACKAGE or module.startswith(f'{PACKAGE}.')
