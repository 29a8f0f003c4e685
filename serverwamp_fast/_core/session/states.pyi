STATES: dict[str, int]
"""The states of a session by name."""

ACTIONS: dict[str, int]
"""What can be done with a message, by name."""

def action(state: int, code: int) -> int:
    """Return the action for a message code in a state (WAMP BP, "Sessions")."""
