"""Small files of every kind that is read, damaged at random."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from whole_files import KINDS

Rng = np.random.Generator
WORDS = (
    b"\0",
    b'"',
    b"\n",
    b"\r",
    b",",
    b";",
    b"#",
    b"\xff",
    b"sep=;\n",
    b"\xef\xbb\xbf",
    b"-1",
    b"1e999",
    b"{",
    b"\\",
)
NUMBERS = (0, 1, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)


@dataclass(frozen=True)
class Damaged:
    """A damaged file, and what was done to it."""

    kind: str
    path: Path
    how: str

    def open(self) -> object:
        """Reads it as the command line would."""
        return KINDS[self.kind].open(self.path)


def damaged(number: int, kinds: list[str], folder: Path) -> Damaged:
    """The file of this number, written below a folder."""
    rng = np.random.default_rng(number)
    name = kinds[number % len(kinds)]
    kind = KINDS[name]
    place = folder / name
    for other, content in kind.beside().items():
        (place / other).parent.mkdir(parents=True, exist_ok=True)
        (place / other).write_bytes(content)
    done: list[str] = []

    def change(data: bytes) -> bytes:
        for _ in range(int(rng.integers(0, 4))):
            data = _changed(data, rng, done)
        return data

    inside = kind.inside is not None and rng.random() < 0.7
    data = kind.inside(kind.whole(), change) if inside and kind.inside else change(kind.whole())
    path = place / kind.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return Damaged(name, path, ("inside " if inside else "") + ", ".join(done))


def _changed(data: bytes, rng: Rng, done: list[str]) -> bytes:
    """With one change somewhere, more often near the beginning, where headers stand."""
    end = len(data) if rng.random() < 0.5 else min(len(data), 128)
    at = int(rng.integers(0, end + 1))
    way = int(rng.integers(0, 8))
    if way == 0:
        done.append(f"cut at {at}")
        return data[:at]
    if way == 1:
        many = int(rng.integers(1, 9))
        done.append(f"{many} bytes left out at {at}")
        return data[:at] + data[at + many :]
    if way == 2:
        word = WORDS[rng.integers(len(WORDS))]
        done.append(f"{word!r} put in at {at}")
        return data[:at] + word + data[at:]
    if way == 3:
        done.append(f"{end - at} bytes twice at {at}")
        return data[:at] + data[at:end] + data[at:]
    if way == 4:
        number, size = NUMBERS[rng.integers(len(NUMBERS))], int(rng.choice([1, 2, 4, 8]))
        packed = (number % 256**size).to_bytes(size, str(rng.choice(["little", "big"])))  # type: ignore[arg-type]
        done.append(f"{packed.hex()} written at {at}")
        return data[:at] + packed + data[at + size :]
    if way == 5 and b"0" <= data[at : at + 1] <= b"9":
        done.append(f"a long number at {at}")
        return data[:at] + str(rng.choice([10**12, -1, 10**30])).encode() + data[at + 1 :]
    flipped = bytes([data[at] ^ (1 << int(rng.integers(8)))]) if at < len(data) else b"\0"
    done.append(f"{flipped.hex()} written at {at}")
    return data[:at] + flipped + data[at + 1 :]
