"""What an authenticator says of a client that it has recognized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AuthenticatedAs:
    """Who a client is, and what WELCOME tells it of that; for authenticators that have more to say than an identity.

    - identity: what `session.identity` will be
    - auth_role, auth_provider: `authrole` and `authprovider` in WELCOME
    - auth_extra: `authextra` in WELCOME, a mapping of what the client may know
    - auth_id: `authid` in WELCOME, where it is not the one that the method implies
    """

    identity: Any
    auth_role: str | None = None
    auth_provider: str | None = None
    auth_extra: Mapping[str, Any] | None = None
    auth_id: str | None = None
