"""8-bit integers: our C in integers and in float against onnxruntime's, one thread, interleaved in one run.

    python benchmarks/int8.py [--rounds 30]

Prints for each network the median milliseconds of a call, and each one's time over that of our integers, by the medians
of the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import dslc
from dslc.export.onnx.model import export_onnx
from dslc.runtime.runs.trained import trained

NETWORKS = {
    "mlp": "input x: 784\n  dense(512) -> relu\n  dense(512) -> relu\n  dense(10) -> softmax",
    "lenet5": "input x: 28x28x1\n  conv(6, 5x5, pad=same) -> relu -> maxpool(2x2)\n  conv(16, 5x5) -> relu\n"
    "  maxpool(2x2)\n  flatten\n  dense(120) -> relu\n  dense(84) -> relu\n  dense(10) -> softmax",
    "vgg block": "input x: 32x32x64\n  conv(64, 3x3, pad=same) -> relu\n  conv(64, 3x3, pad=same) -> relu\n"
    "  global_avgpool -> dense(10) -> softmax",
    "mobile": "input x: 64x64x3\n  conv(32, 3x3, stride=2, pad=same) -> relu\n  depthwise(3x3, pad=same) -> relu\n"
    "  conv(64, 1x1) -> relu\n  depthwise(3x3, stride=2, pad=same) -> relu\n  conv(128, 1x1) -> relu\n"
    "  depthwise(3x3, pad=same) -> relu\n  conv(128, 1x1) -> relu\n  global_avgpool -> dense(10) -> softmax",
}
"""Bodies of nets by name."""


class Examples(CalibrationDataReader):
    """What onnxruntime calibrates with."""

    def __init__(self, x: Any) -> None:
        self.left: Iterator[dict[str, Any]] = iter([{"x": x}])

    def get_next(self) -> dict[str, Any] | None:
        """The next batch; None behind the last."""
        return next(self.left, None)


def session(path: Path) -> Callable[[Any], Any]:
    """A prediction of onnxruntime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    made = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: made.run(None, {"x": x})[0]


def contestants(body: str, x: Any, folder: Path) -> dict[str, Callable[[], Any]]:
    """A call each; ours in integers is first."""
    model = dslc.loads(f"net Bench {{\n  {body}\n}}\n", threads=1)
    small = dslc.quantize(model, x)
    (folder / "float.onnx").write_bytes(export_onnx(trained(model.network, model.copy_weights(), model.schema)))
    quantize_static(
        folder / "float.onnx", folder / "int8.onnx", Examples(x), QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    rival, rival_float = session(folder / "int8.onnx"), session(folder / "float.onnx")
    agree = (small.predict(x).argmax(axis=1) == model.predict(x).argmax(axis=1)).mean()
    print(f"  answers as in float: {100 * agree:.0f} %")
    return {
        "ours int8": lambda: small.integers([x]),
        "ours float32": lambda: model.predict(x),
        "onnxruntime int8": lambda: rival(x),
        "onnxruntime float32": lambda: rival_float(x),
    }


def seconds(call: Callable[[], Any]) -> float:
    """The time of a call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """All networks, with one example and with 64."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    for name, body in NETWORKS.items():
        for batch in (1, 64):
            print(f"{name}, {batch} example{'s' * (batch > 1)} a call")
            shape = [int(n) for n in body.split("\n")[0].removeprefix("input x: ").split("x")]
            x = np.random.default_rng(0).random((batch, *shape), np.float32)
            with tempfile.TemporaryDirectory() as folder:
                calls = contestants(body, x, Path(folder))
                for call in calls.values():
                    call()
                times = np.array([[seconds(call) for call in calls.values()] for _ in range(rounds)])
            ratios = np.median(times / times[:, :1], axis=0)
            for kind, middle, ratio in zip(calls, np.median(times, axis=0), ratios, strict=True):
                print(f"  {kind:20} {1e3 * middle:9.3f} ms  {ratio:6.2f}")


if __name__ == "__main__":
    main()
