"""Images of 16 bits a channel are read at their depth, or refused: never at 8 bits in silence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from dslc.language.diagnostics import DataError
from dslc.runtime.data.examples import Reading
from dslc.runtime.data.pixels import read_pixels

Image = pytest.importorskip("PIL.Image")
PNG_COLORS = {1: 0, 2: 4, 3: 2, 4: 6}


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(pixels: np.ndarray, *more: bytes, filtered: bool = False) -> bytes:
    """A PNG of 16 bits, written as its specification says; `filtered`: rows hold differences (filter `Sub`)."""
    h, w, channels = pixels.shape
    rows = np.frombuffer(pixels.astype(">u2").tobytes(), np.uint8).reshape(h, w, 2 * channels)
    if filtered:
        rows = np.concatenate([rows[:, :1], rows[:, 1:] - rows[:, :-1]], axis=1)
    body = b"".join(bytes([filtered]) + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", w, h, 16, PNG_COLORS[channels], 0, 0, 0)
    parts = [chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(body)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(pixels: np.ndarray, order: str, packed: bool = False) -> bytes:
    """A TIFF of 16 bits with one strip, as its specification says; `packed`: by Deflate."""
    h, w, channels = pixels.shape
    body = pixels.astype(f"{order}u2").tobytes()
    body = zlib.compress(body) if packed else body
    photometric, compression = 2 if channels > 2 else 1, 8 if packed else 1
    tags = [(256, 3, w), (257, 3, h), (259, 3, compression), (262, 3, photometric), (277, 3, channels), (278, 3, h)]
    tags += [(279, 4, len(body)), (284, 3, 1)]
    begin = 8 + 2 + 12 * (len(tags) + 2) + 4
    entries = {258: struct.pack(f"{order}HHII", 258, 3, channels, begin)}
    entries[273] = struct.pack(f"{order}HHII", 273, 4, 1, begin + 2 * channels)
    for tag, kind, value in tags:
        number = struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
        entries[tag] = struct.pack(f"{order}HHI", tag, kind, 1) + number
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    table = struct.pack(f"{order}H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + b"\0" * 4
    return head + table + struct.pack(f"{order}{channels}H", *[16] * channels) + body


@pytest.fixture
def pixels(rng: np.random.Generator) -> np.ndarray:
    """A color of 16 bits and alpha: (5, 4, 4)."""
    return rng.integers(0, 65536, (5, 4, 4), np.uint16)


def read(tmp_path: Path, data: bytes, name: str = "a.png", **how: object) -> np.ndarray:
    (tmp_path / name).write_bytes(data)
    return read_pixels(tmp_path / name, Reading(**how))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_png(channels: int, filtered: bool, tmp_path: Path, pixels: np.ndarray) -> None:
    wanted = pixels[..., :channels]
    found = read(tmp_path, png(wanted, filtered=filtered))
    assert found.dtype == np.uint16 and np.array_equal(found, wanted)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff(order: str, packed: bool, tmp_path: Path, pixels: np.ndarray) -> None:
    found = read(tmp_path, tiff(pixels[..., :3], order, packed), "a.tif")
    assert found.dtype == np.uint16 and np.array_equal(found, pixels[..., :3])


@pytest.mark.parametrize("background", [(255, 255, 255), (10, 200, 90)])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha(channels: int, background: tuple[int, int, int], tmp_path: Path, pixels: np.ndarray) -> None:
    given = pixels[..., -channels:]
    found = read(tmp_path, png(given), background=background)
    alpha, under = given[..., -1:] / 65535, np.array(background) * 257
    wanted = alpha * given[..., :-1] + (1 - alpha) * under
    wanted = wanted[..., :1] if channels == 2 and len(set(background)) == 1 else wanted
    assert np.abs(found - wanted).max() <= 0.5


def test_a_transparent_color(tmp_path: Path, pixels: np.ndarray) -> None:
    color = pixels[..., :3]
    found = read(tmp_path, png(color, chunk(b"tRNS", color[2, 1].astype(">u2").tobytes())), background=(0, 0, 9))
    wanted = color.copy()
    wanted[2, 1] = (0, 0, 9 * 257)
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_like_eight_bits(orientation: int, tmp_path: Path, pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    eight = (pixels[..., :3] >> 8).astype(np.uint8)
    Image.fromarray(eight).save(tmp_path / "eight.png", exif=exif)
    wanted = read_pixels(tmp_path / "eight.png", Reading())[0]
    found = read(tmp_path, png(pixels[..., :3], chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))))
    assert np.array_equal(found >> 8, wanted)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_resized_like_eight_bits(fit: str, tmp_path: Path) -> None:
    """257 times an image of 8 bits is the same image."""
    ramp = np.arange(60, dtype=np.uint8).reshape(4, 5, 3) * 4
    Image.fromarray(ramp).save(tmp_path / "eight.png")
    how = {"resize": (6, 6), "fit": fit, "background": (1, 2, 3)}
    wanted = read_pixels(tmp_path / "eight.png", Reading(**how))[0]  # type: ignore[arg-type]
    found = read(tmp_path, png(ramp.astype(np.uint16) * 257), **how)
    assert found.shape == wanted.shape and np.abs(found / 257 - wanted).max() <= 1


@pytest.mark.parametrize("magic", ["P6", "P3"])
def test_what_pillow_shortens_is_refused(magic: str, tmp_path: Path) -> None:
    body = struct.pack(">3H", 1, 2, 999) if magic == "P6" else b"1 2 999"
    with pytest.raises(DataError, match="16 bits in a form that is not read: save it as PNG"):
        read(tmp_path, f"{magic} 1 1 1000 ".encode() + body, "a.ppm")


def test_sixteen_bits_of_jpeg2000_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.jp2")
    data = (tmp_path / "a.jp2").read_bytes()
    at = data.index(b"\xff\x51") + 40
    assert data[at] == 7 and read_pixels(tmp_path / "a.jp2", Reading())[0].dtype == np.uint8
    with pytest.raises(DataError, match="12 bits"):
        read(tmp_path, data[:at] + b"\x0b" + data[at + 1 :], "b.jp2")


def test_sixteen_bits_for_three_channels_are_few(tmp_path: Path) -> None:
    """A BMP of 5, 6 and 5 bits: no more than 8 in any channel."""
    masks = struct.pack("<3I", 0xF800, 0x07E0, 0x001F)
    header = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 16, 3, 4, 0, 0, 0, 0) + masks
    begin = 14 + len(header)
    data = b"BM" + struct.pack("<IHHI", begin + 4, 0, 0, begin) + header + struct.pack("<HH", 0xF800, 0)
    found = read(tmp_path, data, "a.bmp")
    assert found.dtype == np.uint8 and found.tolist() == [[[255, 0, 0]]]
