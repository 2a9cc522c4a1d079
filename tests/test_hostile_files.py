"""Files that are broken, lie about their size, or are no files: one plain error with the place, no other exception, no
memory taken, nothing written. tests/fuzz_files.py tries many more by chance."""

from __future__ import annotations

import gzip
import io
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import dslc.cli.main
from dslc.language.diagnostics import DataError
from dslc.runtime.data import files, sizes
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.training.weights import read_arrays, read_schema

polars = pytest.importorskip("polars")
Image = pytest.importorskip("PIL.Image")
ROWS = b"a,b,t\n1,2,x\n3,4,y\n"
HERE = Path(__file__).parent


def png(width: int, height: int, body: bytes = b"\0" * 100) -> bytes:
    """A grey PNG that announces a size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def idx(*shape: int) -> bytes:
    """An IDX header, and ten numbers."""
    return struct.pack(f">BBBB{len(shape)}i", 0, 0, 8, len(shape), *shape) + bytes(10)


def npy(*shape: int) -> bytes:
    """The header of an .npy, and ten numbers."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(80)


def npz(**members: object) -> bytes:
    file = io.BytesIO()
    np.savez(file, **members)  # type: ignore[arg-type]
    return file.getvalue()


def packed_zeros(size: int) -> bytes:
    """A gz of so many zeros, as small as it gets."""
    piece = gzip.compress(b"0," * (1 << 19))
    return piece * (size >> 20)


def npz_of_zeros(size: int) -> bytes:
    """An .npz whose x has so many bytes, packed."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w") as member,
    ):
        member.write(npy(size // 8)[:-80])
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    return file.getvalue()


TABLES = {
    "empty.csv": (b"", "holds no rows"),
    "blank.csv": (b"\n\n \n", "holds no rows"),
    "header.csv": (b"a,b,t\n", "holds no rows"),
    "nul.csv": (b"a,b,t\n1,\0,x\n", "nul.csv:2 is no text"),
    "not_utf8.csv": (b"a,b,t\n1,\xff\xfe,x\n", "not_utf8.csv:2, column 'b': 'ÿþ' is no number"),
    "utf16_without_mark.csv": (ROWS.decode().encode("utf-16-le"), "csv:1 is no text"),
    "utf16_cut.csv": (ROWS.decode().encode("utf-16") + b"x", "is no text"),
    "pickle.csv": (pickle.dumps([1]), "is no text"),
    "excel.csv": (b"PK\x03\x04\x14\0\6\0", "is no text"),
    "long_line.csv": (b'a,b,t\n1,2,"' + b"x" * 10_000_000, "more than 131,072 characters: is there a quote"),
    "long_header.csv": (b'a,b,"' + b"x" * 10_000_000, "long_header.csv:1: a cell has more than 131,072 characters"),
    "long_class.csv": (ROWS + b"5,6," + b"x" * 2000, "long_class.csv:4, column 't': a class of 2,000 characters"),
    "twice.csv": (b"a,a,t\n1,2,x\n", "twice.csv:1: 2 columns are called 'a'"),
    "short_row.csv": (ROWS + b"1,2\n", "short_row.csv:4 has 2 cells, and the first row 3"),
    "long_row.csv": (ROWS + b"1,2,x,4\n", "long_row.csv:4 has 4 cells, and the first row 3"),
    "open_quote.csv": (ROWS + b'1,2,"x\n1,2,y\n', "open_quote.csv:4: a quote is not closed"),
    "behind_quote.csv": (ROWS + b'1,2,"x"y\n', "behind_quote.csv:4: .*text stands behind it"),
    "decimal_comma.csv": (b'a,b,t\n"1,5",2,x\n', "csv:2, column 'a': '1,5' has a decimal comma: write 1.5"),
    "space_in_number.csv": ("a,b,t\n1\u00a0000,2,x\n".encode(), "has a separator of thousands: write 1000"),
    "huge_number.csv": (b"a,b,t\n1e999,2,x\n", "csv:2, column 'a': 1e999 is no finite number"),
    "cut.csv.gz": (gzip.compress(ROWS * 99)[:40], "is compressed and cut short or damaged"),
    "more_behind.csv.gz": (gzip.compress(ROWS) + b"junk", "is compressed and cut short or damaged"),
    "empty.parquet": (b"", "cannot read"),
    "text.parquet": (ROWS, "cannot read .*text.parquet: .*PAR1"),
    "empty.arrow": (b"", "cannot read"),
    "text.arrow": (ROWS, "cannot read .*text.arrow"),
}
OTHERS = {
    "empty.npz": (b"", "is no .npz"),
    "text.npz": (ROWS, "is no .npz"),
    "pickle.npz": (pickle.dumps({"x": [1]}), "is no .npz"),
    "objects.npz": (npz(x=np.array([{}, 1], object), y=np.zeros(2)), "npz: x holds Python objects, which are not"),
    "negative/x.npy": (npy(-1, 3), r"announces the shape \[-1, 3\]: no axis is shorter than 0"),
    "huge/x.npy": (npy(10**12), r"announces the shape \[1000000000000\], 8,000,000,000,000 bytes, and holds 80"),
    "overflow/x.npy": (npy(2**62, 2**62), "announces the shape"),
    "broken/x.npy": (npy(3).replace(b"(3,)", b"((((", 1), "is no array of NumPy"),
    "huge/train-images-idx3-ubyte": (idx(60000, 28, 28), "announces .60000, 28, 28. and is cut short"),
    "negative/train-images-idx3-ubyte": (idx(-1, 28, 28), "no axis is shorter than 0"),
    "huge/train-images-idx3-ubyte.gz": (gzip.compress(idx(60000, 99, 99)), "announces .* and is cut short"),
    "magic/train-images-idx3-ubyte": (ROWS, "is no IDX file"),
    "empty/train-images-idx3-ubyte": (b"", "is no IDX file"),
    "bomb/a/1.png": (png(100_000, 100_000), "1.png: it has more than 89,478,485 pixels"),
    "cut/a/1.png": (png(900, 900), "1.png: .*--skip-broken goes on without it"),
    "none/a/1.png": (png(0, 0), "1.png: it is no image"),
    "empty/a/1.png": (b"", "1.png: it is no image"),
    "text/a/1.png": (ROWS, "1.png: it is no image"),
    "missing.list.csv": (b"file,label\na/1.png,x\n", "missing.list.csv:2, column 'file': there is no file"),
    "folder.list.csv": (b"file,label\n.png,x\n", "folder.list.csv:2, column 'file': there is no file"),
    "plain.npy": (npy(10), "is neither an .npz"),
}


def path_of(tmp_path: Path, name: str, data: bytes) -> Path:
    """Writes a file; the data that it belongs to: the first part of its name."""
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return tmp_path / Path(name).parts[0]


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, words = TABLES[name]
    path = path_of(tmp_path, name, data)
    with pytest.raises(DataError, match=words):
        load_dataset(str(path), "t")
    if data in (b"", ROWS):
        assert dslc.cli.main.run(["data", str(path)]) == 1
        assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("name", OTHERS)
def test_arrays_and_images(name: str, tmp_path: Path) -> None:
    data, words = OTHERS[name]
    path = path_of(tmp_path, name, data)
    if path.is_dir():
        np.save(path / "y.npy", np.zeros(3)) if name.endswith("npy") else None
        (path / "train-labels-idx1-ubyte").write_bytes(idx(10)) if "idx" in name else None
    with pytest.raises(DataError, match=words):
        load_dataset(str(path))


@pytest.mark.parametrize("data", [b"", b"\xff" * 8 + b"{}", struct.pack("<Q", 2) + b"{}x", b"{}"])
def test_weights(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(data)
    for read in (read_schema, read_arrays):
        with pytest.raises(DataError, match=r"cannot read .*/w: "):
            read(tmp_path / "w")


def test_stray_quotes_belong_to_their_cells(tmp_path: Path) -> None:
    """As Python's own reader and spreadsheets take them; between two of them stands no cell."""
    (tmp_path / "t.csv").write_text('a,t\n1,5" pipe\n2,y\n3,7" pipe\n4,"a ""b"", c"\n')
    assert load_dataset(str(tmp_path / "t.csv"), "t").train.y.tolist() == ['5" pipe', "y", '7" pipe', 'a "b", c']


# ------------------------------------------------------------------------------------------------ memory

LIMIT = 3 << 29
"""Of addresses; polars takes a gigabyte of them for its threads."""
READ = """
import resource, sys
from dslc.language.diagnostics import DataError
from dslc.runtime.data.datasets import load_dataset
import polars, PIL.Image
for path in sys.argv[1:]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        load_dataset(path, "t" if "t." in path else None)
        print("read")
    except DataError as error:
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10, error)
"""


@pytest.mark.slow
def test_bombs_take_no_memory(tmp_path: Path) -> None:
    """Small files that unpack to more than a process may have, 1.6 GB: each is refused, and no memory taken for it."""
    constant = np.zeros(18_000_000)
    polars.DataFrame(dict.fromkeys("abcdefghijkt", constant)).write_parquet(tmp_path / "t.parquet")
    bombs = {"t.csv.gz": packed_zeros(450 << 20), "d.npz": npz_of_zeros(1700 << 20), "f/a/1.png": png(100_000, 100_000)}
    paths = [path_of(tmp_path, name, data) for name, data in bombs.items()] + [tmp_path / "t.parquet"]
    assert all(file.stat().st_size < 8 << 20 for file in tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", READ, *map(str, paths)],
        capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = dict(zip(bombs | {"t.parquet": b""}, done.stdout.splitlines(), strict=True))
    assert all(int(line.split()[0]) < 100 for line in told.values()), told  # MB
    assert "of text, too much" in told["t.csv.gz"] and "more than" in told["f/a/1.png"]
    assert "more than the memory" in told["d.npz"] and "more than the memory" in told["t.parquet"]


def test_a_container_has_less_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "none").write_text("max\n")
    monkeypatch.setattr(sizes, "CONTAINER", (str(tmp_path / "none"), str(tmp_path / "memory.max")))
    assert sizes.memory() == 1000


# ------------------------------------------------------------------------------------------------ by chance


def test_what_a_packed_file_may_hold() -> None:
    """Deflate packs 1,032 to 1 at most (its documentation), and the head of a file takes some bytes more."""
    zeros = np.zeros(10**7, np.uint8).tobytes()
    packed = len(gzip.compress(zeros, 9))
    assert 900 < len(zeros) / packed < files.DEFLATE
    assert files.may_hold(packed, len(zeros)) and not files.may_hold(packed, 3 * len(zeros))


def test_damaged_files_are_read_or_refused() -> None:
    """Ten files of every kind, always the same ones, in a process of its own."""
    call = [sys.executable, str(HERE / "fuzz_files.py"), "--number", "1", "--count", "320"]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 wrong" in done.stdout


@pytest.mark.parametrize("name", ["csv", "semicolons", "npz", "npy folder", "idx", "png", "jpeg", "weights", "arrow"])
@pytest.mark.filterwarnings("ignore")
def test_cut_anywhere(name: str, tmp_path: Path) -> None:
    """A file of which some last bytes are missing, at any byte of its header and many of the rest."""
    sys.path.insert(0, str(HERE))
    from whole_files import KINDS

    kind = KINDS[name]
    whole, path = kind.whole(), tmp_path / kind.name
    path.parent.mkdir(exist_ok=True)
    for other, content in kind.beside().items():
        (tmp_path / other).write_bytes(content)
    refused = 0
    for size in [*range(min(len(whole), 140)), *range(140, len(whole), 23)]:
        path.write_bytes(whole[:size])
        try:
            kind.open(path)
        except DataError as error:
            refused += str(tmp_path) in str(error)
    assert refused > 10
