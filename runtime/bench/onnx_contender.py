"""The network in ONNX Runtime, which predicts, from the model that `dslc export --to onnx` writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from dslc.export.network import Trained
from dslc.export.onnx.model import export_onnx
from dslc.ir import Network
from dslc.language.diagnostics import CallError
from dslc.runtime.bench.contender import Array, Arrays, Contender, Given, Job, Unknown


class OnnxContender(Contender):
    """Images come with the channels first, as ONNX has them, so that nothing is turned while it is timed."""

    def __init__(self, network: Network, weights: Arrays, threads: int) -> None:
        if network.dtype != "float32":
            raise Unknown(network.dtype)
        self.answers = len(network.answers)
        try:
            model = export_onnx(Trained(network, weights), channels_first=True)
        except CallError as error:
            raise Unknown(str(error)) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def take(self, job: Job, given: Given) -> None:
        """Raises Unknown for training."""
        if job == "train":
            raise Unknown("training")
        self.x = {name: _channels_first(x) for name, x in given.x.items()}

    def call(self, turn: int) -> Any:
        """A prediction."""
        return self.session.run(None, self.x)

    def arrays(self, result: Any) -> list[Array]:
        """With the channels last, as ours."""
        return [np.moveaxis(y, 1, -1) for y in result[: self.answers]]


def _channels_first(x: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))
