"""The contenders: dslc itself and the frameworks that it is compared with. One file each, one process each."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from net import Net

Array = np.ndarray[Any, Any]
Weights = Mapping[str, Array]


class Rival:
    """A network in a framework, with its data. Weights have dslc's names and shapes; without any, the framework's own
    fresh ones will do. `train`, `predict` and `predict_one` return what the framework returns."""

    def __init__(self, net: Net, weights: Weights | None, threads: int) -> None:
        raise NotImplementedError

    def settle(self) -> str:
        """Tries what only a clock can decide and keeps the fastest; says what it is."""
        return ""

    def begin(self, job: str) -> None:
        """Makes ready for many calls of one job."""

    def train(self, turn: int) -> Any:
        """One step with a set of labels; its loss."""
        raise NotImplementedError

    def predict(self) -> Any:
        raise NotImplementedError

    def predict_one(self) -> Any:
        raise NotImplementedError

    def array(self, result: Any) -> Array:
        """A result in NumPy, after waiting until it is there."""
        return np.asarray(result)


@dataclass(frozen=True)
class Contender:
    """Where a contender is found, its name for readers, and what it can do."""

    title: str
    module: str
    cls: str
    distribution: str
    trains: bool = True
    only_images: bool = False

    def load(self) -> type[Rival]:
        """The class; imports the framework."""
        found: type[Rival] = getattr(importlib.import_module(f"rivals.{self.module}"), self.cls)
        return found

    def suits(self, net: Net) -> bool:
        return net.has_images or not self.only_images


OURS = "dslc"
CONTENDERS = {
    OURS: Contender("dslc", "ours", "Ours", "dslc"),
    "torch": Contender("PyTorch", "torch_eager", "TorchEager", "torch"),
    "torch-channels-last": Contender(
        "PyTorch, channels last", "torch_eager", "TorchChannelsLast", "torch", only_images=True
    ),
    "torch-compile": Contender("torch.compile", "torch_compiled", "TorchCompiled", "torch"),
    "jax": Contender("JAX", "jax_rival", "Jax", "jax"),
    "onnxruntime": Contender("ONNX Runtime", "onnx_rival", "OnnxRuntime", "onnxruntime", trains=False),
}
