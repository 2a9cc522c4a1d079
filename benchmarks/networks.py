"""The networks that are measured, and how much faster than its rivals each should be."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from net import Net
from reading import read_net

SPECS = Path(__file__).resolve().parent / "specs"


@dataclass(frozen=True)
class Entry:
    """A row of the tables. `targets` are the rival's time divided by ours, at two threads, by comparison."""

    title: str
    path: Path
    targets: dict[str, float] = field(default_factory=dict)

    def read(self) -> Net:
        return read_net(self.path.read_text())


@dataclass(frozen=True)
class Comparison:
    """A column of the tables: what is measured (see `timing.JOBS`) and against whom; of several, the fastest counts."""

    title: str
    job: str
    rivals: tuple[str, ...]


TORCH = ("torch", "torch-channels-last")
COMPARISONS = {
    "train-torch": Comparison("training, PyTorch", "train", TORCH),
    "predict-torch": Comparison("prediction, PyTorch", "predict", TORCH),
    "one-torch": Comparison("one example, PyTorch", "one", TORCH),
    "train-jax": Comparison("training, JAX", "train", ("jax",)),
    "predict-onnxruntime": Comparison("prediction, ONNX Runtime", "predict", ("onnxruntime",)),
}
TARGET_THREADS = 2


def _targeted(name: str, title: str, *targets: float) -> tuple[str, Entry]:
    return name, Entry(title, SPECS / f"{name}.net", dict(zip(COMPARISONS, targets, strict=True)))


def _untuned(name: str, title: str) -> tuple[str, Entry]:
    return name, Entry(title, SPECS / "untuned" / f"{name}.net")


TARGETED = dict([
    _targeted("logistic_regression", "logistic regression, batch 64", 20, 3, 5, 2.5, 3),
    _targeted("mlp", "MLP, batch 64", 2.5, 1.5, 5, 2, 1.4),
    _targeted("mlp_batchnorm_dropout", "MLP, batch norm, dropout, batch 64", 3, 1.5, 5, 2, 1.4),
    _targeted("lenet5", "LeNet-5, batch 64", 7, 6, 6, 8, 3),
    _targeted("cifar_cnn", "CIFAR CNN, batch norm, batch 32", 3, 3, 3, 4, 2),
    _targeted("alexnet", "AlexNet, batch 16", 2.7, 2.4, 1.5, 3.3, 1.8),
    _targeted("vgg16", "VGG-16, batch 4", 3.5, 3, 1.5, 5, 2.5),
])  # fmt: skip

UNTUNED = dict([
    _untuned("odd_channels", "17 and 33 channels, batch 32"),
    _untuned("stem_7x7", "7x7 stem with stride 2, batch 8"),
    _untuned("bottleneck", "residual 1x1 bottlenecks, batch 16"),
    _untuned("dilated", "dilated filters, batch 8"),
    _untuned("depthwise", "depthwise filters, batch 16"),
    _untuned("grouped", "filters in groups, batch 16"),
    _untuned("batch_1", "small CNN, batch 1"),
    _untuned("batch_3", "5x5 filters, batch 3"),
    _untuned("mlp_float64", "MLP in float64, batch 48"),
    _untuned("cnn_float64", "CNN in float64, batch 16"),
    _untuned("wide_map", "160x160 pixels, few channels, batch 8"),
    _untuned("deep_narrow", "20 dense layers of 24, batch 32"),
])  # fmt: skip

ENTRIES = TARGETED | UNTUNED
SCALED = ("mlp", "lenet5")
"""The networks for which the cost of an example is measured at many sizes of the mini-batch."""
