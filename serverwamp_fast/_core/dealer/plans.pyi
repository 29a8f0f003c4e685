from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

class Parameter:
    """One parameter of a procedure, reduced to what binding needs."""

    def __new__(cls, parameter: Any) -> Self: ...

class CallPlan:
    """A procedure's signature, read once; `procedure` is the callable itself."""

    def __init__(self, procedure: Callable[..., Any]) -> None: ...
    @property
    def procedure(self) -> Callable[..., Any]: ...
    @property
    def wants_request(self) -> bool:
        """Whether the procedure has a parameter named `request`."""

    def call(
        self,
        session: Any,
        request: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        factories: dict[str, Callable[[], Any]],
    ) -> Any:
        """Call the procedure with a CALL's arguments and return what it returns, an awaitable as a rule.

        `factories` are the default args by name. Raises InvalidArgumentError if an argument is missing or
        can't be converted to its annotation, and whatever the procedure or a factory raises.
        """
