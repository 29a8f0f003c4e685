"""The two packages under comparison, so that everything else here can be written once for both.

`ORACLE` is serverwamp 2.0.0 from PyPI, `SUBJECT` is the package that has to behave like it. The subject can be
replaced by the oracle itself (environment variable COMPAT_SUBJECT=serverwamp): whatever differs then is the
harness and not the subject.
"""

import importlib
import os
from dataclasses import dataclass
from types import ModuleType

ORACLE_NAME = 'serverwamp'
SUBJECT_NAME = os.environ.get('COMPAT_SUBJECT', 'serverwamp_fast')


@dataclass(frozen=True)
class Package:
    """One of the packages, by its top-level name; submodules are reached as attributes."""

    name: str

    @property
    def root(self) -> ModuleType:
        return importlib.import_module(self.name)

    def __getattr__(self, submodule: str) -> ModuleType:
        return importlib.import_module(f'{self.name}.{submodule}')

    @property
    def is_oracle(self) -> bool:
        return self.name == ORACLE_NAME

    def async_support(self, name: str) -> type:
        """The async support class called `name`: asyncio, anyio or trio."""
        module = importlib.import_module(f'{self.name}.adapters.{name}')
        return getattr(module, f'{name.capitalize()}AsyncSupport')


ORACLE = Package(ORACLE_NAME)
SUBJECT = Package(SUBJECT_NAME)
SUBJECT_IS_ORACLE = SUBJECT_NAME == ORACLE_NAME
