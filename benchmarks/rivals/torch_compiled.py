"""PyTorch through torch.compile, which makes C++ of forward and backward; the optimizer is the fused one."""

from __future__ import annotations

import os

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no helpers that outlive the compilation

import torch

from net import Net
from rivals import Weights
from rivals.torch_eager import TorchEager


class TorchCompiled(TorchEager):
    """Each job is compiled on its own, for its sizes."""

    def __init__(self, net: Net, weights: Weights | None, threads: int) -> None:
        self.channels_last = net.has_images  # the format that its convolutions are made for
        super().__init__(net, weights, threads)
        torch._dynamo.reset()
        self.loss_of = torch.compile(lambda x, y: self.loss(self.model(x), y), dynamic=False)
        self.batch_of = torch.compile(lambda x: self._head(self.model(x)), dynamic=False)
        self.one_of = torch.compile(lambda x: self._head(self.model(x)), dynamic=False)

    def train(self, turn: int) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(self.x, self.labels[turn])
        loss.backward()
        self.optimizer.step()
        return loss

    def predict(self) -> torch.Tensor:
        with torch.no_grad():
            return self.batch_of(self.x)

    def predict_one(self) -> torch.Tensor:
        with torch.no_grad():
            return self.one_of(self.one)
