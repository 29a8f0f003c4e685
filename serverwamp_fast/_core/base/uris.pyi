def check_uri(uri: str, strict: bool = False) -> bool:
    """Return whether `uri` is a URI: components that are not empty, with dots between them.

    Loose rules forbid whitespace and `#` in components; strict ones allow only a-z, 0-9 and `_`
    (WAMP BP, "URIs").
    """

def check_pattern(uri: str, strict: bool = False) -> bool:
    """Return whether `uri` is a URI whose components may be empty, as prefix and wildcard patterns are."""

def check_reserved(uri: str) -> bool:
    """Return whether the first component is `wamp`, which belongs to the protocol itself."""
