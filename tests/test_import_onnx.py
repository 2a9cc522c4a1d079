"""Models of ONNX as specs: what dslc itself exports, what PyTorch exports, models made by hand, and what is refused.
`import_onnx` compares each result with onnxruntime on random inputs and fails where it differs."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from test_cli import dslc
from test_export_onnx import LARGE, LAYERS, assert_same, with_numbers

import dslc as package
from dslc.compiler import check_file, check_text
from dslc.export.onnx.model import FORMS, export_onnx
from dslc.interchange.importing import Imported, import_onnx
from dslc.language.diagnostics import CallError, DataError, UsageError
from dslc.registry import name_of
from fuzzing.specs import networks
from helpers import SPECS, example_spec

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
AWAY = {"crop"}
"""Layers that an imported model lacks: a part of an image is cut out only in training."""
SAME_AS = {"swish": "silu", "alpha_dropout": "", "drop_path": "", "dropout": "", "flip": "", "linear": "", "noise": "",
           "rotate": "", "shift": "", "spatial_dropout": "", "mean": "add", "flatten": "", "reshape": "",
           "separable_conv": "depthwise", "glu": "multiply", "scale": "", "depth_to_space": "",
           "space_to_depth": "", "avgpool1d": "avgpool", "maxpool1d": "maxpool"}  # fmt: skip
"""What layers become that ONNX has no operator of its own for, or that only training has."""
NOT_BACK = {"activation", "attention", "distance", "embedding", "gru", "lengths", "lstm", "matmul", "permute",
            "positional", "reduce_max", "reduce_mean", "reduce_sum", "rnn"}  # fmt: skip
"""Layers that are exported, and of which at least some uses are refused on the way back."""
UNKNOWN = {"augmented", "adding", "char_gpt", "paragraphs"}
"""Specs that cut images, or with layers that have no form."""
SMALL = ("mlp_gelu", "mlp_batchnorm", "lenet5", "squeezenet", "shufflenet_v2", "mobilenet_v3", "unet_transposed",
         "convnext", "googlenet")  # fmt: skip


def imported(model: bytes, folder: Path) -> Imported:
    path = folder / "model.onnx"
    path.write_bytes(model)
    found = import_onnx(path, "Net")
    assert found.difference < 3e-5
    return found


@pytest.mark.parametrize("name", sorted(FORMS.keys() & LAYERS.keys() - AWAY - NOT_BACK))
def test_what_is_exported_comes_back(name: str, rng: np.random.Generator, tmp_path: Path) -> None:
    """Every layer as itself, or as what it is without training."""
    for i, example in enumerate(LAYERS[name].examples):
        network = check_text(example_spec(example))
        if len(network.inputs) > 1 and LAYERS[name].takes:  # lengths, which nothing in ONNX tells from other numbers
            continue
        found = imported(export_onnx(with_numbers(network, rng), channels_first=i % 2 == 0), tmp_path)
        assert SAME_AS.get(name, name) in found.written.text


@pytest.mark.parametrize("name", sorted(NOT_BACK))
def test_what_does_not_come_back(name: str, rng: np.random.Generator, tmp_path: Path) -> None:
    """It is refused with the node, or imported as something that computes the same; not every use of a layer is."""
    refused = 0
    for example in LAYERS[name].examples:
        trained = with_numbers(check_text(example_spec(example)), rng)
        try:
            imported(export_onnx(trained), tmp_path)
        except DataError as error:
            refused += 1
            assert re.search(r"the language lacks what this model has:\n  (\S+ \(\w+\) of |output out: )", str(error))
    assert refused > 0, "take it out of NOT_BACK"


@pytest.mark.parametrize("path", [p for p in SPECS if p.stem not in LARGE | UNKNOWN], ids=lambda p: p.stem)
def test_specs_come_back(path: Path, rng: np.random.Generator, tmp_path: Path) -> None:
    network = check_file(path)
    found = imported(export_onnx(with_numbers(network, rng)), tmp_path)
    assert sum(p.elements for p in found.network.parameters) == sum(p.elements for p in network.parameters)
    assert {head.name for head in found.network.heads} == {head.name for head in network.heads}


def test_the_text(rng: np.random.Generator, tmp_path: Path) -> None:
    """Chains as one writes them, names where they are needed."""
    network = check_text(
        "net N {\n  input image: 8x8x3\n  conv(4, 3x3, pad=same, name=stem) -> batchnorm -> relu\n"
        "  a = conv(4, 3x3, pad=same) -> relu\n  b = a -> conv(4, 1x1) -> batchnorm\n"
        "  add(a, b) -> relu -> maxpool(2x2)\n"
        "  flatten -> dense(3) -> softmax\n}\n"
    )
    assert imported(export_onnx(with_numbers(network, rng)), tmp_path).written.text == (
        "# Imported from model.onnx.\nnet Net {\n  input image: 8x8x3\n\n"
        "  conv(4, 3x3, pad=same, name=stem) -> batchnorm -> relu\n"
        "  relu2 = conv(4, 3x3, pad=same) -> relu\n"
        "  batchnorm2 = relu2 -> conv(4, 1x1) -> batchnorm\n"
        "  add(relu2, batchnorm2) -> relu -> maxpool(2x2) -> flatten\n  dense(3) -> softmax\n}\n"
    )


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(networks())
def test_random_networks(text: str) -> None:
    """Of the whole language: as ONNX they compute the same, and come back unless they cut images or read sequences, or
    are refused for a layer of `NOT_BACK`. Rounding to bf16 does not go out, and that to integers takes numbers apart
    that are nearly the same: its ONNX is looked at in `test_quantized_onnx.py`."""
    rng = np.random.default_rng(0)
    network = check_text(text.replace("precision mixed\n", "").replace("quantize int8\n", ""))
    trained = with_numbers(network, rng)
    positive = {name: np.abs(a) + 0.3 for name, a in trained.parameters.items() if name.endswith((".var", ".std"))}
    trained = replace(trained, parameters={**trained.parameters, **positive})
    try:
        model = export_onnx(trained)
    except CallError as error:
        assert "no form in ONNX" in str(error) or "declares" in str(error)
        return
    assert_same(trained, rng, tolerance=1e-4)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(model)
        sequences = any(len(value.shape) == 2 for value in network.inputs)
        names = {name_of(node.layer) for node in network.nodes}
        if sequences or names & AWAY:
            return
        try:
            import_onnx(path, "m")
        except DataError:
            assert names & NOT_BACK


@pytest.mark.torch
@pytest.mark.parametrize("dynamo", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SMALL)
def test_models_of_pytorch(name: str, dynamo: bool, tmp_path: Path) -> None:
    """All of them are tried by `python tests/onnx_models.py`; docs/interchange.md counts them."""
    pytest.importorskip("torch")
    models = pytest.importorskip("onnx_models")
    if dynamo:
        pytest.importorskip("onnxscript")
        if name == "convnext":
            pytest.skip("its exporter takes the images apart number by number")
    models.export(name, tmp_path / "m.onnx", dynamo)
    assert import_onnx(tmp_path / "m.onnx", name).difference < 1e-5


# ------------------------------------------------------------------------------------------- made by hand


def model(*nodes: object, size: tuple[int | str, ...] = (4,), **constants: np.ndarray) -> bytes:
    """A model from x to y."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info("x", kind, ["n", *size])],
        [helper.make_tensor_value_info("y", kind, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def test_what_is_lacking_is_listed(tmp_path: Path) -> None:
    """All of it in one error, with node and shape; what only follows from it is not."""
    make = onnx.helper.make_node
    path = tmp_path / "m.onnx"
    path.write_bytes(
        model(
            make("Sin", ["x"], ["a"], name="wave"), make("Relu", ["a"], ["b"]),
            make("CumSum", ["x", "axis"], ["c"], name="sums"), make("Add", ["b", "c"], ["y"]),
            axis=np.array(1),
        )
    )  # fmt: skip
    with pytest.raises(DataError) as error:
        import_onnx(path, "m")
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert "wave (Sin) of 1x4" in lines[1] and "sums (CumSum) of 1x4" in lines[2]


def test_a_layer_norm_in_pieces(tmp_path: Path, rng: np.random.Generator) -> None:
    """As exporters wrote it before it was an operator."""
    make = onnx.helper.make_node
    found = imported(
        model(
            make("ReduceMean", ["x"], ["m"], axes=[-1]), make("Sub", ["x", "m"], ["d"]),
            make("Pow", ["d", "two"], ["s"]),
            make("ReduceMean", ["s"], ["v"], axes=[-1]), make("Add", ["v", "eps"], ["w"]), make("Sqrt", ["w"], ["r"]),
            make("Div", ["d", "r"], ["n"]), make("Mul", ["n", "g"], ["k"]), make("Add", ["k", "b"], ["y"]),
            two=np.array(2, np.float32), eps=np.array(1e-5, np.float32), g=rng.random(4).astype(np.float32),
            b=rng.random(4).astype(np.float32),
        ), tmp_path,
    )  # fmt: skip
    assert [type(node.layer).__name__ for node in found.network.nodes] == ["LayerNorm"]


@pytest.mark.filterwarnings("ignore")
def test_models_of_scikit_learn(tmp_path: Path, rng: np.random.Generator) -> None:
    """By skl2onnx: scaled and normalized inputs, classes of two kinds, several targets; what picks a class is left
    out."""
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    x = rng.standard_normal((60, 4)).astype(np.float32)
    many, two = rng.integers(0, 3, 60), np.array(["no", "yes"])[rng.integers(0, 2, 60)]
    for estimator, y, kinds in (
        (
            make_pipeline(StandardScaler(), MLPClassifier((5,), max_iter=9)),
            many,
            "standardize dense relu dense softmax",
        ),
        (make_pipeline(Normalizer(), LogisticRegression()), many, "l2_normalize dense softmax"),
        (MLPClassifier((3,), "tanh", max_iter=9), two, "dense tanh dense sigmoid batchnorm concat"),
        (Ridge(), x[:, :2] @ np.ones((2, 2)), "dense"),
    ):
        model = skl2onnx.to_onnx(estimator.fit(x, y), x[:1])
        found = imported(model.SerializeToString(), tmp_path)
        assert [name_of(node.layer) for node in found.network.nodes] == kinds.split()
        assert len(found.left) == (kinds != "dense")


@pytest.mark.parametrize("change", [
    lambda g: g.input[0].type.tensor_type.shape.dim[1].__setattr__("dim_value", 2**40),
    lambda g: g.input[0].type.tensor_type.shape.dim[1].__setattr__("dim_param", "free"),
    lambda g: g.input[0].type.tensor_type.__setattr__("elem_type", 7),
    lambda g: g.initializer[0].dims.__setitem__(0, 2**50),
    lambda g: g.initializer[0].dims.__setitem__(0, -2),
    lambda g: g.initializer[0].__setattr__("data_type", 77),
    lambda g: g.node[0].__setattr__("op_type", "Conv"),
    lambda g: g.node[0].input.__setitem__(0, "nothing"),
    lambda g: g.node[0].attribute[0].__setattr__("type", 3),
    lambda g: g.output[0].__setattr__("name", "nothing"),
    lambda g: g.node.insert(0, onnx.helper.make_node("Upsample", ["x", "s"], ["x2"])),
    lambda g: g.ClearField("input"),
])  # fmt: skip
def test_hostile_models(change: Callable[[object], object], tmp_path: Path) -> None:
    """One error, in little memory; tests/fuzz_files.py tries many more by chance."""
    whole = onnx.ModelProto()
    whole.ParseFromString(
        model(onnx.helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), w=np.ones((2, 4), np.float32))
    )
    change(whole.graph)
    path = tmp_path / "m.onnx"
    path.write_bytes(whole.SerializeToString())
    with pytest.raises(DataError):
        import_onnx(path, "m")


def test_sizes_that_are_free(tmp_path: Path) -> None:
    """What is fixed of them has to fit."""
    path = tmp_path / "m.onnx"
    nodes = [onnx.helper.make_node("GlobalMaxPool", ["x"], ["p"]), onnx.helper.make_node("Flatten", ["p"], ["y"])]
    path.write_bytes(model(*nodes, size=(3, "rows", "columns")))
    with pytest.raises(DataError, match=r"not fixed: \?x3x\?x\?"):
        import_onnx(path, "m")
    with pytest.raises(DataError, match="does not fit"):
        import_onnx(path, "m", (5, 6, 4))
    assert import_onnx(path, "m", (5, 6, 3)).network.inputs[0].shape == (5, 6, 3)


def test_without_onnxruntime(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package onnx evaluates models too; without that there is one clear line."""
    network = check_text("net N {\n  input x: 4\n  dense(3) -> gelu\n}\n")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = imported(export_onnx(with_numbers(network, rng)), tmp_path)
    assert 0 < found.difference < 1e-6
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (lambda: import_onnx(tmp_path / "model.onnx", "m"), lambda: export_onnx(with_numbers(network, rng))):
        with pytest.raises(UsageError, match=r"pip install dslc\[onnx\]"):
            call()


def test_files_beside(tmp_path: Path) -> None:
    """Arrays in a file of the folder are read; outside of it they are refused."""
    weight = np.arange(8, dtype=np.float32).reshape(2, 4)
    whole = onnx.ModelProto()
    whole.ParseFromString(model(onnx.helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), w=weight))
    (tmp_path / "w.bin").write_bytes(b"....." + weight.tobytes())
    tensor = whole.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "w.bin"), ("offset", "5")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "m.onnx").write_bytes(whole.SerializeToString())
    parameters = import_onnx(tmp_path / "m.onnx", "m").written.parameters
    np.testing.assert_array_equal(parameters["dense1.weight"], weight)
    (inside / "link").symlink_to(tmp_path / "w.bin")
    for location in ("../w.bin", str(tmp_path / "w.bin"), "link", ".", ""):
        tensor.external_data[0].value = location
        (inside / "m.onnx").write_bytes(whole.SerializeToString())
        with pytest.raises(DataError, match="outside of the model's folder"):
            import_onnx(inside / "m.onnx", "m")


@pytest.mark.slow
def test_on_the_command_line(tmp_path: Path, rng: np.random.Generator) -> None:
    """Both files, which `predict` and `load` take; nothing is replaced unasked; bad calls and bad files."""
    network = check_text("net N {\n  input x: 4\n  dense(3) -> softmax\n}\n")
    (tmp_path / "m.onnx").write_bytes(export_onnx(with_numbers(network, rng)))
    done = dslc("import", "m.onnx", "-o", "nets/iris", cwd=tmp_path)
    assert done.returncode == 0 and "largest difference" in done.stdout, done.stderr
    model = package.load(tmp_path / "nets" / "iris.net")
    model.load_weights(tmp_path / "nets" / "iris.weights.safetensors")
    assert model.predict(np.ones((2, 4))).shape == (2, 3)
    done = dslc("predict", "nets/iris.weights.safetensors", "--data", "iris", "-o", "p.npy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = dslc("import", "m.onnx", "-o", "nets/iris", cwd=tmp_path)
    assert again.returncode == 2 and "exists already" in again.stderr
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "m.onnx").read_bytes()[:90])
    for name, status, words in (
        ("cut.onnx", 1, "damaged"),
        ("none.onnx", 1, "none.onnx"),
        ("m.net", 2, "no .onnx file"),
    ):
        done = dslc("import", name, cwd=tmp_path)
        assert done.returncode == status and words in done.stderr and "Traceback" not in done.stderr
