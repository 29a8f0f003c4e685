"""What the authentication methods compute: challenges, signatures, and whether they are right.

Pure functions and records. Who talks with the client is `serverwamp_fast.authentication`.
"""

from .cra import (
    CRAAuthRequirement,
    CRAResponse,
    derive_cra_key,
    mock_cra_requirement,
    verify_cra_response,
)
from .cryptosign import verify_cryptosign_signature
from .identity import AuthenticatedAs
from .scram import SCRAMCredential, SCRAMExchange, derive_scram_credential, mock_scram_credential

__all__ = (
    'AuthenticatedAs',
    'CRAAuthRequirement',
    'CRAResponse',
    'SCRAMCredential',
    'SCRAMExchange',
    'derive_cra_key',
    'derive_scram_credential',
    'mock_cra_requirement',
    'mock_scram_credential',
    'verify_cra_response',
    'verify_cryptosign_signature',
)
