"""8-bit integers: our C in integers and in float, onnxruntime and OpenVINO, interleaved, with as many threads each.

    python benchmarks/int8.py [--rounds 9] [--threads 1] [--only LeNet-5]

Prints for each network the milliseconds of a prediction and its time over that of our integers: the medians over the
rounds. In a round each contestant has its turn: it waits until threads of the one before have gone to sleep, predicts
once unmeasured, and then as often as a few milliseconds allow. onnxruntime's integers are both of its forms, QDQ and
QOperator; OpenVINO, where it is installed, runs the QDQ form. Takes about five minutes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import dslc
from dslc.export.onnx.model import export_onnx
from dslc.runtime.quantized import QuantizedModel
from dslc.runtime.runs.trained import trained

NETWORKS = {
    "LeNet-5": "input x: 28x28x1\n  conv(6, 5x5, pad=same) -> relu -> maxpool(2x2)\n  conv(16, 5x5) -> relu\n"
    "  maxpool(2x2)\n  flatten\n  dense(120) -> relu\n  dense(84) -> relu\n  dense(10) -> softmax",
    "digits CNN": "input x: 8x8x1\n  conv(12, 3x3, pad=same) -> relu -> maxpool(2x2)\n"
    "  conv(16, 3x3, pad=same) -> relu -> maxpool(2x2)\n  flatten -> dense(10) -> softmax",
    "MLP": "input x: 784\n  dense(512) -> relu\n  dense(512) -> relu\n  dense(10) -> softmax",
    "MobileNet-like": "input x: 64x64x3\n  conv(32, 3x3, stride=2, pad=same) -> relu\n"
    "  depthwise(3x3, pad=same) -> relu\n  conv(64, 1x1) -> relu\n  depthwise(3x3, stride=2, pad=same) -> relu\n"
    "  conv(128, 1x1) -> relu\n  depthwise(3x3, pad=same) -> relu\n  conv(128, 1x1) -> relu\n"
    "  global_avgpool -> dense(10) -> softmax",
    "ResNet-8": "input x: 32x32x3\n  a = conv(16, 3x3, pad=same) -> relu\n"
    "  a -> conv(16, 3x3, pad=same) -> relu -> conv(16, 3x3, pad=same) -> add(a)\n  b = relu\n"
    "  c = b -> conv(32, 1x1, stride=2)\n"
    "  b -> conv(32, 3x3, stride=2, pad=same) -> relu -> conv(32, 3x3, pad=same) -> add(c)\n  d = relu\n"
    "  e = d -> conv(64, 1x1, stride=2)\n"
    "  d -> conv(64, 3x3, stride=2, pad=same) -> relu -> conv(64, 3x3, pad=same) -> add(e) -> relu\n"
    "  global_avgpool -> dense(10) -> softmax",
    "3x3 convolution, 64 channels": "input x: 32x32x64\n  conv(64, 3x3, pad=same) -> relu",
    "dense, 1024 to 1024": "input x: 1024\n  dense(1024) -> relu",
}
"""Bodies of nets by name."""
TURN, QUIET = 0.006, 0.004
"""Seconds that a contestant is measured for at least, and that threads of the one before have to go to sleep."""


class Examples(CalibrationDataReader):
    """What onnxruntime calibrates with."""

    def __init__(self, x: Any) -> None:
        self.left: Iterator[dict[str, Any]] = iter([{"x": x}])

    def get_next(self) -> dict[str, Any] | None:
        """The next batch; None behind the last."""
        return next(self.left, None)


def session(path: Path, threads: int) -> Callable[[Any], Any]:
    """A prediction of onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    made = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: made.run(None, {"x": x})[0]


def openvino_request(path: Path, threads: int) -> Callable[[Any], Any]:
    """A prediction of OpenVINO, compiled for as many examples as come. Raises ImportError where it is not installed."""
    from openvino import Core

    core, made = Core(), {}
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}

    def predict(x: Any) -> Any:
        if x.shape not in made:
            model = core.read_model(str(path))
            model.reshape(list(x.shape))
            made[x.shape] = core.compile_model(model, "CPU", settings).create_infer_request()
        return made[x.shape].infer([x])[0]

    return predict


def contestants(body: str, x: Any, folder: Path, threads: int) -> dict[str, Callable[[Any], Any]]:
    """A prediction each; ours in integers is first."""
    model = dslc.loads(f"net Bench {{\n  {body}\n}}\n", threads=threads)
    made = dslc.quantize(model, x)
    small = QuantizedModel(made.trained, made.program, made.schema, threads=threads)
    (folder / "float.onnx").write_bytes(export_onnx(trained(model.network, model.copy_weights(), model.schema)))
    found = {"ours, int8": small.predict, "ours, float32": model.predict}
    for form in (QuantFormat.QDQ, QuantFormat.QOperator):
        path = folder / f"{form.name}.onnx"
        quantize_static(
            folder / "float.onnx", path, Examples(x), form, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        found[f"onnxruntime, int8 {form.name}"] = session(path, threads)
    with suppress(ImportError):
        found["OpenVINO, int8 QDQ"] = openvino_request(folder / "QDQ.onnx", threads)
    return {**found, "onnxruntime, float32": session(folder / "float.onnx", threads)}


def seconds(predict: Callable[[Any], Any], x: Any) -> float:
    """The time of a call, the mean of a turn."""
    time.sleep(QUIET)
    predict(x)
    calls, started, took = 0, time.perf_counter(), 0.0
    while took < TURN:
        predict(x)
        calls, took = calls + 1, time.perf_counter() - started
    return took / calls


def main() -> None:
    """All networks, with one example and with 64."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=NETWORKS)
    given = parser.parse_args()
    for name in [given.only] if given.only else NETWORKS:
        shape = [int(n) for n in NETWORKS[name].split("\n")[0].removeprefix("input x: ").split("x")]
        x = np.random.default_rng(0).random((64, *shape), np.float32)
        with tempfile.TemporaryDirectory() as folder:
            calls = contestants(NETWORKS[name], x, Path(folder), given.threads)
            for batch in (1, 64):
                print(f"{name}, {batch} example{'s' * (batch > 1)} a call, {given.threads} thread(s)")
                turns = range(given.rounds)
                times = np.array([[seconds(call, x[:batch]) for call in calls.values()] for _ in turns])
                ratios = np.median(times / times[:, :1], axis=0)
                for kind, middle, ratio in zip(calls, np.median(times, axis=0), ratios, strict=True):
                    print(f"  {kind:28} {1e3 * middle:9.4f} ms  {ratio:6.2f}", flush=True)


if __name__ == "__main__":
    main()
