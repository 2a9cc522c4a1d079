"""Small whole files of every kind that is read, and how each is opened: what tests/damage.py damages."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch_files
from safetensors.numpy import save

from dslc.compiler import check_text
from dslc.interchange.importing import import_darknet
from dslc.interchange.loading import weights_for
from dslc.interchange.onnx_file import read_onnx
from dslc.interchange.translate import translated
from dslc.interchange.writer import written
from dslc.ir import Network
from dslc.language.diagnostics import SpecError
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.examples import Reading
from dslc.runtime.data.profile import profile
from dslc.runtime.data.schema import Schema
from dslc.runtime.training import checkpoint, weights
from dslc.runtime.training.history import History

Open = Callable[[Path], object]
Change = Callable[[bytes], bytes]
TABLE = 'size,"kind",age\n1.5,ash,2\n# one more\n-3,"elm\ntree",4e1\n0.25,ash,-6\n'
NETWORK = """net N {
  input x: 2
  dense(2, bias=off) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(lr=0.1)
  batch 1
  epochs 1
}
"""


@dataclass(frozen=True)
class Kind:
    """A whole file: its name below a folder, its bytes, other files that belong to it, and how it is opened. `inside`
    unpacks it into what may be damaged and packs that again with right checksums."""

    name: str
    whole: Callable[[], bytes]
    open: Open
    beside: Callable[[], dict[str, bytes]] = dict
    inside: Callable[[bytes, Change], bytes] | None = None


def _array(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


X, Y = np.arange(12, dtype=np.float32).reshape(4, 3), np.array([0, 1, 1, 0])


def _npz(packed: bool) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, x=X, y=Y)
    return file.getvalue()


def _inside_zip(data: bytes, change: Change) -> bytes:
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new:
        for i, name in enumerate(old.namelist()):
            new.writestr(name, old.read(name) if i else change(old.read(name)))
    return result.getvalue()


def _inside_gzip(data: bytes, change: Change) -> bytes:
    return gzip.compress(change(gzip.decompress(data)))


def _idx(array: np.ndarray, axes: tuple[int, ...]) -> bytes:
    return struct.pack(f">BBBB{len(axes)}i", 0, 0, 8, len(axes), *axes) + array.astype(np.uint8).tobytes()


IMAGES = _idx(np.arange(32), (2, 4, 4))
LABELS = _idx(np.array([1, 0]), (2,))


def _inside_png(data: bytes, change: Change) -> bytes:
    """Chunks are changed and get right checksums; pixels are changed unpacked."""
    chunks, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    result = data[:8]
    for name, body in chunks:
        if name == b"IDAT":
            body = zlib.compress(change(zlib.decompress(body)))
        elif name != b"IEND":
            body = change(body)
        result += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return result


def _image(form: str, mode: str = "RGB") -> Callable[[], bytes]:
    def whole() -> bytes:
        from PIL import Image

        file = io.BytesIO()
        pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(pixels).convert(mode).save(file, form, **({"exif": exif} if form in ("JPEG", "PNG") else {}))
        return file.getvalue()

    return cache(whole)


def _frame(form: str) -> Callable[[], bytes]:
    def whole() -> bytes:
        import polars

        file = io.BytesIO()
        frame = polars.DataFrame(
            {"a": [1.5, 2, 3], "kind": ["x", "y", "x"], "n": [1, 2, 3], "yes": [True, False, True]}
        )
        frame.write_parquet(file) if form == "parquet" else frame.write_ipc(file)
        return file.getvalue()

    return cache(whole)


@cache
def _network() -> Network:
    return check_text(NETWORK, None)


def _written(how: Callable[[Path], None]) -> Callable[[], bytes]:
    def whole() -> bytes:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            how(Path(folder) / "w.safetensors")
            return (Path(folder) / "w.safetensors").read_bytes()

    return cache(whole)


SHAPES = {"dense1.weight": (2, 2)}
HELD = {"dense1.weight": np.ones((2, 2), np.float32)}


def _weights(path: Path) -> None:
    weights.save_weights(path, _network(), HELD, Schema())


def _checkpoint(path: Path) -> None:
    history = History([{"epoch": 1, "step": 4, "loss": 0.5}], 1, "")
    state = checkpoint.FitState(history, 1, HELD)
    checkpoint.take(HELD, {}, state, 4, 1, set(), [], 1.0).write(path, _network(), Schema())


def _inside_safetensors(data: bytes, change: Change) -> bytes:
    """One of the texts in the header is changed, as JSON that is right and without a checksum."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    about = header["__metadata__"]
    del about["checksum"]
    name = sorted(about)[len(about) // 2]
    for key in ("data", "position"):
        name = key if key in about else name
    about[name] = change(about[name].encode()).decode("latin-1")
    packed = json.dumps(header).encode()
    return len(packed).to_bytes(8, "little") + packed + data[8 + size :]


# ------------------------------------------------------------------------------------------------ how they are opened


def _load(path: Path) -> object:
    return load_dataset(str(path))


def _load_folder(path: Path) -> object:
    return load_dataset(str(path.parent))


def _load_above(path: Path) -> object:
    return load_dataset(str(path.parent.parent))


def _load_table(path: Path) -> object:
    profile(str(path))
    return load_dataset(str(path), "kind", Reading(numbers=False))


def _open_weights(path: Path) -> object:
    weights.read_schema(path)
    return weights.read_weights(path, SHAPES, None, strict=True)


def _open_checkpoint(path: Path) -> object:
    weights.read_schema(path)
    return checkpoint.read(path, _network(), SHAPES, {}).fit_state


def _pictures(form: str, mode: str = "RGB", end: str = "") -> Kind:
    inside = _inside_png if form == "PNG" else None
    return Kind(f"a/1.{end or form.lower()}", _image(form, mode), _load_above, inside=inside)


@cache
def _onnx() -> bytes:
    """A model with filters, a shape that is computed, a pool and a dense layer."""
    from onnx import TensorProto, helper, numpy_helper

    make, rng = helper.make_node, np.random.default_rng(0)
    nodes = [
        make("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]), make("Relu", ["c"], ["r"]),
        make("MaxPool", ["r"], ["m"], kernel_shape=[2, 2]), make("Shape", ["m"], ["s"]),
        make("Gather", ["s", "zero"], ["n"]), make("Concat", ["n", "rest"], ["t"], axis=0),
        make("Reshape", ["m", "t"], ["f"]), make("Gemm", ["f", "v"], ["y"], transB=1),
    ]  # fmt: skip
    constants = {
        "w": rng.random((3, 2, 3, 3)), "b": rng.random(3), "v": rng.random((2, 12)), "zero": np.array([0]),
        "rest": np.array([-1]),
    }  # fmt: skip
    arrays = [
        numpy_helper.from_array(a.astype(np.float32 if a.dtype.kind == "f" else np.int64), name)
        for name, a in constants.items()
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 8, 8])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def _open_onnx(path: Path) -> object:
    """Without comparing it with onnxruntime, which is not ours to test."""
    found = written(translated(read_onnx(path)), "Net", "")
    try:
        return check_text(found.text)
    except SpecError as error:
        raise AssertionError(f"{found.text}{error}") from None


@cache
def _pth() -> bytes:
    return torch_files.written({"a.weight": np.ones((4, 3), np.float32), "a.bias": np.ones(4, np.float16)})


def _inside_pth(data: bytes, change: Change) -> bytes:
    """The pickle is changed, or now and then the list of files."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name.endswith("data.pkl") else old.read(name))
    return result.getvalue()


def _open_foreign(path: Path) -> object:
    return weights_for(check_text("net N {\n  input x: 3\n  dense(4)\n}\n"), path)


DARKNET = """[net]
height=6
width=5
channels=2
[convolutional]
batch_normalize=1
filters=3
size=3
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[shortcut]
from=-1
activation=relu
[connected]
output=2
activation=linear
[softmax]
"""


def _darknet() -> bytes:
    """9 statistics and biases, filters, and a dense layer of 3x3x3 numbers."""
    numbers = np.random.default_rng(0).random(12 + 3 * 2 * 9 + 2 + 2 * 27).astype("<f4")
    return struct.pack("<iiiQ", 0, 2, 0, 0) + numbers.tobytes()


def _open_darknet(path: Path) -> object:
    return import_darknet(path.parent / "m.cfg", path.parent / "m.weights", "Net")


@cache
def _h5() -> bytes:
    """As Keras 3 lays it out; one array is packed."""
    import h5py

    result = io.BytesIO()
    with h5py.File(result, "w") as file:
        file["layers/dense/vars/0"] = np.ones((3, 4), np.float32)
        file.create_dataset("layers/dense/vars/1", data=np.ones(4, np.float32), compression="gzip")
        file["layers"].attrs["layer_names"] = [b"dense"]
    return result.getvalue()


@cache
def _keras() -> bytes:
    result = io.BytesIO()
    layers = [{"class_name": "Dense", "config": {"name": "mine"}}]
    with zipfile.ZipFile(result, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": layers}}))
        archive.writestr("model.weights.h5", _h5())
    return result.getvalue()


@cache
def _foreign_safetensors() -> bytes:
    return save({"a.weight": np.ones((4, 3), np.float32), "a.bias": np.ones(4, np.float16)})


def _open_mapping(path: Path) -> object:
    (path.parent / "w.safetensors").write_bytes(_foreign_safetensors())
    return weights_for(check_text("net N {\n  input x: 3\n  dense(4)\n}\n"), path.parent / "w.safetensors", path)


SEMICOLONS = "sep=;\r\n" + TABLE.replace(",", ";").replace("\n", "\r\n")
BESIDE_IMAGES = {"train-labels-idx1-ubyte": LABELS}


def _two_pictures() -> dict[str, bytes]:
    return {"1.png": _image("PNG")(), "2.png": _image("PNG")()}


KINDS: dict[str, Kind] = {
    "csv": Kind("t.csv", TABLE.encode, _load_table),
    "tsv": Kind("t.tsv", TABLE.replace(",", "\t").encode, _load_table),
    "semicolons": Kind("t.csv", lambda: SEMICOLONS.encode("utf-8-sig"), _load_table),
    "utf16": Kind("t.csv", lambda: TABLE.encode("utf-16"), _load_table),
    "csv.gz": Kind("t.csv.gz", lambda: gzip.compress(TABLE.encode()), _load_table, inside=_inside_gzip),
    "parquet": Kind("t.parquet", _frame("parquet"), _load_table),
    "arrow": Kind("t.arrow", _frame("arrow"), _load_table),
    "npz": Kind("d.npz", lambda: _npz(False), _load, inside=_inside_zip),
    "npz packed": Kind("d.npz", lambda: _npz(True), _load, inside=_inside_zip),
    "npy folder": Kind("x.npy", lambda: _array(X), _load_folder, lambda: {"y.npy": _array(Y)}),
    "idx": Kind("train-images-idx3-ubyte", lambda: IMAGES, _load_folder, lambda: BESIDE_IMAGES),
    "idx.gz": Kind(
        "train-images-idx3-ubyte.gz", lambda: gzip.compress(IMAGES), _load_folder, lambda: BESIDE_IMAGES, _inside_gzip
    ),
    "idx labels": Kind(
        "train-labels-idx1-ubyte", lambda: LABELS, _load_folder, lambda: {"train-images-idx3-ubyte": IMAGES}
    ),
    "png": _pictures("PNG"),
    "palette": _pictures("PNG", "P"),
    "jpeg": _pictures("JPEG"),
    "gif": _pictures("GIF", "P"),
    "bmp": _pictures("BMP"),
    "tiff": _pictures("TIFF"),
    "webp": _pictures("WEBP"),
    "ppm": _pictures("PPM"),
    "tga": _pictures("TGA"),
    "jpeg2000": _pictures("JPEG2000", end="jp2"),
    "list": Kind("list.csv", lambda: b"file,label\n1.png,a\n2.png,b\n1.png,b\n", _load, _two_pictures),
    "weights": Kind("w.safetensors", _written(_weights), _open_weights, inside=_inside_safetensors),
    "onnx": Kind("m.onnx", _onnx, _open_onnx),
    "darknet cfg": Kind("m.cfg", DARKNET.encode, _open_darknet, lambda: {"m.weights": _darknet()}),
    "darknet weights": Kind("m.weights", _darknet, _open_darknet, lambda: {"m.cfg": DARKNET.encode()}),
    "pth": Kind("m.pth", _pth, _open_foreign, inside=_inside_pth),
    "h5": Kind("m.h5", _h5, _open_foreign),
    "keras": Kind("m.keras", _keras, _open_foreign, inside=_inside_zip),
    "safetensors": Kind("m.safetensors", _foreign_safetensors, _open_foreign),
    "mapping": Kind("map.json", lambda: b'{"dense1": "a"}', _open_mapping),
    "checkpoint": Kind("c.safetensors", _written(_checkpoint), _open_checkpoint, inside=_inside_safetensors),
}
"""What is damaged, by names that `fuzz_files.py` takes."""
