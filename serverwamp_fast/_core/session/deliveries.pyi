from typing import Any, Self

from ..base.steps import Steps

class Deliveries:
    """The messages of one session that its connection is taking."""

    def __new__(cls, connection: Any) -> Self: ...

class Delivery(Steps):
    """One message that a connection takes: counts while the connection keeps the sender waiting."""

    def __new__(cls, deliveries: Deliveries, awaitable: Any) -> Self: ...

class PayloadDelivery(Steps):
    """One payload that a connection takes; counts in the same way, and its bytes too."""

class InTurn(Steps):
    """Awaits several awaitables, one after the other."""

    def __new__(cls, work: list[Any]) -> Self: ...
