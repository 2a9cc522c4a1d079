"""Weights of PyTorch and Keras in networks of the language, and files of them that are damaged or hostile."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_cli import dslc
from torch_files import written

import dslc as package
from dslc.compiler import check_text
from dslc.interchange.loading import load_into, weights_for
from dslc.interchange.torch_file import read_torch
from dslc.language.diagnostics import DataError
from dslc.proofs.reference import Interpreter
from dslc.runtime.runs.trained import read_trained

Arrays = dict[str, np.ndarray]
TINY = "net Tiny {\n  input x: 3\n  dense(4) -> relu\n  dense(2)\n}\n"


def predicted(text: str, arrays: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    network = check_text(text)
    double = {name: np.asarray(a, np.float64) for name, a in arrays.items()}
    return Interpreter(network, double).predict({network.inputs[0].name: x})[network.heads[0].name]


def converted(text: str, path: Path, mapping: Path | None = None) -> Mapping[str, np.ndarray]:
    return weights_for(check_text(text), path, mapping).arrays


@pytest.mark.parametrize(
    ("number", "dtype", "words"),
    [
        (np.nan, "float32", "is not finite"),
        (1e300, "float64", r"has 1e\+300, which is too large for float32"),
        (1, "int64", "holds int64"),
        (1, "bool", "holds bool"),
    ],
)
def test_numbers_that_are_no_weights(number: float, dtype: str, words: str, tmp_path: Path) -> None:
    """From a file of ours, for a model and an export, and one of PyTorch; the model stays as it was."""
    model = package.loads(TINY)
    before = model.predict(np.ones((1, 3)))
    ours = {name: view.numpy() for name, view in model.parameters.items()}
    theirs = {name.replace("dense", "net."): array for name, array in ours.items()}
    for name, arrays in (("dense2.bias", ours), ("net.2.bias", theirs)):
        save_file(arrays | {name: np.array([0, number]).astype(dtype)}, path := tmp_path / f"{name}.safetensors")
        with pytest.raises(DataError, match=f"{name} in .*{words}"):
            load_into(model, path)
    (tmp_path / "tiny.net").write_text(TINY)
    with pytest.raises(DataError, match=f"dense2.bias in .*{words}"):
        read_trained(str(tmp_path / "tiny.net"), str(tmp_path / "dense2.bias.safetensors"))
    np.testing.assert_array_equal(model.predict(np.ones((1, 3))), before)
    large = package.loads(TINY, dtype="float64")
    if dtype == "float64":
        large.load_weights(tmp_path / "dense2.bias.safetensors")
        assert large.parameters["dense2.bias"][1] == 1e300


# ------------------------------------------------------------------------------------------- PyTorch

CNN = """net Cnn {
  input image: 9x10x3
  conv(6, 3x2, pad=1) -> batchnorm -> relu
  depthwise(3x3, stride=2) -> prelu
  conv(8, 3x3, pad=same, groups=2, bias=off) -> groupnorm(2) -> maxpool(2x2)
  flatten
  batchnorm -> dropout(0.5)
  dense(12) -> layernorm -> tanh
  dense(16) -> relu -> reshape(2x2x4)
  conv_transpose(3, 2x3, stride=2)
}
"""


@pytest.mark.torch
@pytest.mark.parametrize("form", ["pth", "safetensors", "checkpoint"])
def test_a_cnn_of_pytorch(form: str, tmp_path: Path) -> None:
    """The same outputs in double precision: every kind of layer with weights, flattened images, a vector made an
    image, batch norm between flatten and dense."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(3, 6, (3, 2), padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, 2, groups=6), nn.PReLU(6),
        nn.Conv2d(6, 8, 3, padding=1, groups=2, bias=False), nn.GroupNorm(2, 8), nn.MaxPool2d(2), nn.Flatten(),
        nn.BatchNorm1d(32), nn.Dropout(0.5), nn.Linear(32, 12), nn.LayerNorm(12), nn.Tanh(), nn.Linear(12, 16),
        nn.ReLU(), nn.Unflatten(1, (4, 2, 2)), nn.ConvTranspose2d(4, 3, (2, 3), 2),
    ).eval()  # fmt: skip
    with torch.no_grad():
        for name, array in module.state_dict().items():
            if array.is_floating_point():
                array += torch.rand_like(array) if name.endswith("var") else torch.randn_like(array) * 0.3
    path = tmp_path / f"m.{'safetensors' if form == 'safetensors' else 'pth'}"
    if form == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(module.state_dict(), path)
    elif form == "checkpoint":
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in module.state_dict().items()}}, path)
    else:
        torch.save(module.state_dict(), path)
    x = np.random.default_rng(0).standard_normal((3, 9, 10, 3))
    with torch.no_grad():
        wanted = module.double()(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    assert np.abs(predicted(CNN, converted(CNN, path), x) - wanted).max() < 1e-12


def test_without_pytorch(tmp_path: Path) -> None:
    """A file made by hand, matched by place; `load` with weights; `convert` on the command line."""
    rng = np.random.default_rng(0)
    shapes = (("a.weight", (4, 3)), ("a.bias", (4,)), ("b.weight", (2, 4)), ("b.bias", (2,)))
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes}
    path, spec = tmp_path / "tiny.pth", tmp_path / "tiny.net"
    path.write_bytes(written(arrays))
    spec.write_text(TINY)
    found = converted(TINY, path)
    assert {name: a.tolist() for name, a in found.items()} == {
        f"dense{i}.{role}": arrays[f"{module}.{role}"].tolist()
        for i, module in ((1, "a"), (2, "b")) for role in ("weight", "bias")
    }  # fmt: skip
    x = rng.standard_normal((2, 3))
    model = package.load(spec, weights=path)
    np.testing.assert_allclose(model.predict(x), predicted(TINY, found, x), atol=1e-6)
    done = dslc("convert", "tiny.net", "tiny.pth", cwd=tmp_path)
    assert done.returncode == 0 and "dense2 = b" in done.stdout and "by place" in done.stdout, done.stderr
    again = package.load(spec, weights=tmp_path / "tiny.weights.safetensors")
    assert np.array_equal(again.predict(x), model.predict(x))
    assert dslc("convert", "tiny.net", "tiny.pth", cwd=tmp_path).returncode == 2


def test_by_name_and_by_mapping(tmp_path: Path) -> None:
    """In another order than that of the layers."""
    rng = np.random.default_rng(0)
    text = "net N {\n  input x: 2\n  dense(2, name=fc_1, bias=off) -> relu\n  dense(2, name=fc_0, bias=off)\n}\n"
    arrays = {f"fc.{i}.weight": rng.standard_normal((2, 2)).astype(np.float32) for i in (0, 1)}
    path, mapping = tmp_path / "n.pt", tmp_path / "map.json"
    path.write_bytes(written(arrays))
    assert np.array_equal(converted(text, path)["fc_0.weight"], arrays["fc.0.weight"])
    mapping.write_text(json.dumps({"fc_0": "fc.1", "fc_1": "fc.0"}))
    assert np.array_equal(converted(text, path, mapping)["fc_0.weight"], arrays["fc.1.weight"])
    for wrong, words in (({"fc_0": "x", "fc_1": "fc.0"}, "no module x"), ({"fc_0": "fc.0"}, "nothing for fc_1"),
                         ({"y": "fc.0"}, "called y"), ([], "should say")):  # fmt: skip
        mapping.write_text(json.dumps(wrong))
        with pytest.raises(DataError, match=words):
            converted(text, path, mapping)


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "t.pth"
    path.write_bytes(written({"a.weight": np.ones((4, 2), np.float32), "b.weight": np.ones((2, 4), np.float32),
                              "b.bias": np.ones(2, np.float32), "b.more": np.ones(2, np.float32)}))  # fmt: skip
    with pytest.raises(DataError) as error:
        converted(TINY, path)
    text = str(error.value)
    for words in (
        "dense1.weight (4, 3) is not a.weight (4, 2)",
        "dense1.bias (4,): a has only",
        "b.more (2,) is not in dense2",
    ):
        assert words in text
    path.write_bytes(written({"a.weight": np.ones((4, 3), np.float32)}))
    with pytest.raises(DataError, match="--map"):
        converted(TINY, path)


# ------------------------------------------------------------------------------------------- hostile pickles


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("carried out",))


@pytest.mark.parametrize("content", [
    pickle.dumps(_Evil(), 2), pickle.dumps({"a": _Evil()}, 4), pickle.dumps({"a": 1}, 2), b"", b"\x80\x02}q",
    b"\x80\x02.",
    b"\x80\x02r\xff\xff\xff\xff.", b"\x80\x02}" + b"q\x00h\x00" * 9 + b"\x85R.", pickle.dumps([[]] * 9, 0),
    b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",
])  # fmt: skip
def test_hostile_pickles(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is carried out, and the error is located."""
    path = tmp_path / "evil.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", content)
    with pytest.raises(DataError, match=r"evil\.pth"):
        read_torch(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("size", "stride", "offset"), [
    ((10**12,), (0,), 0), ((4,), (2,), 0), ((4,), (1,), 1), ((2, 2), (-1, 1), 0), ((2**62, 4), (0, 0), 0),
    ((4,), (1, 1), 0), ((4,), (1,), -1), ((True, 2.5), (1, 1), 0),
])  # fmt: skip
def test_tensors_beyond_their_numbers(size: tuple, stride: tuple, offset: int, tmp_path: Path) -> None:
    path = tmp_path / "t.pth"
    path.write_bytes(written({"a": np.ones(4, np.float32)}, size, stride, offset))
    with pytest.raises(DataError):
        read_torch(path)


# ------------------------------------------------------------------------------------------- Keras

KERAS = """net K {
  input image: 7x8x2
  conv(3, 3x2) -> batchnorm -> relu
  depthwise(2x2, multiplier=2)
  separable_conv(5, 2x2)
  conv_transpose(4, 2x2, stride=2)
  flatten
  dense(6) -> tanh
  dense(2)
}
"""
LAYERS = (
    ("Conv2D", "conv2d", {"kernel": (3, 2, 2, 3), "bias": (3,)}),
    ("BatchNormalization", "batch_normalization",
     {"gamma": (3,), "beta": (3,), "moving_mean": (3,), "moving_variance": (3,)}),
    ("DepthwiseConv2D", "depthwise_conv2d", {"kernel": (2, 2, 3, 2), "bias": (6,)}),
    ("SeparableConv2D", "separable_conv2d",
     {"depthwise_kernel": (2, 2, 6, 1), "pointwise_kernel": (1, 1, 6, 5), "bias": (5,)}),
    ("Conv2DTranspose", "conv2d_transpose", {"kernel": (2, 2, 4, 5), "bias": (4,)}),
    ("Dense", "dense", {"kernel": (4 * 6 * 10, 6), "bias": (6,)}),
    ("Dense", "dense_1", {"kernel": (6, 2), "bias": (2,)}),
)  # fmt: skip
"""Classes of Keras, their names, and the shapes of their arrays."""


def _keras_arrays() -> dict[str, Arrays]:
    rng = np.random.default_rng(0)
    return {
        name: {
            role: (rng.random(shape) + (role == "moving_variance")).astype(np.float32) for role, shape in own.items()
        }
        for _, name, own in LAYERS
    }


def _written_keras(path: Path, version: int) -> None:
    """As Keras lays its files out."""
    h5py = pytest.importorskip("h5py")
    whole = path.with_suffix(".h5") if path.suffix == ".keras" else path
    with h5py.File(whole, "w") as file:
        if version == 2:
            file.create_group("model_weights").attrs["layer_names"] = [n.encode() for _, n, _ in LAYERS]
        for name, arrays in _keras_arrays().items():
            for number, (role, array) in enumerate(arrays.items()):
                where = f"model_weights/{name}/{name}/{role}:0" if version == 2 else f"layers/{name}/vars/{number}"
                file[where] = array
        file["optimizer/vars/0" if version == 3 else "optimizer_weights/x"] = np.ones(3, np.float32)
    if path.suffix == ".keras":
        layers = [{"class_name": kind, "config": {"name": f"my_{name}"}} for kind, name, _ in LAYERS]
        layers.insert(5, {"class_name": "Flatten", "config": {"name": "flatten"}})
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(whole, "model.weights.h5")
            archive.writestr("config.json", json.dumps({"config": {"layers": layers}}))


def _keras_output(x: np.ndarray) -> np.ndarray:
    """Keras's formulas in plain NumPy."""
    a = {name: {r: v.astype(np.float64) for r, v in own.items()} for name, own in _keras_arrays().items()}

    def conv(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        h, w = kernel.shape[:2]
        rows, columns = x.shape[1] - h + 1, x.shape[2] - w + 1
        return sum(x[:, r : r + rows, s : s + columns] @ kernel[r, s] for r in range(h) for s in range(w))

    def depthwise(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        parts = [conv(x[..., c : c + 1], kernel[:, :, c : c + 1]) for c in range(x.shape[-1])]
        return np.concatenate(parts, axis=-1)

    x = conv(x, a["conv2d"]["kernel"]) + a["conv2d"]["bias"]
    b = a["batch_normalization"]
    x = (x - b["moving_mean"]) / np.sqrt(b["moving_variance"] + 1e-5) * b["gamma"] + b["beta"]
    x = depthwise(np.maximum(x, 0), a["depthwise_conv2d"]["kernel"]) + a["depthwise_conv2d"]["bias"]
    s = a["separable_conv2d"]
    x = conv(depthwise(x, s["depthwise_kernel"]), s["pointwise_kernel"]) + s["bias"]
    t = a["conv2d_transpose"]
    y = np.zeros((len(x), 2 * x.shape[1], 2 * x.shape[2], 4))
    for r in range(2):
        for c in range(2):
            y[:, r::2, c::2] = x @ t["kernel"][r, c].T
    x = (y + t["bias"]).reshape(len(x), -1)
    return np.tanh(x @ a["dense"]["kernel"] + a["dense"]["bias"]) @ a["dense_1"]["kernel"] + a["dense_1"]["bias"]


@pytest.mark.parametrize(("name", "version"), [("m.h5", 2), ("m.weights.h5", 3), ("m.keras", 3)])
def test_weights_of_keras(name: str, version: int, tmp_path: Path) -> None:
    _written_keras(tmp_path / name, version)
    mapping = None
    if name == "m.weights.h5":  # does not tell the order
        mapping = tmp_path / "map.json"
        layers = ("conv1", "batchnorm1", "depthwise1", "separable_conv1", "conv_transpose1", "dense1", "dense2")
        mapping.write_text(json.dumps(dict(zip(layers, [n for _, n, _ in LAYERS], strict=True))))
    x = np.random.default_rng(1).standard_normal((2, 7, 8, 2)) * 0.01
    found = predicted(KERAS, converted(KERAS, tmp_path / name, mapping), x)
    np.testing.assert_allclose(found, _keras_output(x), atol=1e-12)


def test_an_array_that_is_announced_and_not_stored(tmp_path: Path) -> None:
    """A small file that would take 8 GB is refused before any memory is taken."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", shape=(2**31,), dtype=np.float32)
    with pytest.raises(DataError, match="does not lie in the file"):
        weights_for(check_text("net N {\n  input x: 3\n  dense(4)\n}\n"), tmp_path / "m.h5")
