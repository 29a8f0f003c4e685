"""Random identifiers of the global scope (WAMP BP, "IDs"): session and publication ids.

Uniform over 1..2**53, from the operating system's generator. The system is asked for a block at a time,
because an event to many subscribers wants many ids and a system call costs more than the rest of an event.
"""

import os

from libc.string cimport memcpy

cdef enum:
    BLOCK = 2048

cdef unsigned char block[BLOCK]
cdef size_t block_left = 0


cdef unsigned long long next_global_id() except 0:
    """Return an integer drawn uniformly from 1..2**53."""
    global block_left
    cdef unsigned long long number
    if block_left == 0:
        fresh = os.urandom(BLOCK)
        memcpy(block, <const unsigned char *> fresh, BLOCK)
        block_left = BLOCK
    block_left -= 8
    memcpy(&number, block + block_left, 8)
    # 53 random bits are 0..2**53-1 with equal chances; the scope starts at 1.
    return (number & 0x1FFFFFFFFFFFFFULL) + 1


def global_id():
    """Return a random id of the global scope, an int in 1..2**53."""
    return next_global_id()


def forget_block():
    """Drop the random bytes that are left, so that a forked child never repeats its parent's ids."""
    global block_left
    block_left = 0


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=forget_block)
