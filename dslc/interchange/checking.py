"""Compares an imported network with the model that it comes from, on random inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dslc.interchange.onnx_file import OnnxGraph
from dslc.interchange.translate import Translated
from dslc.interchange.writer import Written
from dslc.ir import Network
from dslc.language.diagnostics import DataError
from dslc.numerics import Array, np
from dslc.proofs.reference import Interpreter

TOLERANCE = 1e-4
"""How much of the largest number of an output may differ: single precision, through a deep network."""


def difference(path: Path, graph: OnnxGraph, found: Translated, written: Written, network: Network) -> float:
    """The largest difference of any output from the model's, relative to the largest number of that output (or 1), by
    onnxruntime or else the evaluator of the package onnx.

    Raises:
        DataError: the model cannot be run, or differs by more than rounding does.
    """
    random = np.random.default_rng(0)
    batch = graph.inputs[0].shape[0] or 2
    ours = {name: random.standard_normal((batch, *x.shape)).astype(np.float32) for name, x in found.inputs.items()}
    theirs = {
        name: np.ascontiguousarray(x.reshape(batch, -1)[:, found.inputs[name].index.ravel()].reshape(
            batch, *found.inputs[name].index.shape)) for name, x in ours.items()
    }  # fmt: skip
    parameters = {name: np.asarray(array, np.float32) for name, array in written.parameters.items()}
    read = {word: ours[name] for name, word in written.inputs.items()}
    predicted = Interpreter(network, parameters).predict(read)
    wanted = _run(path, [end.name for end in found.ends], theirs)
    worst = 0.0
    for end, array in zip(found.ends, wanted, strict=True):
        flat = predicted[written.outputs[end.name]].reshape(batch, -1)
        array = _as_array(array)
        mine = flat[:, end.value.index.ravel()].reshape(array.shape)
        worst = max(worst, _distance(mine, array))
    if not worst <= TOLERANCE:
        raise DataError(
            f"the imported network differs from {path} by {worst:.3g} on random inputs: this is a fault of dslc"
        )
    return worst


def _as_array(output: Any) -> Array:
    """An output; of ZipMap a dict by class for each example."""
    if isinstance(output, list) and output and isinstance(output[0], dict):
        return np.array([list(row.values()) for row in output], np.float32)
    return np.asarray(output)


def _distance(mine: Array, theirs: Array) -> float:
    """Relative to the largest number; infinite where one is finite and the other is not."""
    if not np.array_equal(np.isfinite(mine), np.isfinite(theirs)):
        return float("inf")
    there = np.isfinite(theirs)
    if not there.any():
        return 0.0
    return float(np.abs(mine[there] - theirs[there]).max() / max(1.0, float(np.abs(theirs[there]).max())))


def _run(path: Path, outputs: list[str], inputs: Mapping[str, Array]) -> list[Any]:
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        kinds = {"tensor(float16)": np.float16, "tensor(double)": np.float64}
        given = {i.name: inputs[i.name].astype(kinds.get(i.type, np.float32)) for i in session.get_inputs()}
        return list(session.run(outputs, given))
    except ImportError:
        pass
    except Exception as error:  # its exceptions have no common class of their own
        raise DataError(f"onnxruntime refuses {path}: {str(error).splitlines()[0]}") from None
    from onnx.reference import ReferenceEvaluator

    try:
        return list(ReferenceEvaluator(str(path)).run(outputs, dict(inputs)))
    except Exception as error:  # those of NumPy, of onnx, and of what they call
        raise DataError(f"the package onnx cannot run {path}: {error}") from None
