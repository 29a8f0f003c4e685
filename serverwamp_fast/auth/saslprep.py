"""SASLprep: one form for passwords that look the same (RFC 4013)."""

from __future__ import annotations

import stringprep
import unicodedata

PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def saslprep(text: str) -> str:
    """Return the text as a stored string in the sense of RFC 3454. Raises ValueError for what is prohibited."""
    mapped = ''.join(
        ' ' if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    # The profile is bound to Unicode 3.2, like the tables.
    prepared = unicodedata.ucd_3_2_0.normalize('NFKC', mapped)
    for character in prepared:
        if any(is_prohibited(character) for is_prohibited in PROHIBITED):
            raise ValueError(f'The character {character!r} is not allowed here (RFC 4013, 2.3).')
    if any(map(stringprep.in_table_d1, prepared)):
        # Text that runs to the left (RFC 3454, 6).
        if any(map(stringprep.in_table_d2, prepared)):
            raise ValueError('Letters that run to the left stand beside others that run to the right (RFC 3454, 6).')
        if not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])):
            raise ValueError('Text that runs to the left has to begin and end with such letters (RFC 3454, 6).')
    return prepared
