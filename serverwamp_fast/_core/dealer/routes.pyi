from re import Pattern
from typing import Any

class RouteTable:
    """Targets by URI: exact first, then prefixes and patterns in the order of their registration."""

    def add_exact(self, uri: str, target: Any) -> None:
        """Register `target` for one URI; a later registration replaces an earlier one."""

    def add_prefix(self, prefix: str, target: Any) -> None:
        """Register `target` for all URIs that start with `prefix`."""

    def add_pattern(self, pattern: Pattern[str], target: Any) -> None:
        """Register `target` for the URIs whose beginning `pattern` matches."""

    def resolve(self, uri: str) -> Any:
        """Return the target for the URI. Raises NoSuchRouteError if there is none."""

    def __len__(self) -> int: ...
