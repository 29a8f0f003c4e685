"""The fast way to serve WAMP v2 from Python: the API of serverwamp 2.0 on a compiled core."""

# First, for what it says where the modules are not built.
from . import built as built  # isort: split

from .__about__ import VERSION as __version__
from .adapters.async_base import AsyncSupport as AsyncSupport
from .alias import install, uninstall
from .application import Application, Realm
from .auth import (
    AuthenticatedAs,
    CRAAuthRequirement,
    SCRAMCredential,
    derive_cra_key,
    derive_scram_credential,
)
from .connection import ConnectionClosed
from .events import SubscribeError, TopicRouteSet
from .limits import Limits
from .rpc import RPCError, RPCErrorResult, RPCProgressReport, RPCRequest, RPCResult, RPCRouteSet
from .session import WAMPSession as WAMPSession

__all__ = (
    'Application',
    'AuthenticatedAs',
    'CRAAuthRequirement',
    'ConnectionClosed',
    'Limits',
    'RPCError',
    'RPCErrorResult',
    'RPCProgressReport',
    'RPCRequest',
    'RPCResult',
    'RPCRouteSet',
    'Realm',
    'SCRAMCredential',
    'SubscribeError',
    'TopicRouteSet',
    '__version__',
    'derive_cra_key',
    'derive_scram_credential',
    'install',
    'uninstall',
)
