"""The fast way to serve WAMP v2 from Python: the API of serverwamp 2.0 on a compiled core."""

from .__about__ import VERSION as __version__
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
from .rpc import RPCError, RPCErrorResult, RPCProgressReport, RPCRequest, RPCResult, RPCRouteSet

__all__ = (
    'Application',
    'AuthenticatedAs',
    'CRAAuthRequirement',
    'ConnectionClosed',
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
