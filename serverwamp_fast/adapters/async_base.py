"""The place where serverwamp has what `serverwamp_fast.async_support` has."""

from ..async_support import AsyncSupport as AsyncSupport
from ..async_support import AsyncTaskGroup as AsyncTaskGroup
from ..async_support import CancellableManager as CancellableManager
from ..async_support import Event as Event
from ..async_support import TaskGroupManager as TaskGroupManager
from ..async_support import find_unsupported_features as find_unsupported_features
from ..async_support import runs_on_trio as runs_on_trio
