"""The file of weights: a head of 64 bytes, then the numbers as the C reads them.

bytes 0 to 7     DSLC-W1 and a new line
8 to 11    0x01020304 in the byte order of the numbers
12 to 15   bytes of a number, 4 or 8
16 to 23   fingerprint of the layout: names, shapes, places
24 to 31   bytes of the numbers
32 to 63   zeros
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

from dslc.numerics import Array
from dslc.plan import Buffer

MAGIC = b"DSLC-W1\n"
HEAD_BYTES = 64
BYTE_ORDER = 0x01020304


def weights_file(image: Array, fingerprint: int) -> bytes:
    """The whole file, its numbers in little-endian order as on all targets."""
    numbers = image.astype(image.dtype.newbyteorder("<")).tobytes()
    head = struct.pack("<8sIIQQ", MAGIC, BYTE_ORDER, image.dtype.itemsize, fingerprint, len(numbers))
    return head.ljust(HEAD_BYTES, b"\0") + numbers


def fingerprint_of(buffers: Mapping[str, Buffer], itemsize: int) -> int:
    """64 bits that differ for other names, shapes, layouts or places: a file fits only the C that it was made with."""
    lines = [f"{itemsize}", *(f"{name} {b.layout!r} {b.offset}" for name, b in buffers.items())]
    return int.from_bytes(hashlib.sha256("\n".join(lines).encode()).digest()[:8], "little")
