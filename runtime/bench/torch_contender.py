"""The network in PyTorch, eager: the faster of its two memory formats and of its fused and foreach optimizers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np
import torch

from dslc.ir import Network, Parameter
from dslc.registry import name_of
from dslc.runtime.bench.contender import (
    Array,
    Arrays,
    Contender,
    Given,
    Job,
    decay_of,
    judged,
    known,
    reads,
    require_layers,
    require_training,
)
from dslc.runtime.bench.torch_layers import LAYERS, LOSSES

TRIES = 3
"""Steps of a way that is tried, of which the fastest counts."""


class TorchContender(Contender):
    """Parameters as leaves, layers as functions of `torch.nn.functional`."""

    def __init__(self, network: Network, weights: Arrays, threads: int) -> None:
        require_layers(network, LAYERS)
        torch.set_num_threads(threads)
        self.network, self.weights = network, weights
        self.dtype = torch.float32 if network.dtype == "float32" else torch.float64
        self.images = any(len(value.shape) == 3 for value in network.inputs)
        self.wanted = network.predicting
        self.job: Job = "predict"
        self.way = ("channels last", "fused")

    def take(self, job: Job, given: Given) -> None:
        """Tries the ways that there are, and starts anew with the fastest."""
        if job == "train":
            require_training(self.network, LOSSES, tuple(OPTIMIZERS))
        self.job = job
        formats = ("channels last", "channels first") if self.images else ("channels last",)
        optimizers = ("fused", "foreach") if job == "train" else ("",)
        self.way = min(product(formats, optimizers), key=lambda way: self._seconds(way, given))
        self._begin(self.way, given)

    def _seconds(self, way: tuple[str, str], given: Given) -> float:
        """The best of a few calls after one that warms up."""
        self._begin(way, given)
        times = []
        for turn in range(TRIES + 1):
            start = time.perf_counter()
            self.call(turn)
            times.append(time.perf_counter() - start)
        return min(times[1:])

    def _begin(self, way: tuple[str, str], given: Given) -> None:
        layout, optimizer = way
        self.x = {name: self._laid_out(torch.from_numpy(x).to(self.dtype), layout) for name, x in given.x.items()}
        self.targets = [{name: torch.from_numpy(y) for name, y in some.items()} for some in given.targets]
        self.parameters = {p.name: self._leaf(p, layout) for p in self.network.parameters}
        if self.job == "train":
            self.optimizer = self._make_optimizer(optimizer, len(next(iter(given.x.values()))))

    def _laid_out(self, x: torch.Tensor, layout: str) -> torch.Tensor:
        """Channels last in shape; in memory as the layout says."""
        if x.ndim == 4 and layout == "channels first":
            return x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
        return x

    def _leaf(self, p: Parameter, layout: str) -> torch.Tensor:
        """A parameter in PyTorch's order, filters first."""
        array = self.weights[p.name]
        ordered = np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array)
        moved = torch.tensor(ordered, dtype=self.dtype)
        if array.ndim == 4 and layout == "channels last":
            moved = moved.contiguous(memory_format=torch.channels_last)
        return moved.requires_grad_(p.learns)

    def _make_optimizer(self, way: str, batch: int) -> Any:
        assert self.network.training is not None
        optimizer: Any = self.network.training.optimizer
        groups: dict[float, list[torch.Tensor]] = {}
        settings = asdict(optimizer)
        for p in (p for p in self.network.parameters if p.learns):
            own = settings.get("weight_decay", 0.0) * p.decays if name_of(optimizer) == "adamw" else decay_of(p, batch)
            groups.setdefault(own, []).append(self.parameters[p.name])
        parts = [{"params": some, "weight_decay": decay} for decay, some in groups.items()]
        return known(OPTIMIZERS, name_of(optimizer), "optimizer")(parts, settings, {way: True})

    def call(self, turn: int) -> Any:
        """A step of training, or a prediction."""
        if self.job == "predict":
            with torch.inference_mode():
                values = self._run(training=False)
            return [values[head.value.name] for head in self.network.answers]
        self.optimizer.zero_grad(set_to_none=True)
        values = self._run(training=True)
        loss = self._loss(values, self.targets[turn % len(self.targets)])
        loss.backward()
        self.optimizer.step()
        return [loss]

    def _run(self, training: bool) -> dict[str, torch.Tensor]:
        values = dict(self.x)
        for node in self.network.nodes:
            if not training and node.name not in self.wanted:
                continue
            roles = {role: self.parameters[p.name] for role, p in node.roles.items()}
            xs = [values[name] for name in reads(node)]
            values[node.output.name] = LAYERS[name_of(node.layer)](node, xs, roles, training)
        return values

    def _loss(self, values: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]) -> torch.Tensor:
        total = torch.zeros((), dtype=self.dtype)
        for head in self.network.heads:
            loss: Any = head.loss
            z = values[judged(self.network, head).name]
            total = total + loss.weight * LOSSES[name_of(loss)](loss, z, targets[head.name])
        return total

    def arrays(self, result: Any) -> list[Array]:
        """Outputs lie as ours do."""
        return [tensor.detach().numpy() for tensor in result]

    def choice(self) -> str:
        """The memory format of images and the optimizer."""
        words = [self.way[0] if self.images else "", f"{self.way[1]} optimizer" if self.way[1] else ""]
        return ", ".join(word for word in words if word)


OPTIMIZERS: dict[str, Callable[[Any, dict[str, Any], dict[str, bool]], Any]] = {
    "sgd": lambda parts, s, way: torch.optim.SGD(parts, s["lr"], s["momentum"], nesterov=s["nesterov"], **way),
    "adam": lambda parts, s, way: torch.optim.Adam(parts, s["lr"], (s["beta1"], s["beta2"]), s["eps"], **way),
    "adamw": lambda parts, s, way: torch.optim.AdamW(parts, s["lr"], (s["beta1"], s["beta2"]), s["eps"], **way),
}
