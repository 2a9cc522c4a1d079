"""Quantized networks as ONNX: what onnxruntime computes with QuantizeLinear, against the integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_quantization import EVERYTHING, NAMES, Case, case_of
from test_quantize_training import COLUMNS, SETTINGS
from test_quantize_training import EVERYTHING as ROUNDED

from dslc.quantization.endings import finish
from dslc.quantization.onnx_model import export_quantized_onnx
from dslc.quantization.program import Product
from dslc.runtime.model import Model
from dslc.runtime.quantized import QuantizedModel
from dslc.runtime.runs.quantized import read_quantized, write_quantized

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

SEQUENCE = """net Sequence {
  input x: 12x5
  standardize
  conv1d(8, 3, pad=same) -> batchnorm -> relu -> maxpool1d(2)
  dense(6) -> tanh -> flatten -> batchnorm -> dense(4)
}
"""
TEXTS = {"everything": EVERYTHING, "names": NAMES, "sequence": SEQUENCE, "columns": COLUMNS.partition("train")[0]}


def said_of(model: bytes, x: np.ndarray, optimized: bool) -> np.ndarray:
    """What onnxruntime computes, with the graph as it is or with its integer operators in it."""
    options = runtime.SessionOptions()
    levels = runtime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    return found


@pytest.mark.parametrize("bits", [8, 7])
@pytest.mark.parametrize("name", TEXTS)
def test_is_within_a_step_of_the_integers(name: str, bits: int) -> None:
    """Of those that differ at all there are few: sums in the middle of two steps."""
    case: Case = case_of(TEXTS[name], bits)
    (ending,) = case.program.endings
    expected = finish(case.program, case.trained, ending, case.said)
    step = case.program.tensor(ending.tensor).encoding.scale
    model = export_quantized_onnx(case.trained, case.program)
    for optimized in (False, True):
        off = np.abs(said_of(model, case.x, optimized) - expected.reshape(len(case.x), *expected.shape[1:]))
        assert off.max() <= step * 1.001 and (off > step / 100).mean() < 0.02


def test_images_with_channels_first() -> None:
    case = case_of(EVERYTHING, 8)
    whole = said_of(export_quantized_onnx(case.trained, case.program), case.x, False)
    first = said_of(export_quantized_onnx(case.trained, case.program, True), np.moveaxis(case.x, 3, 1).copy(), False)
    assert np.array_equal(whole, first)


def test_weights_are_bytes() -> None:
    case = case_of(EVERYTHING, 8)
    model = onnx.load_from_string(export_quantized_onnx(case.trained, case.program))
    kinds = {t.name: t.data_type for t in model.graph.initializer}
    products = [op for op in case.program.operations if isinstance(op, Product)]
    assert all(kinds[f"{op.name}/weight"] == onnx.TensorProto.INT8 for op in products)
    assert all(kinds[f"{op.name}/bias"] == onnx.TensorProto.INT32 for op in products)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_of_a_folder_and_of_a_training_that_rounds(tmp_path: Path) -> None:
    """The folder of the integers keeps no weights in float. The run itself, exported, rounds too."""
    import dslc
    from dslc.export.onnx.model import export_onnx
    from dslc.runtime.runs.trained import trained

    model: Model = dslc.loads(ROUNDED + SETTINGS)
    x = np.random.default_rng(8).normal(size=(40, 6, 6, 3)).astype(np.float32)
    model.fit(x, np.arange(40) % 5, epochs=3)
    small: QuantizedModel = dslc.quantize(model, x)
    write_quantized(tmp_path / "q", small, "")
    again = read_quantized(str(tmp_path / "q"))
    step = again.program.tensor(again.program.endings[0].tensor).encoding.scale
    found = said_of(export_quantized_onnx(again.trained, again.program), x, False)
    assert np.abs(found - again.predict(x)).max() <= step
    simulated = said_of(export_onnx(trained(model.network, model.copy_weights(), model.schema)), x, False)
    assert (np.abs(simulated - model.predict(x)) > 1e-5).mean() < 0.05, "all but sums in the middle of two steps"
    assert np.abs(simulated - found).max() <= step
