"""Says what to do where the extension modules are missing; the package imports it before all else."""

import sys
from pathlib import Path

try:
    from ._core.dialogue.dispatch import receive as receive
except ModuleNotFoundError as error:
    if not (error.name or '').startswith(f'{__package__}._core.'):
        raise
    version = '{}.{}'.format(*sys.version_info)
    # A checkout, which Python finds before the installed package when it is started there.
    raise ImportError(
        f'The extension modules of {__package__} are not built for Python {version} in {Path(__file__).parent}: '
        'run ci/setup-venv in that checkout and use its .venv/bin/python, or install the '
        'package and start Python in another folder.'
    ) from None
