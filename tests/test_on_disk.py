"""What stays on the disk: folders of .npy and Parquet files through the commands, and the memory that they take."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import dslc
import dslc.cli.main
from dslc import DataError
from dslc.runtime.data import lazy, parquet
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.examples import DataNote, Reading
from dslc.runtime.data.lazy import Rows

SPEC = """net Disk {
  input x: 4
  standardize
  dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(0.05)
  batch 32
  epochs 3
}
"""


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy, "ON_DISK", 100)
    monkeypatch.setattr(parquet, "ROWS", 50)


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    y = rng.integers(0, 3, 400)
    return rng.standard_normal((400, 4)) + 3 * np.eye(3, 4)[y], y


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "disk.net").write_text(SPEC)
    return tmp_path / "disk.net"


def parquet_file(path: Path, x: np.ndarray, y: np.ndarray, **more: object) -> Path:
    polars = pytest.importorskip("polars")
    columns = {f"f{i}": column for i, column in enumerate(x.T)}
    polars.DataFrame({**columns, "kind": y, **more}).write_parquet(path, row_group_size=70)
    return path


def run(*words: object) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        return dslc.cli.main.run([str(word) for word in words])


@pytest.mark.parametrize("form", ["npy", "parquet"])
def test_commands_go_through_what_stays_on_the_disk(
    form: str, data: tuple[np.ndarray, np.ndarray], spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = data
    if form == "npy":
        path, more = tmp_path / "folder", []
        path.mkdir()
        np.save(path / "x.npy", x)
        np.save(path / "y.npy", y)
    else:
        path, more = parquet_file(tmp_path / "d.parquet", x, y), ["--target", "kind"]
    assert isinstance(load_dataset(str(path), "kind").with_dev(0).train.x, Rows)
    assert run("train", spec, "--data", path, *more, "--run", tmp_path / "run", "--progress", "none") == 0
    assert run("evaluate", tmp_path / "run", "--data", path) == 0
    accuracy = float(capsys.readouterr().out.partition("\naccuracy ")[2].split()[0])
    assert accuracy > 0.8
    assert run("predict", tmp_path / "run", "--data", path, "-o", tmp_path / "p.npy") == 0
    model = dslc.load(spec)
    model.load_weights(tmp_path / "run" / "weights.safetensors")
    assert np.array_equal(np.load(tmp_path / "p.npy"), model.predict(x.astype(np.float32)))


def test_parquet_rows_in_any_order(data: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    x, y = data
    found = load_dataset(str(parquet_file(tmp_path / "d.parquet", x, y)), "kind").train
    at = np.random.default_rng(1).permutation(400)[:150]
    assert np.array_equal(found.x[at], x[at]) and np.array_equal(found.x[-1], x[-1])
    assert np.array_equal(np.asarray(found.x), x) and np.array_equal(found.y, y)


def test_offsets_of_a_parquet_file(data: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    """Unix seconds are standardized in double precision there too."""
    x, y = data[0] + [1.7e9, 0, 0, 0], data[1]
    found = load_dataset(str(parquet_file(tmp_path / "d.parquet", x, y)), "kind").train
    model, reference = dslc.loads(SPEC), dslc.loads(SPEC)
    model.fit(found.x, found.y)
    reference.fit(data[0], y)
    assert model.schema.offsets["x"][0] == pytest.approx(1.7e9, rel=1e-6)
    std = [np.array(m.parameters["standardize1.std"]) for m in (model, reference)]
    assert np.allclose(*std, rtol=1e-5)


def test_a_bad_number_is_named_by_its_place_in_the_file(data: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    x, y = data
    x[321, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    split = load_dataset(str(tmp_path)).with_dev(0)
    part = split.train if 321 in split.train.places else split.dev
    assert part is not None
    for use in (dslc.loads(SPEC).fit, dslc.loads(SPEC).evaluate):
        with pytest.raises(DataError, match=r"input x is not finite .* in example 321 "):
            use(part.x, part.y)


@pytest.mark.parametrize(("cell", "words"), [(None, "is missing"), (np.inf, "inf is no finite number")])
def test_a_bad_cell_is_named_by_its_row(
    cell: float | None, words: str, data: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    x, y = data
    more = [0.0] * 123 + [cell] + [1.0] * 276
    found = load_dataset(str(parquet_file(tmp_path / "d.parquet", x[:, :3], y, late=more)), "kind").train
    model = dslc.loads(SPEC)
    with pytest.raises(DataError, match=rf"d\.parquet, row 124, column 'late': {words}"):
        model.fit(found.x, found.y)


def test_words_are_read_whole(data: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    x, y = data
    path = parquet_file(tmp_path / "d.parquet", x, y, word=["1.5"] * 400)
    assert load_dataset(str(path), "kind").train.x.shape == (400, 5)
    assert isinstance(load_dataset(str(path), "kind").train.x, np.ndarray)
    assert load_dataset(str(path), None, Reading(labelled=False, columns=("f0", "f1"))).train.x.shape == (400, 2)


MEMORY = """
import sys, numpy as np, dslc, warnings
from dslc.runtime.data import lazy
warnings.simplefilter("ignore")
def peak():
    return int([l for l in open("/proc/self/status") if l.startswith("VmHWM")][0].split()[1]) / 1024
model = dslc.loads('''net M { input image: 32x32x3
 flatten
 dense(2) -> softmax
}
train { loss cross_entropy
 optimizer sgd(0.01)
 batch 256
}''')
small = np.zeros((512, 32, 32, 3), np.uint8)
model.fit(small, np.arange(512) % 2, epochs=1); model.evaluate(small, np.arange(512) % 2)
before = peak()
kind, count = sys.argv[1], 65536
y = np.arange(count) % 2
if kind == "map":
    lazy.ON_DISK, lazy.WINDOW = 64 << 20, 16 << 20
    from dslc.runtime.training import batches; batches.WINDOW = 16 << 20
    x = np.memmap(sys.argv[2], np.uint8, "w+", shape=(count, 32, 32, 3))
    x = np.memmap(sys.argv[2], np.uint8, "r", shape=(count, 32, 32, 3))
    model.fit(x, y, epochs=1); model.evaluate(x, y); model.predict(x)
elif kind == "stream":
    def blocks():
        for first in range(0, count, 1024):
            yield np.zeros((1024, 32, 32, 3), np.uint8), y[first:first + 1024]
    stream = dslc.Stream(blocks, shuffle=4096)
    model.fit(stream, epochs=1); model.evaluate(stream); model.predict(stream)
else:
    x = np.ones((count, 32, 32, 3), np.uint8)
    model.fit(x, y, epochs=1); model.evaluate(x, y); model.predict(x)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "most"), [("map", 130), ("stream", 130), ("memory", 1.3 * 192)])
def test_memory_is_constant(kind: str, most: float, tmp_path: Path) -> None:
    """192 MiB of bytes; as floats they were 768 MiB. Arrays in memory take 1.3 times their size at most."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    found = subprocess.run(
        [sys.executable, "-c", MEMORY, kind, str(tmp_path / "x")], check=True, capture_output=True, text=True
    )
    assert float(found.stdout) < most


def test_sample_weights_of_a_parquet_file(data: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    """Their column is no feature, and the numbers are those of the file in memory."""
    x, y, *_ = data
    counts = np.arange(len(y)) % 4
    path = parquet_file(tmp_path / "d.parquet", x, y, often=counts)
    found = load_dataset(str(path), how=Reading(target="kind", weight="often"))
    assert found.features is not None and "often" not in found.features
    assert found.train.weights is not None and (found.train.weights == counts).all()
    assert isinstance(found.train.x, parquet.ParquetRows)
    with pytest.raises(DataError, match=r"no column 'gewicht' in .*d.parquet for --weight"):
        load_dataset(str(path), how=Reading(target="kind", weight="gewicht"))
