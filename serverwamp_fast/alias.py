"""Makes this package answer to the name `serverwamp`, for programs that import that."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType

ALIAS = 'serverwamp'
PACKAGE = __package__ or 'serverwamp_fast'


class AliasFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `serverwamp` and its submodules as the very module objects of this package."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != ALIAS and not fullname.startswith(f'{ALIAS}.'):
            return None
        if importlib.util.find_spec(_real_name(fullname)) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(_real_name(spec.name))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # It has been run under its own name; the import system has just given it the alias's spec.
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


def _real_name(name: str) -> str:
    return PACKAGE + name[len(ALIAS):]


_finder = AliasFinder()


def is_original(module: ModuleType) -> bool:
    """Whether a module of that name is serverwamp's own."""
    return not module.__name__.startswith(PACKAGE)


def install(force: bool = False) -> None:
    """Make `import serverwamp`, and every import from it, resolve to this package.

    Calling it again changes nothing. Raises RuntimeError if the original has been imported already, whose
    objects would then be about beside ours; `force` takes that into account.
    """
    loaded = [name for name in sys.modules if name == ALIAS or name.startswith(f'{ALIAS}.')]
    originals = [name for name in loaded if is_original(sys.modules[name])]
    if originals and not force:
        raise RuntimeError(
            'The original serverwamp has been imported already. Call serverwamp_fast.install() before anything '
            'imports serverwamp, or pass force=True.'
        )
    for name in originals:
        del sys.modules[name]
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    importlib.import_module(ALIAS)


def uninstall() -> None:
    """Undo install(): `serverwamp` is what is installed under that name again."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for name in list(sys.modules):
        if (name == ALIAS or name.startswith(f'{ALIAS}.')) and not is_original(sys.modules[name]):
            del sys.modules[name]
