"""Pipes, broken links, folders and odd names where files should be: one plain error, no waiting, nothing written."""

from __future__ import annotations

import os
import stat
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dslc.cli.main
from dslc.cache import write_whole
from dslc.compiler import check_text
from dslc.language import parse
from dslc.language.diagnostics import DataError, SpecError
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.schema import Schema
from dslc.runtime.runs.folder import partition_of
from dslc.runtime.training.weights import read_arrays, read_schema, save_weights

polars = pytest.importorskip("polars")
pytest.importorskip("PIL.Image")
ROWS = b"a,b,t\n1,2,x\n3,4,y\n"
SMALL = "net N { input x: 2\n dense(2) -> softmax }"


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _broken_link(path: Path) -> None:
    path.symlink_to("/nowhere/at/all")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "d.npz", "f/x.npy", "f/train-images-idx3-ubyte", "f/a/1.png"])
@pytest.mark.parametrize(("make", "words"), [(_pipe, "is a pipe; a file"), (_broken_link, "is a link to /nowhere")])
def test_pipes_and_broken_links(name: str, make: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    """Opening a pipe would wait for ever."""
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    make(file)
    if name.endswith("npy"):
        np.save(tmp_path / "f/y.npy", np.zeros(3))
    with pytest.raises(DataError, match=words):
        load_dataset(str(tmp_path / Path(name).parts[0]), "t")


@pytest.mark.parametrize(
    ("make", "words"), [(_pipe, "is a pipe"), (_broken_link, "is a link"), (_folder, "is a folder")]
)
def test_weights_that_are_no_file(make: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    make(tmp_path / "w")
    for read in (read_schema, read_arrays):
        with pytest.raises(DataError, match=words):
            read(tmp_path / "w")


@pytest.mark.parametrize("name", ["t.csv", "d.npz", "t.parquet"])
def test_folders_with_names_of_files(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=r"holds neither x\.npy and y.npy, nor"):
        load_dataset(str(tmp_path / name), "t")


@pytest.mark.parametrize("name", ["a b.csv", "-t.csv", "x=1.csv", "größe 木.csv", "[a]*?.csv", "%s{0}.csv"])
def test_odd_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(ROWS)
    monkeypatch.chdir(tmp_path)
    assert load_dataset(name, "t").train.x.tolist() == [[1, 2], [3, 4]]
    (tmp_path / name).write_bytes(ROWS + b"5,y,z\n")
    with pytest.raises(DataError) as caught:
        load_dataset(name, "t")
    assert str(caught.value).startswith(f"{name}:4, column 'b': 'y' is no number")


@pytest.mark.parametrize("name", ["[a]*?.parquet", "[a]*?.arrow"])
def test_names_are_no_patterns(name: str, tmp_path: Path) -> None:
    frame = polars.DataFrame({"a": [1, 2], "t": ["x", "y"]})
    frame.write_parquet(tmp_path / name) if "parquet" in name else frame.write_ipc(tmp_path / name)
    assert load_dataset(str(tmp_path / name), "t").train.x.tolist() == [[1], [2]]


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said by the system: root, as whom tests may run, is not refused anything."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "t.csv"))

    (tmp_path / "t.csv").write_bytes(ROWS)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"cannot read .*t.csv: permission denied"):
        load_dataset(str(tmp_path / "t.csv"), "t")


def test_bad_data_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, exit status 1, no run folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.net").write_text(
        "net N { input x: 2\n dense(2) -> softmax }\n"
        "train { loss cross_entropy\n optimizer sgd(lr=0.1)\n batch 1\n epochs 1 }\n"
    )
    (tmp_path / "t.csv").write_bytes(ROWS + b"5,?,x\n")
    assert dslc.cli.main.run(["train", "n.net", "--data", "t.csv", "--target", "t"]) == 1
    assert capsys.readouterr().err == "error: t.csv:4, column 'b': is missing: fill it or leave the row out\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.net", "t.csv"]


def test_outputs_that_are_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (".", "/"):
        with pytest.raises(IsADirectoryError):
            write_whole(Path(path), b"")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there", [True, False])
def test_outputs_are_written_through_links(there: bool, tmp_path: Path) -> None:
    """Also through a link to a link, relative ones, and where nothing is yet."""
    (tmp_path / "far").mkdir()
    if there:
        (tmp_path / "far/file").write_bytes(b"old")
    (tmp_path / "far/second").symlink_to("file")
    (tmp_path / "first").symlink_to("far/second")
    write_whole(tmp_path / "first", b"new")
    assert (tmp_path / "far/file").read_bytes() == b"new"
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "far/second").is_symlink()
    assert sorted(path.name for path in (tmp_path / "far").iterdir()) == ["file", "second"]


def test_outputs_through_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(tmp_path / "a", b"")
    assert (tmp_path / "a").is_symlink()


def test_outputs_into_pipes(tmp_path: Path) -> None:
    """Weights too, whose checksum is known last."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, b"some")
        assert os.read(reader, 100) == b"some"
        (tmp_path / "link").symlink_to("pipe")
        save_weights(tmp_path / "link", check_text(SMALL), {"dense1.b": np.zeros(2, np.float32)}, Schema())
        (tmp_path / "again").write_bytes(os.read(reader, 1 << 16))
    finally:
        os.close(reader)
    assert read_arrays(tmp_path / "again")[0]["dense1.b"].tolist() == [0, 0]
    assert pipe.is_fifo()


def test_outputs_into_devices(tmp_path: Path) -> None:
    """One that takes everything, one that is full, and a disk, which is no place for a file. All are private nodes."""
    numbers = {"null": (stat.S_IFCHR, 1, 3), "full": (stat.S_IFCHR, 1, 7), "disk": (stat.S_IFBLK, 240, 0)}
    try:
        for name, (kind, major, minor) in numbers.items():
            os.mknod(tmp_path / name, kind | 0o600, os.makedev(major, minor))
        (tmp_path / "null").open("wb").close()
    except PermissionError:
        pytest.skip("this user may not make devices")
    write_whole(tmp_path / "null", b"some")
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "full", b"some")
    with pytest.raises(OSError, match="it is a disk"):
        write_whole(tmp_path / "disk", b"some")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(numbers)
    assert not any(path.is_file() for path in tmp_path.iterdir())


def test_outputs_into_what_is_open(tmp_path: Path) -> None:
    """As `-o /dev/stdout >> log`: what the log holds stays, and what is printed later follows."""
    with (tmp_path / "log").open("wb", buffering=0) as log:
        log.write(b"before ")
        write_whole(Path(f"/proc/self/fd/{log.fileno()}"), b"whole ")
        (tmp_path / "out").symlink_to(f"/dev/fd/{log.fileno()}")
        write_whole(tmp_path / "out", b"again ")
        log.write(b"behind")
    assert (tmp_path / "log").read_bytes() == b"before whole again behind"


def test_tags_and_specs_that_are_pipes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "spec.net")
    (tmp_path / "weights.safetensors").write_bytes(b"")
    for call in (["errors", "--tally", str(tmp_path / "spec.net")], ["predict", str(tmp_path), "--data", "mnist"]):
        assert dslc.cli.main.run(call) == 1
        assert "spec.net is a pipe; a file is wanted" in capsys.readouterr().err


def test_a_spec_without_an_end(tmp_path: Path) -> None:
    """It is not read whole to find that it is too large."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(SpecError, match=r"this file has 50\.0 MB; a spec has at most 1 MB"):
            parse.read(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    try:
        os.mknod(tmp_path / "zero", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        (tmp_path / "zero").open("rb").close()
    except PermissionError:
        pytest.skip("this user may not make devices")
    with pytest.raises(SpecError, match="this file has more than 1 MB"):
        parse.read(tmp_path / "zero")


@pytest.mark.parametrize(("dev", "seed"), [("NaN", "0"), ("-1", "0"), ("7", "0"), ("0.1", "-5"), ("0.1", "1.5")])
def test_a_broken_split(dev: str, seed: str, tmp_path: Path) -> None:
    shares = f'{{"dev": {dev}, "test": 0, "train_dev": 0}}'
    (tmp_path / "split.json").write_text(f'{{"shares": {shares}, "seed": {seed}, "fingerprint": "3-0"}}')
    with pytest.raises(DataError, match=r"split\.json is damaged: how the data were split is not known"):
        partition_of(str(tmp_path))


def test_an_empty_path() -> None:
    with pytest.raises(DataError, match="there are no data at an empty path"):
        load_dataset("")
