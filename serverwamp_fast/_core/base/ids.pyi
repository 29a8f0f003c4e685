def global_id() -> int:
    """Return a random id of the global scope, an int in 1..2**53 (WAMP BP, "IDs")."""

def forget_block() -> None:
    """Drop the random bytes that are left, so that a forked child never repeats its parent's ids."""
