"""The checksum of a weights file or checkpoint: SHA-256 of the whole file, header included.

It is one of the texts in the header, `"checksum": "sha256:..."`, and is computed with zeros in its own place. A file of
another program, or of an earlier version, has none; one damaged byte cannot make ours look like that, since the name of
the text and the beginning of its value both tell that there is one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from dslc.json_text import parsed
from dslc.language.diagnostics import DataError

KEY, MARK = "checksum", "sha256:"
UNSET = MARK + "0" * 64
"""The text under `KEY` as long as the checksum is not known."""


def write_sealed(file: BinaryIO, header: bytes, arrays: Iterable[bytes | memoryview]) -> None:
    """Writes a safetensors file: a header that holds `UNSET`, the arrays one after another, and then the checksum into
    the header."""
    digest = hashlib.sha256(header)
    file.write(header)
    for array in arrays:
        digest.update(array)
        file.write(array)
    file.seek(0)
    file.write(header.replace(_entry(UNSET), _entry(MARK + digest.hexdigest())))


def require_intact(path: Path) -> None:
    """Compares a safetensors file, whose header can be read, with its checksum if it has one.

    Raises:
        DataError: they differ.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(8)
        header = start + file.read(_header_size(start) - 8)
        about = parsed(header[8:]).get("__metadata__", {})
        if KEY not in about and not any(text.startswith(MARK) for text in about.values()):
            return
        stated = about.get(KEY, "")
        digest = hashlib.sha256(header.replace(_entry(stated), _entry(UNSET)))
        while piece := file.read(1 << 20):
            digest.update(piece)
    if stated != MARK + digest.hexdigest():
        raise DataError(f"{path} is damaged: what it holds does not match its checksum")


def _header_size(start: bytes) -> int:
    return 8 + int.from_bytes(start, "little")


def _entry(text: str) -> bytes:
    """As it stands in the header. A quote within another text is escaped there, so this is found once."""
    return f'"{KEY}":"{text}"'.encode()
