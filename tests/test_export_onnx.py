"""Networks as ONNX: what onnxruntime makes of them, beside the NumPy interpreter. Nothing is compiled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dslc.layers
from dslc import registry
from dslc.compiler import check_file, check_text
from dslc.export.network import Trained
from dslc.export.onnx.model import FORMS, export_onnx
from dslc.ir import Network
from dslc.language.diagnostics import CallError
from dslc.layers import Layer
from dslc.proofs.reference import Interpreter
from helpers import SPECS, data, example_spec

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
LAYERS = registry.every(dslc.layers, Layer)
LARGE = {"alexnet", "vgg16", "vgg19"}


def with_numbers(network: Network, rng: np.random.Generator) -> Trained:
    """Fresh parameters off their round values, variances and deviations above 0."""
    found = {}
    for p in network.parameters:
        start = p.init.sample(rng, p.shape, p.fan_in, p.fan_out) + rng.uniform(-0.3, 0.3, p.shape) * (p.elements < 1e6)
        found[p.name] = start.astype(np.float32)
    return Trained(network, found)


def run_onnx(model: bytes, xs: dict[str, np.ndarray], channels_first: bool = False) -> list[np.ndarray]:
    """The outputs of a model by onnxruntime, with the channels last."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64}
    turned = {name: np.moveaxis(x, -1, 1) if channels_first and x.ndim > 2 else x for name, x in xs.items()}
    fed = {i.name: np.ascontiguousarray(turned[i.name], kinds[i.type]) for i in session.get_inputs()}
    found = session.run(None, fed)
    return [np.moveaxis(y, 1, -1) if channels_first and y.ndim > 2 else y for y in found]


def assert_same(
    trained: Trained, rng: np.random.Generator, n: int = 3, channels_first: bool = False, tolerance: float = 1e-5
) -> None:
    """onnxruntime in single precision equals the interpreter in double precision to 1e-5 of the largest number."""
    xs, _ = data(trained.network, n, rng, "float32")
    double = {name: array.astype(np.float64) for name, array in trained.parameters.items()}
    wanted = Interpreter(trained.network, double).predict(xs)
    found = run_onnx(export_onnx(trained, channels_first), xs, channels_first)
    for one, (head, other) in zip(found, wanted.items(), strict=True):
        assert one.shape == other.shape, head
        there = np.isfinite(other)
        assert np.abs(one - other)[there].max(initial=0) <= tolerance * max(1, np.abs(other[there]).max(initial=0)), (
            head
        )


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name: str, rng: np.random.Generator) -> None:
    """On all of its examples: every layer of the language has a form in ONNX."""
    assert name in FORMS
    for i, example in enumerate(LAYERS[name].examples):
        trained = with_numbers(check_text(example_spec(example)), rng)
        assert_same(trained, rng, channels_first=i % 2 == 1)


@pytest.mark.parametrize("path", [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LARGE else []) for path in SPECS
])  # fmt: skip
def test_every_shipped_spec(path: Path, rng: np.random.Generator) -> None:
    assert_same(with_numbers(check_file(path), rng), rng, n=2)


def test_layers_that_share_weights(rng: np.random.Generator) -> None:
    """Each node has them."""
    network = check_text(
        "net S {\n  input a: 6x3\n  input b: 6x3\n"
        "  tower = shared { conv1d(4, 2) -> lstm(5, return=last) }\n"
        "  u = a -> tower\n  v = b -> tower\n  distance(u, v)\n}\n"
    )
    assert_same(with_numbers(network, rng), rng)


def test_outputs_that_only_train_are_left_out(rng: np.random.Generator) -> None:
    network = check_text(
        "net A {\n  input x: 6\n  output aux = x -> dense(3) train_only\n  output main = x -> dense(4)\n}\n"
        "train {\n  loss aux: mse\n  loss main: mse\n  optimizer sgd\n}\n"
    )
    trained = with_numbers(network, rng)
    assert_same(trained, rng)
    assert b"aux" not in export_onnx(trained)


def test_a_layer_without_a_form_is_named(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = with_numbers(check_text("net R {\n  input x: 3\n  dense(2) -> relu\n}\n"), rng)
    monkeypatch.delitem(FORMS, "relu")
    with pytest.raises(CallError, match=r"no form in ONNX: relu1 \(relu\)"):
        export_onnx(trained)


def test_ends(rng: np.random.Generator) -> None:
    """Heads by name, images out, an input that is an output, targets in a unit of their own, offsets, class names."""
    network = check_text(
        "net E {\n  input a: 3x4x2\n  input b: 3\n  output seen = a -> flatten -> dense(2)\n  c = b -> standardize\n"
        "  output image = a -> conv(3, 2x2)\n  output number = concat(seen, c) -> dense(2)\n}\n"
        "train {\n  loss seen: cross_entropy\n  loss image: mse\n  loss number: mse\n"
        "  optimizer sgd(0.1)\n  standardize_target on\n}\n".replace("dense(2)\n  c", "dense(2) -> softmax\n  c")
    )
    trained = with_numbers(network, rng)
    for channels_first in (False, True):
        assert_same(trained, rng, channels_first=channels_first)
    offsets = {"b": (1e8, -1e8, 0.0)}
    moved = replace(trained, offsets=offsets, classes={"seen": ("ant", "bee")})
    xs, _ = data(network, 2, rng, "float32")
    plain = run_onnx(export_onnx(trained), xs)
    for one, other in zip(plain, run_onnx(export_onnx(moved), {**xs, "b": xs["b"] + offsets["b"]}), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    session = onnxruntime.InferenceSession(export_onnx(moved))
    assert [i.name for i in session.get_inputs()] == ["a", "b"]
    assert [o.name for o in session.get_outputs()] == ["seen", "image", "number"]
    assert session.get_inputs()[0].shape == ["batch", 3, 4, 2]
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["seen.class_names"]) == ["ant", "bee"]


def test_columns_are_refused(rng: np.random.Generator) -> None:
    network = check_text("net T {\n  input row: table { age: number, sex: category(a, b) }\n  dense(1)\n}\n")
    with pytest.raises(CallError, match="encoded in Python"):
        export_onnx(with_numbers(network, rng))
