"""The networks of specs/zoo against torchvision's, or against the same in a few lines of PyTorch, in float64 on small
images: PyTorch's weights are copied in the order in which its layers run. NumPy's interpreter stands for the C, which
other tests compare with it. Not here: googlenet, which is Caffe's, with response normalization where torchvision's has
batch norm."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from dslc.compiler import check_text
from dslc.ir import Network
from dslc.proofs.reference import Arrays, Interpreter
from helpers import REPO, assert_close

torch = pytest.importorskip("torch")
if importlib.util.find_spec("torchvision") is None:
    pytest.skip("torchvision is not installed", allow_module_level=True)
nn = torch.nn
pytestmark = pytest.mark.torch
TOLERANCE = 1e-9


def torchvision_models() -> Any:
    """`torchvision.models`, also where torchvision's C++ is for another build of PyTorch: classifiers need none of it,
    but two of its operators must have a signature."""
    if not hasattr(torch.ops.torchvision, "nms"):
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module("torchvision.models")


def normalized(*layers: nn.Module, **norm: float) -> list[nn.Module]:
    """Each layer with batch norm and relu behind it."""
    return [part for layer in layers for part in (layer, nn.BatchNorm2d(layer.out_channels, **norm), nn.ReLU())]


def separable(channels: int, filters: int, stride: int = 1, bias: bool = False, **norm: float) -> list[nn.Module]:
    """A depthwise convolution and one of 1x1."""
    depthwise = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=bias)
    return normalized(depthwise, nn.Conv2d(channels, filters, 1, bias=bias), **norm)


def mobilenet_v1() -> nn.Module:
    sizes = [(32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    sizes += [(512, 512, 1)] * 5 + [(512, 1024, 2), (1024, 1024, 1)]
    parts = [part for size in sizes for part in separable(*size)]
    stem = normalized(nn.Conv2d(3, 32, 3, 2, 1, bias=False))
    return nn.Sequential(*stem, *parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))


def tiny_dscnn() -> nn.Module:
    """The first convolution pads as TensorFlow does: 49x10 with a stride of 2, 4 and 5 rows, 1 and 1 columns."""
    norm = {"eps": 1e-3, "momentum": 0.01}
    stem = [nn.ZeroPad2d((1, 1, 4, 5)), *normalized(nn.Conv2d(1, 64, (10, 4), 2), **norm)]
    parts = [part for _ in range(4) for part in separable(64, 64, bias=True, **norm)]
    return nn.Sequential(*stem, *parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 12))


OTHERS: dict[str, Callable[[], nn.Module]] = {"mobilenet_v1": mobilenet_v1, "tiny_dscnn": tiny_dscnn}
TORCHVISION = {
    "densenet121": "densenet121",
    "efficientnet_b0": "efficientnet_b0",
    "inception_v3": "inception_v3",
    "mobilenet_v2": "mobilenet_v2",
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "shufflenet_v2": "shufflenet_v2_x1_0",
    "squeezenet1_1": "squeezenet1_1",
}
"""What torchvision calls them."""
SIDE = {"inception_v3": 75}
"""Rows and columns of an image; 32 for most."""


def twin(name: str) -> nn.Module:
    """The network in PyTorch, with random parameters and running averages."""
    torch.manual_seed(1)
    more = {"init_weights": False} if name == "inception_v3" else {}
    module = OTHERS[name]() if name in OTHERS else getattr(torchvision_models(), TORCHVISION[name])(**more)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                for low, high, tensor in ((0.5, 1.5, part.weight), (0.5, 1.5, part.running_var)):
                    tensor.uniform_(low, high)
                for tensor in (part.bias, part.running_mean):
                    tensor.normal_(0, 0.1)
    return module.double().eval()


def network_of(name: str) -> Network:
    """The spec at a small size, without dropout, penalties, and heads that only training computes."""
    text = (REPO / "specs" / "zoo" / f"{name}.net").read_text()
    side = SIDE.get(name, 32)
    text = re.sub(r"(224|299)x\1x3", f"{side}x{side}x3", text)
    text = re.sub(r"  output aux = .*?train_only\n", "", text, flags=re.DOTALL)
    text = re.sub(r"dropout\(.*?\) -> | -> dropout\(.*?\)$", "", text, flags=re.MULTILINE).partition("train {")[0]
    return check_text(f"{text}train {{ loss cross_entropy\n optimizer sgd(0.1)\n batch 4 }}", dtype="float64")


def in_order(module: nn.Module, x: torch.Tensor) -> list[nn.Module]:
    """The modules with parameters in the order in which they run."""
    run: list[nn.Module] = []
    hooks = [
        part.register_forward_hook(lambda part, *_: run.append(part))
        for part in module.modules()
        if isinstance(part, nn.Conv2d | nn.BatchNorm2d | nn.Linear)
    ]
    module(x)
    for hook in hooks:
        hook.remove()
    return run


def tensors(part: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """A module's parameters and averages, by the roles that dslc gives them."""
    if isinstance(part, nn.BatchNorm2d):
        yield from (("gamma", part.weight), ("beta", part.bias))
        yield from (("mean", part.running_mean), ("var", part.running_var))
        return
    yield "weight", part.weight
    if part.bias is not None:
        yield "bias", part.bias


def ours(tensor: torch.Tensor, dimensions: int) -> np.ndarray:
    """Filters as (height, width, channels, filters); a convolution of 1x1 over one pixel is a dense layer."""
    array = tensor.detach().numpy().copy()
    if array.ndim == 4 and dimensions == 2:
        return array[:, :, 0, 0]
    return np.ascontiguousarray(array.transpose(2, 3, 1, 0)) if array.ndim == 4 else array


def copied(network: Network, run: list[nn.Module], gradients: bool = False) -> Arrays:
    """The parameters of PyTorch's layers, or their gradients, by the names that dslc has for them."""
    nodes = [node for node in network.nodes if node.parameters]
    assert len(nodes) == len(run)
    found: Arrays = {}
    for node, part in zip(nodes, run, strict=True):
        given = dict(tensors(part))
        assert node.roles.keys() == given.keys(), node.name
        for role, p in node.roles.items():
            tensor = given[role].grad if gradients else given[role]
            if tensor is not None:
                found[p.name] = ours(tensor, len(p.shape))
                assert found[p.name].shape == p.shape, p.name
    return found


def images_and_labels(network: Network, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((count, *network.inputs[0].shape)), rng.integers(0, 10, count)


def as_images(x: np.ndarray) -> torch.Tensor:
    return torch.tensor(x).permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", [*OTHERS, *TORCHVISION])
def test_predictions(name: str, rng: np.random.Generator) -> None:
    """What comes before the softmax."""
    network, module = network_of(name), twin(name)
    x, _ = images_and_labels(network, 1, rng)
    run = in_order(module, as_images(x))
    interpreter = Interpreter(network, copied(network, run))
    values, _ = interpreter.run({network.inputs[0].name: x}, training=False)
    found = values[interpreter.loss_input(network.heads[0]).name]
    assert_close(found, module(as_images(x)).detach().numpy(), TOLERANCE, name)


@pytest.mark.parametrize("name", ["squeezenet1_1", "tiny_dscnn"])
def test_gradients_and_a_step(name: str, rng: np.random.Generator) -> None:
    """Of the cross-entropy in training mode, without dropout."""
    network, module = network_of(name), twin(name)
    x, t = images_and_labels(network, 4, rng)
    run = in_order(module, as_images(x))
    interpreter = Interpreter(network, copied(network, run))
    module.train()
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    loss = nn.functional.cross_entropy(module(as_images(x)), torch.tensor(t))
    loss.backward()
    inputs, targets = {network.inputs[0].name: x}, {network.heads[0].name: t}
    found_loss, gradients, results = interpreter.loss_and_gradients(inputs, targets)
    assert_close(np.array(found_loss), np.array(loss.item()), TOLERANCE, "loss")
    wanted = copied(network, run, gradients=True)
    assert gradients.keys() == wanted.keys()
    for parameter, gradient in gradients.items():
        scale = np.abs(wanted[parameter]).max()  # of a bias before batch norm the gradient is zero
        assert np.abs(gradient - wanted[parameter]).max() <= TOLERANCE * max(scale, 1e-3), parameter
    optimizer.step()
    interpreter.update(gradients, results, 0.1)
    for parameter, array in copied(network, run).items():
        if not parameter.endswith(".var"):  # PyTorch divides by one example less
            assert_close(interpreter.parameters[parameter], array, TOLERANCE, f"{parameter} after a step")
