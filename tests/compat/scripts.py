"""All scripts of messages, from the modules that hold them."""

from compat import scripts_calls, scripts_faults, scripts_sessions, variants
from compat.steps import SCRIPTS

__all__ = ['SCRIPTS', 'scripts_calls', 'scripts_faults', 'scripts_sessions', 'variants']
