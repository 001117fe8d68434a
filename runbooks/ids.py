"""Names for things that happen: sortable by time, safe in a URL, short enough to read out."""

import secrets
import time

#: Crockford's alphabet: no i, l, o or u, so that nothing is read wrongly. It sorts as its values do.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26


def new_id() -> str:
    """A new ULID in lower case: 48 bits of milliseconds, then 80 random bits, in 26 characters.

    Ids of different milliseconds sort by time. https://github.com/ulid/spec
    """
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
