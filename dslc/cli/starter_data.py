"""The example data of `dslc new`: made up, always the same, and learned in seconds."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from dslc.cache import write_whole
from dslc.numerics import Array, np

ROWS, IMAGES, SIDE = 240, 60, 32
COLUMNS = ("length", "width", "height", "weight")
KINDS = ("small", "medium", "large")


def write_table(path: Path, classes: bool) -> None:
    """A CSV with four columns of measurements and the column `kind`, one of three classes that overlap a little, or
    `y`, a number with a little noise."""
    random = np.random.default_rng(1)
    label = random.integers(0, len(KINDS), ROWS)
    scale = 1 + 0.5 * label[:, None] + random.normal(0, 0.15, (ROWS, len(COLUMNS)))
    x = np.round(scale * np.array([12.0, 5.0, 3.0, 80.0]), 2)
    y = np.round(0.002 * x[:, 0] * x[:, 3] + 0.1 * x[:, 1] ** 2 + random.normal(0, 0.1, ROWS), 3)
    target = [KINDS[i] for i in label] if classes else y.tolist()
    lines = [",".join((*COLUMNS, "kind" if classes else "y"))]
    lines += [",".join(map(str, (*row, last))) for row, last in zip(x.tolist(), target, strict=True)]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def write_images(folder: Path) -> None:
    """Color images as PNG in a folder a class: a filled `disc` and a `ring`, of any color and at any place."""
    random = np.random.default_rng(1)
    for kind in ("disc", "ring"):
        (folder / kind).mkdir(parents=True)
        for number in range(IMAGES):
            write_whole(folder / kind / f"{number:02}.png", _png(_image(kind, random)))


def _image(kind: str, random: np.random.Generator) -> Array:
    """(32, 32, 3) bytes."""
    row, column, radius = random.uniform(11, 21), random.uniform(11, 21), random.uniform(6, 10)
    at = np.arange(SIDE)
    distance = np.hypot(at[:, None] - row, at - column)
    inside = distance < radius if kind == "disc" else np.abs(distance - radius + 1.5) < 1.5
    ground, color = random.integers(0, 90, 3), random.integers(140, 256, 3)
    return np.where(inside[..., None], color, ground).astype(np.uint8)


def _png(image: Array) -> bytes:
    """An image (rows, columns, 3) as PNG (RFC 2083): each row behind a byte 0, which says that it is not filtered."""
    rows, columns, _ = image.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    pixels = np.hstack([np.zeros((rows, 1), np.uint8), image.reshape(rows, -1)]).tobytes()
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
