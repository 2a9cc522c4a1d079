"""Quantization: the arithmetic against its formulas, the C against NumPy bit for bit, and what a run loses."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_export_targets import BOARDS

import dslc
from dslc import SpecError
from dslc.cli.main import run as dslc_run
from dslc.compiler import check_text
from dslc.export.network import Trained, Wishes
from dslc.ir import Node
from dslc.proofs.quantized import verify_quantized
from dslc.quantization.analysis import size_before
from dslc.quantization.arithmetic import encoding_of, fixed_point, shifted
from dslc.quantization.calibration import float_values
from dslc.quantization.endings import finish
from dslc.quantization.export import export_quantized, export_quantized_page
from dslc.quantization.forms import FORMS, Affine, Form
from dslc.quantization.program import Product, Program
from dslc.quantization.quantize import Ranges, quantize
from dslc.quantization.reference import compute, encode, run
from dslc.quantization.stages import stages_of
from dslc.quantization.storage import from_arrays, to_arrays
from dslc.runtime.data.datasets import load_dataset
from dslc.runtime.data.examples import DataNote
from dslc.runtime.model import Model
from dslc.runtime.native import integers
from dslc.runtime.quantized import QuantizedModel
from dslc.runtime.runs.quantized import read_quantized, write_quantized
from dslc.target import TARGETS, Target, native
from exporting import AARCH64, HERE, WASM, Export, Host, random_parameters, run_compiler
from helpers import REPO, all_threads_come, runs

MAIN = Path(__file__).with_name("exported_integers.c")
EVERYTHING = """net Everything {
  input image: 9x8x3
  standardize
  a = conv(8, 3x3, pad=same, stride=2) -> batchnorm -> relu
  a -> depthwise(3x3, pad=1) -> batchnorm -> relu6
  conv(8, 1x1) -> add(a) -> relu
  maxpool(2x2, ceil=on) -> tanh
  b = avgpool(2, stride=1, pad=1)
  b -> conv(70, 3x3, groups=2, pad=same, dilation=2) -> relu -> depthwise(3x3, pad=same) -> concat(b)
  c = batchnorm
  c -> relu -> subtract(c)
  conv(20, 2x3) -> depthwise(2x1) -> conv(41, 1x1) -> depthwise(1x2, pad=1)
  d = global_avgpool -> scale -> dropout(0.2)
  d -> dense(19) -> sigmoid -> dense(5) -> softmax
}
"""
DIGITS = """net Digits {
  input image: 8x8x1
  conv(8, 3x3, pad=same) -> batchnorm -> relu -> maxpool(2x2)
  conv(12, 3x3, pad=same) -> batchnorm -> relu
  flatten -> dense(10) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(0.005)
  batch     64
  epochs    6
}
"""


@dataclass(frozen=True)
class Case:
    """A network in float and in integers, with inputs, their bytes, and the values of both."""

    trained: Trained
    program: Program
    x: np.ndarray
    bytes: np.ndarray
    integers: dict[str, np.ndarray]
    real: dict[str, np.ndarray]

    @property
    def said(self) -> np.ndarray:
        return self.integers[self.program.endings[0].tensor]


def case_of(text: str, bits: int, ranges: Ranges = "mse") -> Case:
    rng = np.random.default_rng(5)
    network = check_text(text)
    parameters = random_parameters(network, rng)
    parameters |= {n: np.abs(a) + 0.2 for n, a in parameters.items() if n.endswith((".var", ".std"))}
    trained = Trained(network, parameters)
    (value,) = network.inputs
    x = rng.normal(size=(40, *value.shape)).astype(np.float32)
    program = quantize(trained, {value.name: x}, bits, ranges)
    (port,) = program.ports
    q = encode(program, port, x)
    real = float_values(network, parameters, {value.name: x})
    return Case(trained, program, x, q, run(program, {port.tensor: q}), real)


@pytest.fixture(scope="module", params=[8, 7])
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(EVERYTHING, request.param)


# ------------------------------------------------------------------------------------------------- the formulas


@given(st.integers(-(2**62), 2**62), st.integers(1, 62))
def test_shift_rounds_halves_away_from_zero(product: int, shift: int) -> None:
    exact = Fraction(product, 2**shift)
    nearest = math.floor(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    assert int(shifted(np.int64(product), shift)) == nearest


@given(st.lists(st.floats(1e-12, 1e6), min_size=1, max_size=9))
def test_multipliers_are_close(scales: list[float]) -> None:
    multipliers, shift = fixed_point(np.array(scales))
    assert 1 <= shift <= 62 and multipliers.max() < 2**31
    error = np.abs(multipliers / 2.0**shift - scales)
    assert (error <= max(2.0**-31 * max(scales), 2.0**-63)).all()


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3), st.sampled_from([127, 255]))
def test_encoding_has_zero_and_is_within_half_a_step(low: float, width: float, high: int) -> None:
    encoding = encoding_of(low, low + width, high)
    assert encoding.decode(encoding.encode(np.zeros(1)))[0] == 0
    x = np.linspace(min(low, 0), max(low + width, 0), 50)
    assert np.abs(encoding.decode(encoding.encode(x)) - x).max() <= encoding.scale * 1.001


def test_product_is_the_sum_of_the_paper(case: Case) -> None:
    """Equation 7 of Jacob et al. with whole numbers of Python, at the last pixel, where there is padding: q3 is Z3 +
    (S1 S2 / S3) * sum of (q1 - Z1) q2, and the bias, to the nearest."""
    op = next(op for op in case.program.operations if isinstance(op, Product))
    x, y = (case.program.tensor(name).encoding for name in (op.reads[0], op.y))
    w = op.window
    (i, j), image = (w.result[0] - 1, w.result[1] - 1), case.bytes[0].reshape(w.image)
    for f in range(len(op.weight)):
        total = int(op.bias[f]) + x.zero * int(op.weight[f].astype(int).sum())  # the bias alone
        for r in range(w.size[0]):
            for s in range(w.size[1]):
                row, column = i * w.stride[0] + r - w.before[0], j * w.stride[1] + s - w.before[1]
                if 0 <= row < w.image[0] and 0 <= column < w.image[1]:
                    for c in range(w.image[2]):
                        total += (int(image[row, column, c]) - x.zero) * int(op.weight[f, r, s, c])
        exact = Fraction(total * int(op.multiplier[f]), 2**op.shift)
        nearest = math.floor(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
        assert case.integers[op.y][0, i, j, f] == min(max(y.zero + nearest, 0), y.high)


@pytest.mark.parametrize("bits", [8, 7])
def test_every_operation_is_within_its_rounding(bits: int) -> None:
    """Each operation alone, on the values in float as bytes: x is off by half a step of x, a weight by half a step of
    its filter, and the result by half a step of y; no formula here is steeper than 1."""
    case = case_of(EVERYTHING, bits, "minmax")
    stages = stages_of(case.trained.network, case.trained.parameters).stages
    steps = {tensor.name: tensor.encoding.scale for tensor in case.program.tensors}
    for op, stage in zip(case.program.operations, stages, strict=True):
        encodings = {name: case.program.tensor(name).encoding for name in (*op.reads, op.y)}
        given = tuple(encodings[name].encode(case.real[name]) for name in op.reads)
        found = encodings[op.y].decode(compute(case.program, op, given))
        allowed = sum(steps[name] for name in op.reads) / 2
        if isinstance(stage.form, Affine):
            weight = np.abs(stage.form.weight).reshape(len(stage.form.weight), -1)
            x, w = steps[op.reads[0]], weight.max(axis=1) / 127
            largest = np.abs(case.real[op.reads[0]]).max() + x
            allowed = x / 2 * weight.sum(axis=1) + w / 2 * (weight.shape[1] * largest + x)
        error = np.abs(found - case.real[op.y])
        assert (error <= (allowed + steps[op.y] / 2) * 1.01).all(), (op.name, error.max())
        assert error.max() > steps[op.y] / 8, "the integers would be as good as floats"


def test_batchnorm_and_relu_are_in_the_convolution(case: Case) -> None:
    names = [op.name for op in case.program.operations]
    assert "conv1" in names and "batchnorm1" not in names and "relu1" not in names


def test_storage_gives_the_same_back(case: Case) -> None:
    arrays, text = to_arrays(case.program)
    again = from_arrays(arrays, text)
    assert to_arrays(again)[1] == text and json.loads(text)["kind"] == "Program"
    (port,) = again.ports
    assert np.array_equal(run(again, {port.tensor: case.bytes})[again.endings[0].tensor], case.said)


# ------------------------------------------------------------------------------------------------- the C


def exported(case: Case, wishes: Wishes, folder: Path) -> Export:
    for name, contents in export_quantized(case.trained, case.program, wishes).files.items():
        (folder / name).write_bytes(contents)
    return Export(case.trained, wishes, folder)


def integers_of(found: Export, case: Case, host: Host, *flags: str) -> np.ndarray:
    (found.folder / "x").write_bytes(case.bytes.tobytes())
    found.run(found.program(MAIN, host, *flags), host, str(found.wishes.batch), found.folder / "x", found.folder / "y")
    return np.fromfile(found.folder / "y", np.uint8).reshape(case.said.shape)


@pytest.mark.parametrize("target", [TARGETS["c99"], TARGETS["x86-64-v3"], TARGETS["x86-64-v4"], native()], ids=str)
def test_c_has_the_bits_of_numpy(target: Target, case: Case, tmp_path: Path) -> None:
    if not runs(target):
        pytest.skip("another CPU")
    found = exported(case, Wishes(target, batch=17), tmp_path)
    assert np.array_equal(integers_of(found, case, HERE, "-O1"), case.said)


def test_sanitizers_find_nothing(case: Case, tmp_path: Path) -> None:
    target = next(t for t in (TARGETS["x86-64-v3"], TARGETS["c99"]) if runs(t))
    found = exported(case, Wishes(target, batch=3), tmp_path)
    checks = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    assert np.array_equal(integers_of(found, case, HERE, *checks), case.said)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("host", "target"),
    [(AARCH64, "aarch64"), (AARCH64, "aarch64-dotprod"), (WASM, "wasm"), (BOARDS[1].host, BOARDS[1].target)],
    ids=["arm64", "dotprod", "wasm", "m4"],
)
def test_other_machines_have_the_same_bits(host: Host, target: str, case: Case, tmp_path: Path) -> None:
    host.require()
    assert np.array_equal(integers_of(exported(case, Wishes(TARGETS[target]), tmp_path), case, host), case.said)


def test_pages_have_the_weights_in_the_module(tmp_path: Path) -> None:
    """LeNet-5 for browsers: one module of less than 150 KB that imports nothing, run by `network.js` in node."""
    missing = [name for name in ("node", "clang", "wasm-ld") if shutil.which(name) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        pytest.fail(reason) if os.environ.get("DSLC_REQUIRE_TARGETS") else pytest.skip(reason)
    case = case_of((REPO / "specs" / "lenet5.net").read_text(), 8)
    files = export_quantized_page(case.trained, case.program, small=False, training=False)
    assert sum(map(len, files.values())) < 150_000 and not any(name.endswith(".weights") for name in files)
    for name, contents in files.items():
        (tmp_path / name).write_bytes(contents)
    program = ["node", "--no-warnings", str(Path(__file__).with_name("run_page.mjs")), str(tmp_path)]
    given = json.dumps(case.x.reshape(len(case.x), -1).tolist())
    done = subprocess.run(program, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = finish(case.program, case.trained, case.program.endings[0], case.said)
    assert np.abs(np.array(json.loads(done.stdout)) - expected).max() < 1e-6


def test_predicts_numbers_too(case: Case, tmp_path: Path) -> None:
    """The example program, against the head's layers in NumPy."""
    found = exported(case, Wishes(TARGETS["c99"]), tmp_path)
    net = found.compile(tmp_path / "net.o", "-c", "-O1")
    run_compiler("gcc", "-std=c99", str(tmp_path / "main.c"), str(net), "-lm", "-o", str(tmp_path / "main"))
    (tmp_path / "examples.bin").write_bytes(case.x.tobytes())
    said = subprocess.run(["./main", "examples.bin"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    numbers = np.array([line.split() for line in said.splitlines()], np.float32)
    expected = finish(case.program, case.trained, case.program.endings[0], case.said)
    assert np.abs(numbers - expected).max() < 1e-6


ENDS = """net End {
  input x: 3x5
  dense(4) -> softmax -> tanh
}
"""
SINGLE = "net End {\n  input x: 6\n  dense(3)\n}\n"
NAMES = """net End {
  input x: 6x5x2
  standardize
  image_layer = conv(3, 3x3) -> tanh(name=image)
  avgpool(2x2, name=image_input) -> tanh(name=predict) -> flatten -> dense(3, name=at) -> linear
}
"""


@pytest.mark.parametrize(
    ("text", "shift"), [(ENDS, 0), (SINGLE, 0), (NAMES, 0), (NAMES, 1e5)], ids=["rows", "one", "names", "far"]
)
def test_floats_with_sanitizers(text: str, shift: float, tmp_path: Path) -> None:
    """Several layers behind the integers, each over all rows; and names that the C has too. No warning, no errors."""
    case = case_of(text, 8)
    value = case.trained.network.inputs[0]
    offsets = {value.name: (shift,) * value.elements} if shift else {}
    case = replace(case, trained=replace(case.trained, offsets=offsets))
    found = exported(case, Wishes(TARGETS["c99"], batch=3), tmp_path)
    checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Wshadow", "-Werror")
    sources = [str(tmp_path / name) for name in ("main.c", f"{found.prefix}.c")]
    run_compiler("gcc", "-std=c99", "-O1", *checks, *sources, "-lm", "-o", str(tmp_path / "main"))
    x = (case.x + shift).astype(np.float32)
    (tmp_path / "examples.bin").write_bytes(x.tobytes())
    done = subprocess.run(["./main", "examples.bin"], cwd=tmp_path, capture_output=True, text=True, check=True)
    numbers = np.array([line.split() for line in done.stdout.splitlines()], np.float32)
    (port,), (ending,) = case.program.ports, case.program.endings
    given = encode(case.program, port, (x.astype(np.float64) - shift).astype(np.float32))
    said = run(case.program, {port.tensor: given})[ending.tensor]
    expected = finish(case.program, case.trained, ending, said)
    assert np.abs(numbers - expected.reshape(numbers.shape)).max() < 1e-6


def test_size_before_is_that_of_what_predicts() -> None:
    text = "net A {\n  input x: 6\n  output aux = x -> dense(3) train_only\n  output main = x -> dense(4)\n}\n"
    network = check_text(text)
    assert size_before(Trained(network, random_parameters(network, np.random.default_rng(0)))) == 4 * 28


def test_microcontrollers_need_no_floats(case: Case, tmp_path: Path) -> None:
    """Without a floating-point unit every operation on floats is a call of the compiler's library."""
    host = BOARDS[0].host
    host.require()
    found = exported(case, Wishes(TARGETS["cortex-m3"]), tmp_path)
    net = found.compile(tmp_path / "net.o", "-c", compiler=host.compiler)
    for function, floats in (("predict_quantized", False), ("predict", True)):
        keep = ("-r", "-nostdlib", "-Wl,--gc-sections", f"-Wl,-u,{found.prefix}_{function}")
        run_compiler(host.compiler, "-mcpu=cortex-m3", "-mthumb", *keep, str(net), "-o", str(tmp_path / "used.o"))
        command = ["arm-none-eabi-objdump", "-r", str(tmp_path / "used.o")]
        used = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert any(name in used for name in ("__aeabi_f", "__aeabi_d", "expf")) == floats, used


# ------------------------------------------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def model() -> Model:
    digits = load_dataset("digits")
    found = dslc.loads(DIGITS)
    found.fit(digits.train.x, digits.train.y)
    return found


def test_digits_lose_nothing(model: Model) -> None:
    digits = load_dataset("digits")
    part = digits.test or digits.train
    before = model.evaluate(part.x, part.y)
    for bits in (8, 7):
        found = dslc.quantize(model, digits.train.x, bits=bits)
        after = found.evaluate(part.x, part.y)
        assert before["accuracy"] > 0.9 and after["accuracy"] > before["accuracy"] - 0.003 - 0.0028 * (bits == 7)
        assert abs(after["loss"] - before["loss"]) < 0.02
        assert (found.predict_classes(part.x) == part.y).mean() == pytest.approx(after["accuracy"], abs=1e-6)
        assert found.confusion(part.x, part.y)["output"].sum() == len(part.x)
        with pytest.raises(dslc.DataError, match="NaN"):
            found.predict(np.full((70, 8, 8, 1), np.nan, np.float32))


def test_threads_share_rows_and_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three threads, more than some layers have rows: the bytes of NumPy for one example and for several calls' worth.
    The first layer reads behind its input, and the second output is read by another layer. One input is far from 0."""
    all_threads_come(monkeypatch.setattr)
    monkeypatch.setattr(integers, "LEAST_SHARED_NS", 0)
    monkeypatch.setattr(integers, "MOST", 7)
    known, rng = dslc.loads(SHARED, threads=1), np.random.default_rng(2)
    x = {"image": rng.normal(size=(40, 7, 9, 3)).astype(np.float32), "far": rng.normal(size=(40, 6)) + 1e4}
    known.schema = replace(known.schema, offsets={"far": (1e4,) * 6})
    found = dslc.quantize(known, x)
    found = QuantizedModel(found.trained, found.program, found.schema, signals=found.signals, threads=3)
    inputs = found.inputs(x)
    assert all(np.abs(found.predict(x)[name] - y).max() < 0.2 for name, y in known.predict(x).items())
    for n in (1, 2, 40):
        given = [2 * a[:n] for a in inputs]  # some of them outside of what was seen
        made = found.compiled.predict(given)
        for ending, c, numbers, numpy in zip(found.program.endings, *made, found.reference(given), strict=True):
            assert np.array_equal(c, numpy)
            assert np.abs(numbers - finish(found.program, found.trained, ending, numpy).reshape(n, -1)).max() < 1e-6


def test_images_as_they_are_stored(model: Model) -> None:
    """Bytes are numbers from 0 to 255: an image of bytes is predicted as its numbers are."""
    digits = load_dataset("digits")
    stored = np.round(digits.train.x[:20] * 255 / digits.train.x.max()).astype(np.uint8)
    found = dslc.quantize(model, stored)
    ffi, library = found.compiled.library.module.ffi, found.compiled.library
    out, memory = np.zeros((20, 10), np.uint8), np.zeros(found.compiled.printed.memory_bytes, np.uint8)
    given = [ffi.from_buffer("uint8_t[]", np.ascontiguousarray(stored)), 20, ffi.from_buffer("uint8_t[]", out)]
    assert library.function("predict_image")(*given, ffi.from_buffer("uint8_t[]", memory)) == 0
    assert np.array_equal(out, found.integers(found.inputs(stored))[0])
    assert library.function("predict_image")(*given, ffi.NULL) == 1


def test_commands(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, folder = tmp_path / "w.safetensors", tmp_path / "q"
    model.save(weights)
    assert dslc_run(["quantize", str(weights), "--data", "digits", "-o", str(folder), "--examples", "100"]) == 0
    said = capsys.readouterr().out
    assert "conv1" in said and "accuracy: " in said and (folder / "quantization.txt").exists()
    assert dslc_run(["verify", str(folder), "--examples", "70"]) == 0
    assert dslc_run(["evaluate", str(folder), "--data", "digits"]) == 0
    assert "accuracy 0.9" in capsys.readouterr().out
    table = tmp_path / "p.csv"
    assert dslc_run(["predict", str(folder), "--data", "digits", "-o", str(table)]) == 0
    assert len(table.read_text().splitlines()) > 300
    assert dslc_run(["export", str(folder), "--to", "c", "-o", str(tmp_path / "c"), "--portable"]) == 0
    assert "flash: " in capsys.readouterr().out and (tmp_path / "c" / "digits.c").exists()
    assert dslc_run(["export", str(folder), "--to", "onnx", "-o", str(tmp_path)]) == 0
    assert "QuantizeLinear" in capsys.readouterr().out and (tmp_path / "digits.onnx").exists()
    generic = ["export", str(folder), "--to", "c", "--target", "generic", "-o", str(tmp_path / "g")]
    assert dslc_run(generic) == 0
    machines = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("For "))
    assert "any compiler of C99" in machines and machines in (tmp_path / "g" / "README.md").read_text()
    refused = ["--training"], ["--to", "onnx", "--max-batch", "2"], ["--nchw"], ["--to", "wasm", "--training"]
    for wrong in (*refused, ["--to", "wasm", "--portable"]):
        assert dslc_run(["export", str(folder), *wrong]) == 2
    assert dslc_run(["export", str(folder), "--threads", "pthread"]) == 2
    assert "any compiler of C99" in (tmp_path / "c" / "README.md").read_text()
    assert dslc_run(["quantize", str(folder), "--data", "digits"]) == 1
    assert dslc_run(["quantize", str(weights), "--data", "iris", "-o", str(tmp_path / "r")]) == 1
    assert "error: " in capsys.readouterr().err


def test_refusals_tell_why(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, folder = tmp_path / "w.safetensors", tmp_path / "q"
    model.save(weights)
    found = dslc.quantize(model, load_dataset("digits").train.x, examples=40)
    write_quantized(folder, found, "")
    missing = str(tmp_path / "none")
    for command, reason in (
        (["quantize", str(weights), "--data", "digits", "-o", str(weights)], "is a file: name a folder"),
        (["quantize", missing], f"there is no run {missing}"),
        (["report", str(folder)], "is quantized: use the run it comes from"),
        (["errors", str(folder), "--data", "digits"], "is quantized: use the run it comes from"),
        (["compare", str(folder), str(folder)], "is quantized: use the run it comes from"),
    ):
        assert dslc_run(command) == 1
        assert reason in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(dslc.DataError, match="is quantized already"):
        dslc.quantize(found, np.zeros((5, 8, 8, 1)))  # type: ignore[arg-type]
    for wrong, allowed in (({"bits": 16}, "7 or 8"), ({"ranges": "foo"}, "'mse' or 'minmax'"), ({"examples": 0}, "1")):
        with pytest.raises(dslc.UsageError, match=allowed):
            dslc.quantize(model, np.zeros((5, 8, 8, 1)), **wrong)  # type: ignore[arg-type]


TIED = """net Tied {
  input x: 6
  dense(6, name=f) -> tanh -> linear
  dense(6, tie=f) -> tanh
  dense(3) -> softmax
}
"""


def _turned(node: Node, own: Mapping[str, np.ndarray]) -> Form:
    """A dense layer whose weights are the wrong way round."""
    weight = own["weight"]
    return FORMS["dense"](node, {**own, "weight": weight.T if weight.shape[0] == weight.shape[1] else weight})


@pytest.mark.parametrize("wrong", [False, True])
def test_verify_compares_with_floats(
    wrong: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tied weight is turned; and where one is the wrong way round, the C is as NumPy says, but not as in float."""
    known, x = dslc.loads(TIED), np.random.default_rng(3).normal(size=(200, 6)).astype(np.float32)
    rng = np.random.default_rng(4)
    known.restore_weights({n: rng.normal(size=a.shape).astype(np.float32) for n, a in known.copy_weights().items()})
    if wrong:
        monkeypatch.setattr("dslc.quantization.stages.FORMS", {**FORMS, "dense": _turned})
    write_quantized(tmp_path / "q", dslc.quantize(known, x), "")
    (row,) = verify_quantized(read_quantized(str(tmp_path / "q")), 20)
    assert row.differing == 0 and row.is_far == wrong and row.signal is not None and (wrong or row.signal > 20)
    assert dslc_run(["verify", str(tmp_path / "q")]) == 0
    said = capsys.readouterr()
    assert "dB" in said.out and ("says something else than the network in float" in said.err) == wrong


SHARED = """net Shared {
  input image: 7x9x3
  input far: 6
  a = image -> conv(16, 3x2, stride=2) -> relu -> maxpool(2x2, pad=same) -> depthwise(3x3, pad=same)
  a -> conv(5, 2x2, pad=same, dilation=2) -> tanh -> avgpool(2x2) -> flatten
  output main = dense(9) -> sigmoid
  b = far -> dense(3)
  output more = concat(main, b) -> dense(4) -> tanh
}
"""


def test_names_of_inputs_are_refused() -> None:
    with pytest.raises(dslc.UsageError, match="a layer has the name of the input h"):
        case_of("net A {\n  input h: 6\n  dense(6, name=h) -> dense(2)\n}\n", 8)


def test_layers_without_a_form_are_located() -> None:
    text = "net A {\n  input words: 6x4\n  lstm(5)\n  dense(3) -> softmax\n}\n"
    network = check_text(text)
    with pytest.raises(SpecError, match=r"lstm1 has no form in 8-bit integers"):
        stages_of(network, random_parameters(network, np.random.default_rng(0)))


def test_data_that_do_not_fit(model: Model) -> None:
    with pytest.raises(dslc.DataError, match=r"expected the shape \(n, 8, 8, 1\)"):
        dslc.quantize(model, np.zeros((5, 7, 7, 1)))
    with pytest.raises(dslc.DataError):
        dslc.quantize(model, np.full((5, 8, 8, 1), np.nan))


def test_a_saved_folder_is_loaded_again(model: Model, tmp_path: Path) -> None:
    """With the same bits; also a second time, from what was read. An edited spec beside the integers is told of."""
    x = np.random.default_rng(3).random((9, 8, 8, 1))
    found = dslc.quantize(model, x)
    found.save(tmp_path / "q")
    again = dslc.load(tmp_path / "q")
    again.save(tmp_path / "q")
    for loaded in (again, dslc.load(tmp_path / "q")):
        assert isinstance(loaded, QuantizedModel) and loaded.signals == found.signals
        np.testing.assert_array_equal(loaded.predict(x), found.predict(x))
    with pytest.raises(dslc.DataError, match="epochs cannot be set"):
        dslc.load(tmp_path / "q", epochs=3)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(dslc.DataError, match="holds no quantized network"):
        found.save(tmp_path / "other")
    text = (tmp_path / "q" / "spec.net").read_text()
    (tmp_path / "q" / "spec.net").write_text(text.replace("relu", "tanh", 1))
    with pytest.warns(DataNote, match="spec.net was edited and is not looked at"):
        np.testing.assert_array_equal(dslc.load(tmp_path / "q").predict(x), found.predict(x))
