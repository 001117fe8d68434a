"""gzip in pieces: a small file may unpack to a huge one."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

#: For zlib: gzip's own header and end.
GZIP = zlib.MAX_WBITS | 16


def unpacked(member: Any, data: bytes, most: int) -> Iterator[bytes]:
    """What that data unpacks to, at most so many bytes at once. Raises zlib.error."""
    while True:
        out = member.decompress(data, most)
        if out:
            yield out
        data = member.unconsumed_tail
        if member.eof or (not data and len(out) < most):
            return
