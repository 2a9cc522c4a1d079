"""PyTorch as it is, in both of its memory formats."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from net import Net, Step, make_data
from rivals import Array, Rival, Weights
from rivals.layouts import channels_first, filters_first

DTYPES = {"float32": torch.float32, "float64": torch.float64}


class FlattenPixels(nn.Module):
    """Flattens rows, columns, channels: for images that lie channels last this moves nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class Add(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


class Merging(nn.Module):
    """Layers that are no chain; a value is let go after its last use."""

    def __init__(self, net: Net, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.inputs = [step.inputs for step in net.steps]
        self.done = [[v for v in range(i) if net.last_use(v) == i] for i in range(1, len(layers) + 1)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values: list[Any] = [x]
        for layer, inputs, done in zip(self.layers, self.inputs, self.done, strict=True):
            values.append(layer(*[values[i] for i in inputs]))
            for i in done:
                values[i] = None
        return values[-1]


class TorchEager(Rival):
    """Images as (n, channels, rows, columns). Without weights in hand the framework's own are kept."""

    channels_last = False

    def __init__(self, net: Net, weights: Weights | None, threads: int) -> None:
        torch.set_num_threads(threads)
        self.net = net
        self.model = self._make(net).to(DTYPES[net.dtype])
        if weights is not None:
            self._copy(weights)
        if self.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self._take(*make_data(net))
        self.optimizer = self._make_optimizer("fused")
        self.loss = functional.cross_entropy if net.head == "softmax" else functional.binary_cross_entropy_with_logits

    # ------------------------------------------------------------------------------------------- building

    def _make(self, net: Net) -> nn.Module:
        self.named = {step.name: self._layer(step) for step in net.steps}
        layers = list(self.named.values())
        return nn.Sequential(*layers) if net.is_chain else Merging(net, layers)

    def _layer(self, step: Step) -> nn.Module:
        a, channels = step.args, step.input_shape[-1]
        normal = nn.BatchNorm2d if len(step.input_shape) == 3 else nn.BatchNorm1d
        makers: dict[str, Callable[[], nn.Module]] = {
            "dense": lambda: nn.Linear(channels, a["units"], bias=a["bias"]),
            "conv": lambda: nn.Conv2d(channels, a["filters"], a["size"], a["stride"], a["pad"], a["dilation"],
                                      a["groups"], bias=a["bias"]),
            "maxpool": lambda: nn.MaxPool2d(a["size"], a["stride"], a["pad"]),
            "avgpool": lambda: nn.AvgPool2d(a["size"], a["stride"], a["pad"], count_include_pad=False),
            "global_avgpool": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            "flatten": FlattenPixels if self.channels_last else nn.Flatten,
            "batchnorm": lambda: normal(channels, eps=a["eps"], momentum=1 - a["momentum"]),
            "dropout": lambda: nn.Dropout(a["rate"]),
            "add": Add,
            "relu": lambda: nn.ReLU(inplace=self._may_overwrite(step)),
            "tanh": nn.Tanh,
        }  # fmt: skip
        return makers[step.kind]()

    def _may_overwrite(self, step: Step) -> bool:
        """Whether nobody else needs what comes in, neither forward nor backward."""
        (value,) = step.inputs
        readers = sum(other.inputs.count(value) for other in self.net.steps)
        return value > 0 and readers == 1 and self.net.steps[value - 1].kind in ("conv", "dense", "batchnorm", "add")

    def _copy(self, weights: Weights) -> None:
        roles = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}
        with torch.no_grad():
            for name, array in weights.items():
                layer, _, role = name.partition(".")
                getattr(self.named[layer], roles.get(role, role)).copy_(torch.from_numpy(self._reorder(layer, array)))

    def _reorder(self, layer: str, array: Array) -> Array:
        """dslc's weights in the order that PyTorch keeps; a flattened image has its channels first here."""
        if array.ndim == 4:
            return filters_first(array)
        image = next(step.image for step in self.net.steps if step.name == layer)
        moved = array.ndim == 2 and image is not None and not self.channels_last
        return channels_first(array, image) if moved else array

    def _take(self, x: Array, labels: Array) -> None:
        self.x, self.labels = torch.from_numpy(x), list(torch.from_numpy(labels))
        if self.net.has_images:
            layout = torch.channels_last if self.channels_last else torch.contiguous_format
            self.x = self.x.permute(0, 3, 1, 2).contiguous(memory_format=layout)
        self.one = self.x[:1].clone()

    def _make_optimizer(self, way: str) -> torch.optim.Optimizer:
        """`way` is `fused` or `foreach`."""
        s, how = self.net.settings, {way: True}
        if self.net.optimizer == "adam":
            betas = (s["beta1"], s["beta2"])
            return torch.optim.Adam(self.model.parameters(), lr=s["lr"], betas=betas, eps=s["eps"], **how)
        assert self.net.optimizer == "sgd", self.net.optimizer
        return torch.optim.SGD(self.model.parameters(), s["lr"], s["momentum"], nesterov=s["nesterov"], **how)

    # ------------------------------------------------------------------------------------------- running

    def settle(self) -> str:
        """The faster of the two optimizers that treat all parameters at once."""
        self.begin("train")
        tried = {way: self._seconds_with(way) for way in ("fused", "foreach")}
        best = min(tried, key=lambda way: tried[way])
        self.optimizer = self._make_optimizer(best)
        return f"{best} optimizer"

    def _seconds_with(self, way: str) -> float:
        """The best of a few steps."""
        self.optimizer = self._make_optimizer(way)
        times, end = [], time.perf_counter() + 0.2
        while len(times) < 3 or (time.perf_counter() < end and len(times) < 1000):
            start = time.perf_counter()
            self.train(0)
            times.append(time.perf_counter() - start)
        return min(times)

    def begin(self, job: str) -> None:
        self.model.train(job == "train")

    def train(self, turn: int) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(self.x), self.labels[turn])
        loss.backward()
        self.optimizer.step()
        return loss

    def predict(self) -> torch.Tensor:
        return self._probabilities(self.x)

    def predict_one(self) -> torch.Tensor:
        return self._probabilities(self.one)

    def _probabilities(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self._head(self.model(x))

    def _head(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.softmax(logits, 1) if self.net.head == "softmax" else torch.sigmoid(logits)

    def array(self, result: torch.Tensor) -> Array:
        return result.detach().numpy()


class TorchChannelsLast(TorchEager):
    """Images in PyTorch's channels-last memory format."""

    channels_last = True
