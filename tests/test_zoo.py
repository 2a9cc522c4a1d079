"""The published networks in specs/zoo: their sizes are the published ones, and two of them compute what PyTorch's do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dslc.codegen.emit import emit
from dslc.compiler import check_file, check_text, plan_network
from dslc.ir import Network
from dslc.language.shipped import shipped, shipped_names
from dslc.proofs.reference import Interpreter
from dslc.runtime.native.initial import initial_parameters
from helpers import REPO

ZOO = REPO / "specs" / "zoo"
PUBLISHED = {
    "darknet19": 20_842_376,  # Darknet's weights
    "dcgan_generator": 3_576_704,  # PyTorch's tutorial
    "densenet121": 7_978_856,  # torchvision, as the next ones
    "efficientnet_b0": 5_288_548,
    "inception_v3": 27_161_264,
    "mobilenet_v2": 3_504_872,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "shufflenet_v2": 2_278_604,
    "squeezenet1_1": 1_235_496,
    "googlenet": 13_378_280,  # Caffe's bvlc_googlenet
    "mobilenet_v1": 4_231_976,  # Keras
    "tiny_autoencoder": 267_928,  # MLPerf Tiny, without running averages, as the next ones
    "tiny_dscnn": 23_756,
    "tiny_resnet8": 78_186,
    "tiny_vww": 216_322,
    "unet": 7_763_041,  # PyTorch Hub's unet of mateuszbuda
    "wide_resnet16_4": 2_748_890,  # the authors' 2.7 million
    "streaming_wakeword": 45_883,  # of our own
}
"""Trained parameters."""


def test_every_network_is_in_the_list_and_found_by_name() -> None:
    assert {path.stem for path in ZOO.glob("*.net")} == PUBLISHED.keys()
    assert {f"zoo/{name}" for name in PUBLISHED} <= set(shipped_names())
    assert shipped("zoo/resnet18") is not None and shipped("zoo/nothing") is None


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_parameters(name: str) -> None:
    assert sum(p.elements for p in check_file(ZOO / f"{name}.net").parameters if p.trained) == PUBLISHED[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PUBLISHED.keys() - {"efficientnet_b0", "inception_v3"}))
def test_the_c_is_short(name: str) -> None:
    """Layers that differ in sizes only share functions, and repeated blocks are loops."""
    assert emit(plan_network(check_file(ZOO / f"{name}.net"), threads=2)).code.count("\n") < 10_000


# ---------------------------------------------------------------------------------------------------- PyTorch


def small(name: str, side: int) -> Network:
    """The network for images of side x side, in double precision, with neither dropout nor penalties."""
    lines = (line for line in (ZOO / f"{name}.net").read_text().splitlines() if "regularize" not in line)
    text = "\n".join(lines).replace("224x224", f"{side}x{side}").replace("dropout(0.2) -> ", "")
    return check_text(text, dtype="float64")


class Layers:
    """PyTorch's layers with the parameters of a network, numbered by kind in the order of the calls."""

    def __init__(self, torch: Any, parameters: dict[str, Any]) -> None:
        self.torch, self.parameters, self.calls = torch, parameters, dict[str, int]()

    def _next(self, kind: str) -> str:
        self.calls[kind] = self.calls.get(kind, 0) + 1
        return f"{kind}{self.calls[kind]}"

    def conv(self, x: Any, stride: int = 1, pad: int = 0, depthwise: bool = False) -> Any:
        """Without a bias; weights are (rows, columns, channels, filters)."""
        w = self.parameters[f"{self._next('depthwise' if depthwise else 'conv')}.weight"].permute(3, 2, 0, 1)
        groups = x.shape[1] if depthwise else 1
        return self.torch.nn.functional.conv2d(x, w, None, stride, pad, 1, groups)

    def batchnorm(self, x: Any) -> Any:
        """With the mini-batch's mean and variance."""
        name = self._next("batchnorm")
        gamma, beta = self.parameters[f"{name}.gamma"], self.parameters[f"{name}.beta"]
        return self.torch.nn.functional.batch_norm(x, None, None, gamma, beta, True, 0.1, 1e-5)

    def classes(self, x: Any) -> Any:
        """The logits from the means over the pixels."""
        return x.mean((2, 3)) @ self.parameters["dense1.weight"].T + self.parameters["dense1.bias"]


def resnet18(net: Layers, x: Any) -> Any:
    """torchvision.models.resnet18, layer by layer."""
    x = net.batchnorm(net.conv(x, 2, 3)).relu()
    x = net.torch.nn.functional.max_pool2d(x, 3, 2, 1)
    for filters in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if block == 0 and filters > 64 else 1
            y = net.batchnorm(net.conv(x, stride, 1)).relu()
            y = net.batchnorm(net.conv(y, 1, 1))
            x = (y + (net.batchnorm(net.conv(x, stride)) if stride > 1 else x)).relu()
    return net.classes(x)


def mobilenet_v2(net: Layers, x: Any) -> Any:
    """torchvision.models.mobilenet_v2, layer by layer, without its dropout."""
    relu6 = net.torch.nn.functional.relu6
    x = relu6(net.batchnorm(net.conv(x, 2, 1)))
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expand, filters, count, first_stride in rows:
        for i in range(count):
            stride = first_stride if i == 0 else 1
            y = relu6(net.batchnorm(net.conv(x))) if expand > 1 else x
            y = relu6(net.batchnorm(net.conv(y, stride, 1, True)))
            y = net.batchnorm(net.conv(y))
            x = x + y if stride == 1 and x.shape[1] == filters else y
    return net.classes(relu6(net.batchnorm(net.conv(x))))


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("logits", [resnet18, mobilenet_v2], ids=lambda f: f.__name__)
def test_computes_what_pytorch_does(logits: Callable[[Layers, Any], Any]) -> None:
    """The loss and all gradients of a mini-batch, by NumPy's interpreter and by PyTorch, both in double precision."""
    torch = pytest.importorskip("torch")
    network = small(logits.__name__, 64)
    rng = np.random.default_rng(1)
    values = {name: np.asarray(v, np.float64) for name, v in initial_parameters(network, 1)}
    x, y = rng.standard_normal((4, 64, 64, 3)), rng.integers(0, 1000, 4).astype(np.int32)
    loss, gradients, _ = Interpreter(network, values).loss_and_gradients({"image": x}, {network.heads[0].name: y})
    p = {name: torch.tensor(v, requires_grad=True) for name, v in values.items()}
    found = logits(Layers(torch, p), torch.tensor(x).permute(0, 3, 1, 2))
    wanted = torch.nn.functional.cross_entropy(found, torch.tensor(y.astype(np.int64)))
    wanted.backward()
    assert loss == pytest.approx(wanted.item(), rel=1e-9)
    scale = max(np.abs(p[name].grad.numpy()).max() for name in gradients)
    for name, gradient in gradients.items():
        assert gradient == pytest.approx(p[name].grad.numpy(), rel=1e-6, abs=1e-9 * scale), name
