"""Images that are not kept in memory: decoded by processes of their own, whenever they are needed or into a cache."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc import DataError
from dslc.runtime.data import image_arrays
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.decoding import Decoders
from dslc.runtime.data.examples import DataNote, Dataset, Reading
from dslc.runtime.data.image_files import ImageFiles
from dslc.runtime.data.lazy import Rows

Image = pytest.importorskip("PIL.Image")
SPEC = """net Pictures {
  input image: 6x4x3
  flatten
  dense(2) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(0.01)
  batch 8
  epochs 2
}
"""
COUNT = 70


@pytest.fixture
def pictures(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two classes, some grey among those in color."""
    for i in range(COUNT):
        file = tmp_path / "pictures" / ("ab"[i % 2]) / f"{i:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (6, 4, 3), np.uint8)
        Image.fromarray(pixels[..., 0] if i % 10 == 3 else pixels).save(file)
    return tmp_path / "pictures"


@pytest.fixture
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_arrays, "KEPT", 0)


def read(path: Path, **how: object) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        return load_dataset(str(path), None, Reading(**how))  # type: ignore[arg-type]


def weights(data: Dataset) -> dict[str, np.ndarray]:
    model = dslc.loads(SPEC)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        model.fit(data.train.x, data.train.y, dev=data.dev and (data.dev.x, data.dev.y))
    return model.copy_weights()


def test_workers_give_the_same_pixels(pictures: Path) -> None:
    here, there = read(pictures, workers=0), read(pictures, workers=2)
    assert isinstance(there.train.x, np.ndarray)
    assert np.array_equal(here.train.x, there.train.x) and np.array_equal(here.train.y, there.train.y)


@pytest.mark.usefixtures("nothing_is_kept")
@pytest.mark.parametrize("workers", [0, 2])
def test_images_decoded_on_the_fly_train_as_those_in_memory(
    workers: int, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy = read(pictures, workers=workers).split(dslc_shares(), 0)
    monkeypatch.setattr(image_arrays, "KEPT", 1 << 30)
    whole = read(pictures, workers=0).split(dslc_shares(), 0)
    assert isinstance(lazy.train.x, Rows) and isinstance(whole.train.x, np.ndarray)
    assert np.array_equal(np.asarray(lazy.train.x), whole.train.x) and len(lazy.train.x) == 63
    ours, theirs = weights(lazy), weights(whole)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def dslc_shares() -> object:
    from dslc.runtime.data.splits import Shares

    return Shares()


@pytest.mark.usefixtures("nothing_is_kept")
def test_a_file_that_breaks_later_is_named_by_a_worker_too(pictures: Path) -> None:
    for workers in (0, 2):
        data = read(pictures, workers=workers)
        file = pictures / "b" / "011.png"
        before = file.read_bytes()
        file.write_bytes(before[:40])
        with pytest.raises(DataError, match=r"cannot read the image .*b.011\.png"):
            weights(data)
        file.write_bytes(before)
        assert weights(data)  # the same workers, or new ones, go on


def test_broken_files_are_named_and_skipped_in_workers(pictures: Path) -> None:
    (pictures / "a" / "000.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a.000\.png.*--skip-broken"):
        read(pictures, workers=2)
    assert len(read(pictures, workers=2, skip_broken=True).train.x) == COUNT - 1


def test_a_worker_that_dies_is_told(pictures: Path) -> None:
    decoders = Decoders(1, Reading())
    files = sorted(pictures.glob("*/*.png"))
    images = decoders.decoded(files, keep=True)
    next(images)
    decoders._processes[0].kill()
    with pytest.raises(DataError, match="a process that decodes images died"):
        list(images)


def test_workers_end_with_whoever_started_them(pictures: Path) -> None:
    """Also where that one is killed and can say nothing."""
    code = (
        "import sys, time; from pathlib import Path; from dslc.runtime.data.decoding import Decoders\n"
        "from dslc.runtime.data.examples import Reading\n"
        "d = Decoders(2, Reading()); files = sorted(Path(sys.argv[1]).glob('*/*.png'))\n"
        "list(d.decoded(files, True)); print(*(p.pid for p in d._processes), flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(pictures)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, workers))


def is_running(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


# ------------------------------------------------------------------------------------------------ cache


@pytest.fixture
def decoded_files(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is decoded in this process."""
    from dslc.runtime.data import decoding

    found: list[Path] = []
    read_pixels = decoding.read_pixels
    monkeypatch.setattr(decoding, "read_pixels", lambda file, how: (found.append(file), read_pixels(file, how))[1])
    return found


def test_a_cache_is_found_again_until_something_changes(
    pictures: Path, tmp_path: Path, decoded_files: list[Path]
) -> None:
    cache = tmp_path / "pixels.cache"
    whole = read(pictures)
    made = read(pictures, cache=str(cache))
    decoded_files.clear()
    found = read(pictures, cache=str(cache))
    assert not decoded_files and isinstance(found.train.x, np.memmap)
    for data in (made, found):
        assert np.array_equal(data.train.x, whole.train.x) and np.array_equal(data.train.y, whole.train.y)
    with pytest.warns(DataNote, match="grey images"):
        load_dataset(str(pictures), None, Reading(cache=str(cache)))

    os.utime(pictures / "a" / "000.png", (1, 1))
    with pytest.warns(DataNote, match="it is made anew"):
        load_dataset(str(pictures), None, Reading(cache=str(cache)))
    smaller = read(pictures, cache=str(cache), resize=(3, 2))
    assert smaller.train.x.shape[1:3] == (3, 2)
    (pictures / "a" / "000.png").unlink()
    assert len(read(pictures, cache=str(cache)).train.x) == COUNT - 1


def test_a_cache_knows_what_was_skipped(pictures: Path, tmp_path: Path) -> None:
    (pictures / "a" / "000.png").write_bytes(b"nothing")
    for _ in range(2):
        with pytest.warns(DataNote, match=r"1 images left out: .*a.000\.png"):
            found = load_dataset(str(pictures), None, Reading(cache=str(tmp_path / "c"), skip_broken=True))
        assert found.train.name(0).endswith("002.png") and len(found.train.x) == COUNT - 1


def test_no_other_file_is_overwritten(pictures: Path, tmp_path: Path) -> None:
    mine = tmp_path / "thesis.txt"
    mine.write_text("years of work, more than sixteen bytes of it")
    with pytest.raises(DataError, match="no images of ours, and is not overwritten"):
        read(pictures, cache=str(mine))
    assert mine.read_text().startswith("years")
    with pytest.raises(DataError, match="cannot write the cache"):
        read(pictures, cache="/proc/nowhere/cache")


def test_sixteen_bits_on_the_fly(tmp_path: Path, rng: np.random.Generator) -> None:
    deep, flat = rng.integers(0, 65536, (5, 4), np.uint16), rng.integers(0, 256, (5, 4), np.uint8)
    files = [tmp_path / "deep.png", tmp_path / "flat.png"]
    for file, pixels in zip(files, (deep, flat), strict=True):
        Image.fromarray(pixels).save(file)
    images = ImageFiles(files, (5, 4, 1), 2, Decoders(0, Reading()))
    assert np.array_equal(images[1][..., 0], flat.astype(np.uint16) * 257)
    assert np.array_equal(images[:][..., 0], [deep, flat.astype(np.uint16) * 257])
