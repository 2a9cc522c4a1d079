"""A checked network in PyTorch, in any precision: what dslc's accuracy is compared with.

Values lie as in dslc, channels last, which PyTorch reads as its own channels-last format where it wants images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from dslc.ir import Network, Node, Parameter
from dslc.registry import name_of
from dslc.runtime.bench import torch_layers
from dslc.runtime.bench.contender import Unknown, judged, known
from dslc.runtime.bench.torch_layers import LOSSES, Inputs, Roles, channels_first, channels_last

Array = np.ndarray[Any, Any]
Tensors = dict[str, torch.Tensor]


class TorchNetwork:
    """The network with these parameters, in the precision `dtype`.

    Raises:
        Unknown: a layer, loss, regularizer or optimizer is not translated, or the network is not trained.
    """

    def __init__(self, network: Network, parameters: Mapping[str, Array], dtype: torch.dtype) -> None:
        self.network, self.dtype = network, dtype
        self.parameters = {p.name: self._leaf(p, parameters[p.name]) for p in network.parameters}
        self.optimizer = self._make_optimizer()

    def _leaf(self, p: Parameter, array: Array) -> torch.Tensor:
        """A parameter in PyTorch's order, filters first."""
        moved = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
        return torch.tensor(np.ascontiguousarray(moved), dtype=self.dtype, requires_grad=p.learns)

    def _make_optimizer(self) -> torch.optim.Optimizer:
        training = self.network.training
        if training is None or training.clip is not None or training.schedule is not None:
            raise Unknown("training without `train`, with clip or with a schedule")
        name, s = name_of(training.optimizer), asdict(training.optimizer)
        betas = (s.get("beta1"), s.get("beta2"))
        learning = {p.name: p for p in self.network.parameters if p.learns}
        every = [self.parameters[name] for name in learning]
        decaying = [{"params": [self.parameters[n] for n, p in learning.items() if p.decays == decays],
                     "weight_decay": s.get("weight_decay", 0.0) * decays} for decays in (True, False)]  # fmt: skip
        makers: dict[str, Callable[[], torch.optim.Optimizer]] = {
            "sgd": lambda: torch.optim.SGD(every, s["lr"], s["momentum"], nesterov=s["nesterov"]),
            "adam": lambda: torch.optim.Adam(every, s["lr"], betas, s["eps"]),
            "adamw": lambda: torch.optim.AdamW(decaying, s["lr"], betas, s["eps"]),
        }
        return known(makers, name, "optimizer")()

    # ------------------------------------------------------------------------------------------- what is compared

    def values(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every value of a forward pass in training, by name."""
        with torch.no_grad():
            return {name: value.numpy() for name, value in self._run(inputs, training=True).items()}

    def predict(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by head."""
        with torch.no_grad():
            values = self._run(inputs, training=False)
        return {head.name: values[head.value.name].numpy() for head in self.network.heads}

    def gradients(self, inputs: Mapping[str, Array], targets: Mapping[str, Array]) -> dict[str, Array]:
        """The gradients of what learns, in dslc's order."""
        self.optimizer.zero_grad()
        self._loss(inputs, targets).backward()
        return {p.name: self._array(self._slope(p.name)) for p in self.network.parameters if p.learns}

    def train_step(self, inputs: Mapping[str, Array], targets: Mapping[str, Array]) -> None:
        """One update of the parameters and the running averages."""
        self.optimizer.zero_grad()
        averages: Tensors = {}
        self._loss(inputs, targets, averages).backward()
        self.optimizer.step()
        self.parameters |= averages

    def arrays(self) -> dict[str, Array]:
        """All parameters, in dslc's order."""
        return {name: self._array(tensor.detach()) for name, tensor in self.parameters.items()}

    def _slope(self, name: str) -> torch.Tensor:
        tensor = self.parameters[name]
        return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad

    @staticmethod
    def _array(tensor: torch.Tensor) -> Array:
        return (tensor.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor).numpy().copy()

    # ------------------------------------------------------------------------------------------- running

    def _run(self, inputs: Mapping[str, Array], training: bool, averages: Tensors | None = None) -> Tensors:
        """Every value by name; `averages` gets the new running averages."""
        values = {name: torch.tensor(array, dtype=self.dtype) for name, array in inputs.items()}
        for node in self.network.nodes:
            layer = known(LAYERS, name_of(node.layer), "layer")
            p = {role: self.parameters[p.name] for role, p in node.roles.items()}
            xs = [values[value.name] for value in node.inputs]
            values[node.output.name] = layer(node, xs, p, training)
            if averages is not None and name_of(node.layer) == "batchnorm":
                averages |= _new_averages(node, xs[0], p)
        return values

    def _loss(
        self, inputs: Mapping[str, Array], targets: Mapping[str, Array], averages: Tensors | None = None
    ) -> torch.Tensor:
        values = self._run(inputs, True, averages)
        total = torch.zeros((), dtype=self.dtype)
        for head in self.network.heads:
            assert head.loss is not None
            z, target = values[judged(self.network, head).name], torch.tensor(targets[head.name])
            total = total + head.loss.weight * known(LOSSES, name_of(head.loss), "loss")(head.loss, z, target)
        count = len(next(iter(inputs.values())))
        for p in self.network.parameters:
            for penalty in p.regularizers:
                if name_of(penalty) != "l2":
                    raise Unknown(f"the regularizer {name_of(penalty)}")
                total = total + penalty.strength / (2 * count) * (self.parameters[p.name] ** 2).sum()
        return total


def _batchnorm(node: Node, xs: Inputs, p: Roles, training: bool) -> torch.Tensor:
    """Leaves the running averages as they are."""
    layer: Any = node.layer
    averages = (None, None) if training else (p["mean"], p["var"])
    image = xs[0].ndim == 4
    x = channels_first(xs[0]) if image else xs[0]
    y = functional.batch_norm(x, *averages, p["gamma"], p["beta"], training, eps=layer.eps)
    return channels_last(y) if image else y


def _new_averages(node: Node, x: torch.Tensor, p: Roles) -> Tensors:
    """By hand, since PyTorch's take the unbiased variance."""
    momentum: float = node.layer.momentum  # type: ignore[attr-defined]
    axes = tuple(range(x.ndim - 1))
    found = {"mean": x.detach().mean(axes), "var": x.detach().var(axes, unbiased=False)}
    return {f"{node.name}.{role}": momentum * p[role] + (1 - momentum) * new for role, new in found.items()}


LAYERS = {name: layer for name, layer in torch_layers.LAYERS.items() if name != "dropout"} | {"batchnorm": _batchnorm}
