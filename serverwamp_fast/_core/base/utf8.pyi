from typing import final

@final
class Utf8Validator:
    """Checks one text that arrives in pieces against UTF-8 (RFC 3629), without decoding it."""

    def feed(self, data: bytes) -> bool:
        """Add the next piece, in bytes.

        True while the text is UTF-8 or can become it; False from the first byte that makes it
        impossible, and then for good. Raises TypeError for anything but bytes.
        """

    @property
    def is_complete(self) -> bool:
        """Whether the text may end here: it is valid, and its last character is whole."""
